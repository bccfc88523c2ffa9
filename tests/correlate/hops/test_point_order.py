"""The order of points in plain captures: what all packets of a direction say together, and unknown where none says."""

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from ttrace.correlate import Correlation, correlate_captures
from ttrace.correlate.result.select import select
from ttrace.report import render

from ..scene import START_NS, Direction, Node, correlate, paths

CLIENT, NODE, FAR, SERVER = "172.17.0.2", "192.0.2.1", "192.0.2.2", "172.18.0.2"
UNKNOWN = Direction.UNKNOWN


def files(*names: str) -> list[Node]:
    """Plain captures of one interface each, nothing known of their machines."""
    found = []
    for name in names:
        node = Node(name, snapshots=False)
        node.interface("eth0", 2)
        found.append(node)
    return found


def packet(number: int, *, source: str = CLIENT, destination: str = FAR, ttl: int = 64) -> IP:
    return IP(src=source, dst=destination, id=number + 1, ttl=ttl) / UDP(sport=1000, dport=2000) / bytes(20 + number)


def orders(result: Correlation) -> list[list[str]]:
    return [[hop.node for hop in path.hops] for path in paths(result)]


def on_one_machine(folder, *nodes: Node) -> Correlation:
    return correlate_captures([f"box/{node.name}={node.write(folder)}" for node in nodes])


def interfaces(result: Correlation) -> list[list[str]]:
    return [[hop.interface for hop in path.hops] for path in paths(result)]


def test_where_times_tie_the_other_packets_tell(tmp_path):
    """Two points of one machine within a microsecond: tcpdump shows the same time for most packets."""
    first, second = files("first", "second")
    for number in range(10):
        # The order of the files in the command line must not decide, nor one packet for itself.
        first.see("eth0", UNKNOWN, number * 100 + (0 if number else 1), packet(number))
        second.see("eth0", UNKNOWN, number * 100 + (1 if number in (3, 4) else 0), packet(number))
    result = on_one_machine(tmp_path, second, first)
    assert interfaces(result) == [["first", "second"]] * 10
    assert all(hop.order_known for path in paths(result) for hop in path.hops)


def test_a_lower_ttl_is_further_on_whatever_two_clocks_say(tmp_path):
    near, far = files("near", "far")
    for number in range(5):
        near.see("eth0", UNKNOWN, number * 100 + 50, packet(number))
        far.see("eth0", UNKNOWN, number * 100, packet(number, ttl=63))
    result = correlate(tmp_path, near, far)
    assert orders(result) == [["near", "far"]] * 5
    assert all(hop.order_known for path in paths(result) for hop in path.hops)


def test_where_nothing_tells_the_order_it_says_so(tmp_path):
    """One direction only, two clocks, nothing changed on the way: either can have been first."""
    one, other = files("one", "other")
    for number in range(5):
        one.see("eth0", UNKNOWN, number * 100, packet(number))
        other.see("eth0", UNKNOWN, number * 100 + 5_000, packet(number))
    result = correlate(tmp_path, one, other)
    assert [[hop.order_known for hop in path.hops] for path in paths(result)] == [[True, False]] * 5
    assert {(path.outcome, path.reason.kind) for path in paths(result)} == {("unknown", "unanswered")}
    text = "".join(render(result, select(result), "text"))
    assert "(before or behind the line above: not known)" in text


