"""Who is the client, and so what kind a rewrite is, where a capture did not see the connection begin."""

import pytest
from scapy.layers.inet import ICMP, IP

from ..plain import Plain, back, middle, talk, tcp, udp
from ..scene import paths

CLIENT, NAT, SERVER, VIRTUAL = "192.0.2.10", "198.51.100.7", "203.0.113.5", "203.0.113.80"


def snat(port: int, server_port: int = 80, *, outside: int = 20_001):
    server = (SERVER, server_port)
    return {"a": ((CLIENT, port), server), "b": ((NAT, outside), server)}


def dnat(port: int, virtual_port: int = 80, server_port: int = 8080):
    client = (CLIENT, port)
    return {"a": (client, (VIRTUAL, virtual_port)), "b": (client, (SERVER, server_port))}


def both(port: int, server_port: int = 80):
    return {"a": ((CLIENT, port), (VIRTUAL, server_port)), "b": ((NAT, 20_001), (SERVER, server_port))}


def plain() -> Plain:
    return Plain({"a": 0, "b": 0})


def assert_client(result, port: int, kinds: set[str], *, connections: int = 1) -> None:
    """The first connection is the client's, and its packets and rewrites are so; the answers undo these."""
    assert result.connections.count == connections
    connection = result.connection_list()[0]
    assert connection.client == f"{CLIENT}:{port}"
    for path in paths(result):
        if path.connection != connection.id:
            continue
        assert path.forward == (path.hops[0].source == f"{CLIENT}:{port}")
        assert {rewrite.kind for rewrite in path.rewrites} == kinds
        assert {rewrite.undo for rewrite in path.rewrites} == {not path.forward}


VIEWS = [(snat, {"snat"}), (dnat, {"dnat"}), (both, {"snat", "dnat"})]


@pytest.mark.parametrize(("views", "kinds"), VIEWS)
def test_who_sends_a_syn_ack_listens(views, kinds, tmp_path):
    scene = plain()
    way = views(40_000)
    scene.send(0, back(way), tcp("SA", 8_000, 1_001, 7))
    scene.send(200, way, tcp("A", 1_001, 8_001, 8))
    middle(scene, 10_000, way, 1_000, ip_id=9)
    assert_client(scene.correlate(tmp_path), 40_000, kinds)


@pytest.mark.parametrize(("views", "kinds"), VIEWS)
@pytest.mark.parametrize("port", [40_000, 900])
def test_in_mid_connection_the_port_of_a_known_service_says_it(views, kinds, port, tmp_path):
    scene = plain()
    way = views(port)
    scene.send(0, back(way), tcp("PA", 8_000, 1_001, 7, b"an event"))
    scene.send(200, way, tcp("A", 1_001, 8_008, 8))
    middle(scene, 10_000, way, 1_000, ip_id=9)
    assert_client(scene.correlate(tmp_path), port, kinds)


@pytest.mark.parametrize("later", [True, False])
def test_a_server_is_known_by_a_connection_that_it_takes_before_or_later(later, tmp_path):
    scene = plain()
    way = snat(443, 7_777)
    scene.send(0, back(way), tcp("PA", 8_000, 1_001, 7, b"an event"))
    scene.send(200, way, tcp("A", 1_001, 8_008, 8))
    talk(scene, 50_000 if later else -50_000, snat(40_000, 7_777, outside=20_002), 500_000, ip_id=2_000)
    result = scene.correlate(tmp_path)
    clients = {connection.client for connection in result.connection_list()}
    assert clients == {f"{CLIENT}:443", f"{CLIENT}:40000"}
    assert {(rewrite.kind, rewrite.undo) for path in paths(result) for rewrite in path.rewrites} == {
        ("snat", False), ("snat", True)}  # fmt: skip


def test_a_server_is_known_by_the_others_that_talk_to_it(tmp_path):
    scene = plain()
    for number, port in enumerate((443, 1_001, 1_002, 1_003)):
        way = snat(port, 7_777, outside=20_001 + number)
        middle(scene, 5_000 * number, back(way), 10_000 * number, ip_id=1_000 * number + 1)
    result = scene.correlate(tmp_path)
    assert {connection.server for connection in result.connection_list()} == {f"{SERVER}:7777"}


def test_several_services_behind_one_address_do_not_make_a_server_of_their_client(tmp_path):
    """At one point the packets of a connection are there before and after its translation."""
    scene = Plain({"a": 0})
    for number, address in enumerate((VIRTUAL, SERVER)):
        for turn in range(3):
            start = 10_000 * turn + 50 * number
            scene.see(
                "a", start, tcp("PA", 5 + turn, 9, 7 + turn, b"x")((CLIENT, 40_000), (address, 9_999), 64 - number)
            )
    result = scene.correlate(tmp_path)
    assert {connection.client for connection in result.connection_list()} == {f"{CLIENT}:40000"}


def test_an_answer_of_a_name_server_is_an_answer_though_its_question_was_missed(tmp_path):
    scene = plain()
    way = snat(40_000, 53)
    scene.send(0, back(way), udp(b"the address is 192.0.2.1", 5))
    scene.send(50_000, way, udp(b"and who is 192.0.2.2?", 6))
    assert_client(scene.correlate(tmp_path), 40_000, {"snat"})


def test_of_datagrams_between_two_ports_that_say_nothing_the_first_is_the_client_s(tmp_path):
    scene = plain()
    way = snat(2_000, 40_000)
    scene.send(0, way, udp(b"hello there", 5))
    scene.send(5_000, back(way), udp(b"and hello to you", 6))
    assert_client(scene.correlate(tmp_path), 2_000, {"snat"})


def test_who_is_pinged_is_the_server_though_its_answer_is_the_first(tmp_path):
    scene = plain()
    for number, (inside, outside, kind, source_is_client) in enumerate(
        [(CLIENT, NAT, 0, False), (CLIENT, NAT, 8, True), (CLIENT, NAT, 0, False)]
    ):
        for hop, point in enumerate("ab" if source_is_client else "ba"):
            client = inside if point == "a" else outside
            ends = (client, SERVER) if source_is_client else (SERVER, client)
            packet = IP(src=ends[0], dst=ends[1], id=9 + number, ttl=64 - hop) / ICMP(type=kind, id=3, seq=1 + number)
            scene.see(point, 10_000 * number + 60 * hop, packet / b"sixteen bytes ok")
    result = scene.correlate(tmp_path)
    assert [path.forward for path in paths(result)] == [False, True, False]
    assert {(r.kind, r.undo) for path in paths(result) for r in path.rewrites} == {("snat", True), ("snat", False)}
