"""Packets that a rule or a policy drops: outcome, reason, and the words a person reads."""

import pytest

from ttrace.lab import DockerLab, wait_until

from .judge import places, with_port
from .scene import recorded
from .traffic import SLAVE, Traffic

RULE = "-A DOCKER-USER -s 192.168.77.1/32 -p tcp -m tcp --dport 80 -j DROP"
REJECT = "-A DOCKER-USER -p udp -m udp --dport 9000 -j REJECT --reject-with icmp-port-unreachable"
REQUEST = ["timeout", "10", "wget", "-q", "-O", "-", f"http://{SLAVE}:8080/"]


def iptables(lab, node, verb, rule):
    chain, _, rest = rule.removeprefix("-A ").partition(" ")
    lab.command(node, ["iptables", "--wait", verb, chain, *rest.split()])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with DockerLab("ttdrops") as lab:
        lab.command("master", ["ip", "route", "add", "172.18.0.0/24", "via", SLAVE])
        iptables(lab, "slave", "-I", RULE)
        iptables(lab, "slave", "-I", REJECT)
        with recorded(lab, tmp_path_factory.mktemp("drops"), "--trace-limit", "0") as scene:
            traffic = Traffic(lab)
            # Routed to a port that the container does not publish: no rule of Docker's accepts it.
            traffic.udp("master", "172.18.0.2", 9999, 7001, answered=False)
            traffic.udp("master", SLAVE, 9000, 7002, answered=False)
            traffic.finish()
            with lab.popen("web1", REQUEST) as client:
                # The counter says that the SYN has been dropped; its retransmission then goes through.
                wait_until(lambda: dropped_by(lab, RULE) > 0, 10, "the rule has dropped a packet")
                iptables(lab, "slave", "-D", RULE)
                assert "hello from web2" in client.communicate(timeout=30)[0]
    return scene


def dropped_by(lab, rule):
    """Packets that a rule of slave's has matched."""
    saved = lab.command("slave", ["iptables-save", "-c"]).stdout
    (line,) = [line for line in saved.splitlines() if line.endswith(rule)]
    return int(line.removeprefix("[").partition(":")[0])


def tcp(scene):
    """The paths of the one TCP connection."""
    return [p for p in scene.paths if p["protocol"] == "tcp"]


def test_rule_in_docker_user(scene):
    first, *others = [p for p in tcp(scene) if p["info"] == "SYN"]
    assert (first["outcome"], first["reason"]["kind"]) == ("dropped", "rule")
    assert first["reason"]["rule"]["text"] == RULE
    assert (first["reason"]["rule"]["table"], first["reason"]["rule"]["chain"]) == ("filter", "DOCKER-USER")
    last = first["hops"][-1]
    assert (last["node"], last["chain"], last["verdict"]) == ("slave", "FORWARD", "drop")
    assert last["rules"][-1]["text"] == RULE
    assert places(first)[-1] == ("slave", "root", "eth0", "in")
    assert last["destination"] == "172.18.0.2:80", "DOCKER-USER sees the address behind DNAT"
    assert others[-1]["outcome"] == "delivered"
    assert places(others[-1])[-1] == ("slave", "web2", "eth0", "in")


def test_retransmission_is_a_packet_of_its_own(scene):
    syns = [p for p in tcp(scene) if p["info"] == "SYN"]
    assert len(syns) >= 2
    assert [places(p)[0] for p in syns] == [("master", "web1", "eth0", "out")] * len(syns)
    assert {p["outcome"] for p in syns[:-1]} == {"dropped"}
    assert len({p["connection"] for p in tcp(scene)}) == 1


def test_policy_of_the_forward_chain(scene):
    (path,) = with_port(scene.paths, 7001)
    assert (path["outcome"], path["reason"]["kind"], path["reason"]["rule"]) == ("dropped", "policy", None)
    assert "policy of filter FORWARD is drop" in path["reason"]["text"]
    last = path["hops"][-1]
    assert (last["node"], last["table"], last["chain"], last["verdict"], last["policy"]) == (
        "slave",
        "filter",
        "FORWARD",
        "drop",
        True,
    )


def test_reject_is_a_drop_and_its_error_belongs_to_the_connection(scene):
    (path,) = [p for p in with_port(scene.paths, 7002) if p["protocol"] == "udp"]
    assert (path["outcome"], path["reason"]["rule"]["text"]) == ("dropped", REJECT)
    (error,) = [p for p in scene.paths if p["connection"] == path["connection"] and p["protocol"] == "icmp"]
    assert (error["direction"], error["outcome"]) == ("reply", "delivered")
    assert places(error) == [("slave", "root", "eth0", "out"), ("master", "root", "eth0", "in")]


def test_text_names_rule_and_policy(scene):
    text = scene.correlate()
    assert RULE in text
    assert REJECT in text
    assert "the policy of filter FORWARD is drop" in text
    assert "dropped" in text


def test_no_packet_is_lost_without_a_reason(scene):
    ours = [p for p in scene.paths if p["protocol"] in ("tcp", "udp")]
    assert len(ours) >= 11
    assert {p["outcome"] for p in ours} == {"dropped", "delivered"}