def test_nobody_is_translated_back_and_forth(tmp_path):
    """Three files with clocks known to some microseconds; by their times alone the middle one would come last."""
    client, middle, server = files("client", "middle", "server")
    for number in range(10):
        start = number * 1000
        client.see("eth0", UNKNOWN, start, packet(number, destination=NODE))
        middle.see("eth0", UNKNOWN, start + 40, packet(number, destination=SERVER))
        server.see("eth0", UNKNOWN, start + 41, packet(number, source=NODE, destination=SERVER))
        back = IP(src=SERVER, dst=NODE, id=500 + number) / UDP(sport=2000, dport=1000) / bytes(50 + number)
        server.see("eth0", UNKNOWN, start + 300, back)
        back = back.copy()
        back[IP].dst = CLIENT
        middle.see("eth0", UNKNOWN, start + 290, back)
        back = back.copy()
        back[IP].src = NODE
        client.see("eth0", UNKNOWN, start + 340, back)
    result = correlate(tmp_path, client, middle, server)
    found = paths(result)
    there = [[hop.node for hop in path.hops] for path in found if path.hops[0].node == "client"]
    assert there == [["client", "middle", "server"]] * 10
    back = [[hop.node for hop in path.hops] for path in found if path.hops[0].node != "client"]
    assert back == [["server", "middle", "client"]] * 10
    assert all(len(path.rewrites) == 2 for path in found)


def test_a_router_with_one_arm_shows_a_packet_twice_and_in_order(tmp_path):
    (node,) = files("router")
    for number in range(4):
        node.see("eth0", UNKNOWN, number * 100, packet(number))
        node.see("eth0", UNKNOWN, number * 100 + 3, packet(number, ttl=63))
    assert [[hop.ttl for hop in path.hops] for path in paths(correlate(tmp_path, node))] == [[64, 63]] * 4


def test_more_points_than_all_orders_can_be_tried_of(tmp_path):
    """Nine routers in a row."""
    nodes = files(*(f"r{number}" for number in range(9)))
    for number in range(3):
        for place, node in enumerate(nodes):
            node.see("eth0", UNKNOWN, number * 1000 + (place * 7) % 9, packet(number, ttl=64 - place))
    result = correlate(tmp_path, *reversed(nodes))
    assert orders(result) == [[node.name for node in nodes]] * 3


