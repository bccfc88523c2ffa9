"""What is true of the recordings in pcaps/ (their READMEs), as a user would see it."""

import subprocess
from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.values import ChainHop, InterfaceHop
from ttrace.lab.scenes import SCENES

PCAPS = Path(__file__).parent.parent / "pcaps"
MASQUERADE = {
    "master": "-A POSTROUTING -s 172.17.0.0/24 ! -o docker0 -j MASQUERADE",
    "slave": "-A POSTROUTING -s 172.18.0.0/24 ! -o docker0 -j MASQUERADE",
}


def dnat(protocol, port, to):
    return f"-A DOCKER ! -i docker0 -p {protocol} -m {protocol} --dport {port} -j DNAT --to-destination {to}"


def paths_of(scene, protocol):
    """All paths of one protocol, in order of time."""
    result = correlate_captures([str(PCAPS / f"docker-{scene}" / f"{node}.pcapng") for node in ("master", "slave")])
    return [p for p in (result.path(i) for i in range(1, result.packets.count + 1)) if p.protocol == protocol]


def rewrites_of(path):
    return [(r.node, r.field, r.kind, r.undo, r.rule.text if r.rule else None) for r in path.rewrites]


def points_of(path):
    return [(h.node, h.container or h.interface, h.direction) for h in path.hops if isinstance(h, InterfaceHop)]


@pytest.mark.parametrize("scene", SCENES)
def test_each_says_how_it_was_made_and_what_is_true(scene):
    text = (PCAPS / f"docker-{scene}" / "README.md").read_text()
    assert all(sentence in text for sentence in SCENES[scene].truth)
    assert "make recordings" in text


@pytest.mark.parametrize(
    ("scene", "here", "there", "server"),
    [("http", "master", "slave", "172.18.0.2:80"), ("http-reverse", "slave", "master", "172.17.0.2:80")],
)
def test_http_has_masquerade_on_the_way_out_and_dnat_on_the_way_in_and_both_undone(scene, here, there, server):
    paths = paths_of(scene, "tcp")
    to, back = dnat("tcp", 8080, server), MASQUERADE[here]
    assert {p.outcome for p in paths} == {"delivered"}
    for path in paths:
        if path.forward:
            expected = [(here, "source", "masquerade", False, back), (there, "destination", "dnat", False, to)]
        else:
            expected = [(there, "source", "dnat", True, to), (here, "destination", "masquerade", True, back)]
        assert rewrites_of(path) == expected
    assert [p.info for p in paths[:3]] == ["SYN", "SYN,ACK", "ACK"]
    assert [r.evidence for r in paths[0].rewrites] == ["trace", "trace"]
    assert {r.evidence for p in paths[1:] for r in p.rewrites} == {"conntrack"}


def test_the_first_packet_passes_every_chain_of_both_nodes_in_order():
    syn = paths_of("http", "tcp")[0]
    chains = [(h.node, h.table, h.chain) for h in syn.hops if isinstance(h, ChainHop)]
    once = [("nat", "PREROUTING"), ("filter", "FORWARD"), ("nat", "POSTROUTING")]
    assert chains == [(node, *chain) for node in ("master", "slave") for chain in once]
    assert points_of(syn) == [
        ("master", "web1", "out"),
        ("master", "web1", "in"),
        ("master", "docker0", "in"),
        ("master", "eth0", "out"),
        ("slave", "eth0", "in"),
        ("slave", "docker0", "out"),
        ("slave", "web2", "out"),
        ("slave", "web2", "in"),
    ]
    # With bridge-nf-call-iptables the prerouting hook runs on the bridge port, before the bridge sees the packet.
    kinds = [h.chain if isinstance(h, ChainHop) else h.interface for h in syn.hops]
    assert kinds.index("PREROUTING") < kinds.index("docker0")


def test_ping_ends_in_the_input_hook_and_its_reply_begins_in_the_output_hook():
    paths = paths_of("ping", "icmp")
    assert [p.info for p in paths] == [f"echo {what} seq {n}" for n in (1, 2, 3) for what in ("request", "reply")]
    for path in paths:
        assert path.outcome == "delivered"
        assert path.delivered_to == ("slave" if path.forward else "web1")
        undo = not path.forward
        field = "destination" if undo else "source"
        assert rewrites_of(path) == [("master", field, "masquerade", undo, MASQUERADE["master"])]
    assert len({p.connection for p in paths}) == 1


def test_udp_exchange_is_translated_like_tcp():
    paths = paths_of("udp", "udp")
    assert sorted(p.forward for p in paths) == [False] * 3 + [True] * 3
    to, out = dnat("udp", 9000, "172.18.0.2:9000"), MASQUERADE["master"]
    for path in paths:
        assert path.outcome == "delivered"
        if path.forward:
            expected = [("master", "source", "masquerade", False, out), ("slave", "destination", "dnat", False, to)]
        else:
            expected = [("slave", "source", "dnat", True, to), ("master", "destination", "masquerade", True, out)]
        assert rewrites_of(path) == expected


def test_dropped_names_the_rule_though_it_came_and_went_during_the_capture():
    paths = paths_of("dropped", "tcp")
    rule = "-A DOCKER-USER -s 192.168.77.1/32 -p tcp -m tcp --dport 80 -j DROP"
    assert len(paths) > 1
    for path in paths:
        assert (path.info, path.outcome, path.reason.kind, path.reason.rule.text) == ("SYN", "dropped", "rule", rule)
        assert path.hops[-1].destination == "172.18.0.2:80"


@pytest.mark.parametrize("scene", SCENES)
def test_wireshark_reads_them_without_a_complaint(scene):
    for node in ("master", "slave"):
        path = PCAPS / f"docker-{scene}" / f"{node}.pcapng"
        for argv in (["tshark", "-r", str(path), "-q"], ["capinfos", str(path)]):
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            assert not [line for line in done.stderr.splitlines() if "Running as user" not in line]
