"""What passed prerouting and came no further, by the routes and settings that the capture recorded."""

import pytest
from scapy.layers.inet import IP, TCP

from ttrace.report.telling import Telling

from ..scene import ETH0, IN, correlate, docker_host, keep_recording

ETH1 = 9
SERVER = "203.0.113.5"


def route(destination: str | None, prefix: int, index: int | None, *, gateway: str | None = None, **more: object):
    row = {"family": 2, "destination": destination, "prefix": prefix, "gateway": gateway, "index": index}
    return row | {"table": 254, "type": "unicast"} | more


OWN = route("192.0.2.1", 32, ETH0, table=255, type="local")
RULES = [{"family": 2, "priority": p, "action": "lookup", "table": t} for p, t in ((0, 255), (32766, 254))]
NEAR = [OWN, route("192.0.2.0", 24, ETH0)]
FAR = route("10.9.0.0", 16, ETH1, gateway="198.51.100.2")
STRICT = {"rp_filter": "1", "forwarding": "1", "accept_local": "0", "route_localnet": "0", "src_valid_mark": "0"}


def findings(tmp_path, routes, *, source="10.9.0.9", later=None, rules=RULES, **settings):
    """Of a SYN from outside that came in by eth0, and that nothing behind prerouting saw."""
    host = docker_host()
    host.interface("eth1", ETH1, addresses=["198.51.100.1"])
    for name, value in (STRICT | settings).items():
        of_all = {"rp_filter": "0", "forwarding": value}.get(name, "0")
        host.set_sysctls(**{f"net__ipv4__conf__eth0__{name}": value, f"net__ipv4__conf__all__{name}": of_all})
    host.snapshot("routes", routes, netns="root")
    host.snapshot("route_rules", rules, netns="root")
    if later is not None:
        host.snapshot("routes", later, netns="root", moment="stop", time_us=4_000_000)
    for number in range(2):
        syn = IP(src=source, dst=SERVER, id=number + 1) / TCP(sport=1000, dport=80, flags="S", seq=5)
        host.see("eth0", IN, 1_000_000 * number, syn)
        seen = {"family": "inet", "table": "ttrace", "iif": ETH0, "trace_id": 7 + number}
        host.trace(1_000_000 * number + 4, syn, "prerouting_last", **seen)
    keep_recording(host)
    return Telling.chosen(correlate(tmp_path, host)).head[0]


def test_the_way_back_is_another_interface(tmp_path):
    (found,) = findings(tmp_path, [*NEAR, FAR, route(None, 0, ETH0, gateway="192.0.2.254")])
    assert found.kind == "reverse_path"
    assert found.confidence == 1
    assert found.text == (
        "host throws away what comes in by eth0 from 10.9.0.9: net.ipv4.conf.eth0.rp_filter is 1 (rp_filter), and the "
        "way back to 10.9.0.9 is eth1 (10.9.0.0/16 via 198.51.100.2 dev eth1): 2 SYNs of tcp 10.9.0.9:1000 -> "
        f"{SERVER}:80"
    )
    assert {(one.what, one.line) for one in found.evidence} >= {("sysctl", None), ("route", 3)}


def test_loose_or_no_filter_lets_it_in_and_the_route_is_looked_up(tmp_path):
    for mode in ("0", "2"):
        (found,) = findings(tmp_path, [*NEAR, FAR], rp_filter=mode)
        assert (found.kind, found.confidence) == ("no_route", 1)
        assert found.text.startswith(f"host has no route to {SERVER} for what comes in by eth0: 2 SYNs of tcp")


def test_the_route_that_refuses_is_named(tmp_path):
    refusing = route("203.0.113.0", 24, None, type="blackhole")
    (found,) = findings(tmp_path, [*NEAR, FAR, refusing], rp_filter="0")
    assert found.kind == "no_route"
    assert "as its blackhole route says: blackhole 203.0.113.0/24" in found.text


def test_a_namespace_that_does_not_forward(tmp_path):
    (found,) = findings(tmp_path, [*NEAR, FAR, route(None, 0, ETH0)], rp_filter="0", forwarding="0")
    assert found.kind == "forwarding_off"
    assert "net.ipv4.conf.eth0.forwarding is 0" in found.text


def test_a_source_that_may_not_be_there(tmp_path):
    (found,) = findings(tmp_path, [*NEAR, FAR, route(None, 0, ETH0)], source="127.0.0.9")
    assert found.kind == "martian"
    assert "127.0.0.0/8 stays on lo while net.ipv4.conf.eth0.route_localnet is 0" in found.text


def test_its_own_address_as_a_source(tmp_path):
    (found,) = findings(tmp_path, [*NEAR, FAR, route(None, 0, ETH0)], source="192.0.2.1")
    assert found.kind == "martian"
    assert "that is an address of its own" in found.text


def test_what_was_otherwise_at_the_end_is_said_with_doubt(tmp_path):
    routes = [*NEAR, FAR, route(None, 0, ETH0)]
    (found,) = findings(tmp_path, routes, later=[*NEAR, route(None, 0, ETH0)])
    assert (found.kind, found.confidence) == ("reverse_path", 0.7)


@pytest.mark.parametrize("routes", [[*NEAR, route("10.9.0.0", 16, ETH0), route(None, 0, ETH0)]])
def test_where_nothing_forbids_it_no_cause_is_named(tmp_path, routes):
    (found,) = findings(tmp_path, routes)
    assert found.kind == "unanswered"


def test_where_a_mark_decides_the_cause_is_doubtful(tmp_path):
    """Which mark the packet had is not recorded."""
    by_mark = {"family": 2, "priority": 100, "action": "lookup", "table": 100, "mark": 1}
    routes = [*NEAR, FAR, route(None, 0, ETH0, table=100)]
    found = findings(tmp_path, routes, rp_filter="0", rules=[RULES[0], by_mark, RULES[1]])
    assert all(one.kind != "no_route" or one.confidence < 0.8 for one in found)