def test_packets_that_may_have_overtaken_each_other_between_nodes_are_ambiguous(tmp_path):
    """Two equal SYN-ACKs, sent 273 us apart, on the way at the same time."""
    answer = IP(src=SERVER, dst=FAR, id=0, flags="DF") / TCP(sport=80, dport=1000, flags="SA", seq=5, ack=9)
    here, there = files("here", "there")
    for start in (0, 273):
        here.see("eth0", UNKNOWN, start, answer)
        there.see("eth0", UNKNOWN, 2_000 + start, answer)
    for start in (10_000, 20_000):
        here.see("eth0", UNKNOWN, start, packet(start // 10_000))
        there.see("eth0", UNKNOWN, start + 2_000, packet(start // 10_000))
        back = IP(src=FAR, dst=CLIENT, id=900 + start // 10_000) / UDP(sport=2000, dport=1000)
        there.see("eth0", UNKNOWN, start + 5_000, back)
        here.see("eth0", UNKNOWN, start + 7_000, back)
    found = paths(correlate(tmp_path, here, there))
    assert [path.ambiguous for path in found if path.protocol == "tcp"] == [True, True]
    assert not any(path.ambiguous for path in found if path.protocol == "udp")


def test_equal_packets_one_after_the_other_are_not_ambiguous(tmp_path):
    answer = IP(src=SERVER, dst=FAR, id=0, flags="DF") / TCP(sport=80, dport=1000, flags="SA", seq=5, ack=9)
    here, there = files("here", "there")
    for start in (0, 273):
        here.see("eth0", UNKNOWN, start, answer)
        there.see("eth0", UNKNOWN, start + 20, answer)
    assert [path.ambiguous for path in paths(correlate(tmp_path, here, there))] == [False, False]


def ahead(name: str, ppm: float, ahead_s: int) -> Node:
    """Its clock is ahead when the scene begins, and gains so much."""
    (node,) = files(name)
    node.clock = lambda time_ns: time_ns + ahead_s * 10**9 + round((time_ns - START_NS) * ppm / 1e6)
    return node


def passes(near: Node, far: Node, time_us: float, number: int, *, back: bool = False, hop: int = 1) -> None:
    """A packet from one to the other, 64 us and so many hops away; `back`: the other way round."""
    ends = {"source": FAR, "destination": CLIENT} if back else {}
    ports = (2000, 1000) if back else (1000, 2000)
    for place, node in enumerate((far, near) if back else (near, far)):
        seen = packet(number, **ends, ttl=64 - hop * place)
        seen[UDP].sport, seen[UDP].dport = ports
        node.see("eth0", UNKNOWN, time_us + 64 * place, seen)


@pytest.mark.parametrize("ppm", [70, -70, 400])
@pytest.mark.parametrize("hop", [1, 0])
def test_two_packets_tell_of_the_clocks_what_they_were_then(ppm, hop, tmp_path):
    """Seconds before and behind them TTL tells, and where it does not, nothing."""
    near, far = files("near")[0], ahead("far", ppm, -300)
    for number, (time_us, back) in enumerate([(0, 1), (100_000, 0), (3e6, 1), (3.002e6, 0), (6e6, 0), (7e6, 1)]):
        # In 2 ms one each way, with a TTL that says which: so the clocks are known for that time.
        passes(near, far, time_us, number, back=bool(back), hop=1 if number in (2, 3) else hop)
    found = paths(correlate(tmp_path, near, far))
    there = [["far", "near"] if path.hops[0].source.startswith(FAR) else ["near", "far"] for path in found]
    known = [[hop.order_known for hop in path.hops] for path in found]
    assert len(found) == 6
    if hop:
        assert [[hop.node for hop in path.hops] for path in found] == there
        assert known == [[True, True]] * 6


def test_a_clock_that_is_known_says_nothing_hours_later(tmp_path):
    """Another flow, one way only, with one TTL at both points: nobody knows where it was first."""
    near, far = files("near")[0], ahead("far", 20, 5)
    for number in range(10):
        passes(near, far, number * 1000, number, back=number % 2 == 1)
    for number in range(10, 20):
        for node, later in ((near, 0), (far, 64)):
            other = IP(src="10.0.0.1", dst="10.0.0.2", id=number, ttl=9) / UDP(sport=1, dport=2) / bytes(number)
            node.see("eth0", UNKNOWN, 3600e6 + number * 1000 + later, other)
    found = paths(correlate(tmp_path, near, far))
    assert [path.hops[1].order_known for path in found] == [True] * 10 + [False] * 10


def test_of_a_way_that_goes_on_without_evidence_counts_what_the_clocks_said_before(tmp_path):
    near, far = files("near")[0], ahead("far", -50, 0)
    for number in range(10):
        passes(near, far, number * 100_000, number, back=number % 2 == 1)
    for number in range(10, 90):  # with the same TTL at both
        for node, later in ((near, 0), (far, 200)):
            other = IP(src="10.0.0.1", dst="10.0.0.2", id=number, ttl=9) / UDP(sport=1, dport=2) / bytes(number)
            node.see("eth0", UNKNOWN, (number - 7) * 200_000 + later, other)
    found = [path for path in paths(correlate(tmp_path, near, far)) if path.hops[0].ttl == 9]
    assert [path.hops[1].order_known for path in found] == [True] * 80
    assert {path.hops[0].node for path in found} == {"near"}


def in_tunnel(number: int, *, outer_ttl: int) -> IP:
    """A packet in VXLAN, as the routers between the ends of the tunnel see it."""
    around = IP(src="192.0.2.8", dst="192.0.2.9", id=number + 1, ttl=outer_ttl) / UDP(sport=50_000, dport=4789)
    return around / VXLAN(vni=7) / Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet(number)


def test_the_ttl_around_a_packet_in_a_tunnel_orders_points(tmp_path):
    """What is inside is the same all the way; clocks say the opposite, and nothing bounds them."""
    nodes = files("first", "second", "third")
    for number in range(5):
        for place, node in enumerate(nodes):
            node.see("eth0", UNKNOWN, number * 100 - 30 * place, in_tunnel(number, outer_ttl=64 - place))
    result = correlate(tmp_path, *nodes[::-1])
    assert orders(result) == [["first", "second", "third"]] * 5
    assert all(hop.order_known for path in paths(result) for hop in path.hops)
