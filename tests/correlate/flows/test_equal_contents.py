"""What many flows have in common: joined across a translation where something tells them apart, and never joined where
there was none."""

from collections import Counter

import pytest
from scapy.layers.inet import fragment

from ..plain import Plain, back, numbers, talk, tcp, udp
from ..scene import paths

CLIENT, NAT, SERVER, VIRTUAL = "192.0.2.10", "198.51.100.7", "203.0.113.5", "203.0.113.80"
ISN = 58_394_469
HOSTS = [3, 20, 60]


def host(number: int) -> str:
    return f"203.0.113.{number + 1}"


def plain(points: str = "ab") -> Plain:
    return Plain(dict.fromkeys(points, 0))


def assert_joined(result, packets: int) -> None:
    """Each packet is in one path with its other view, and none with another."""
    found = paths(result)
    assert len(found) == packets
    for path in found:
        assert len(path.hops) == 2
        assert numbers(path)["a"] == numbers(path)["b"]
        assert path.rewrites


def assert_nothing_translated(result) -> None:
    assert not [path.rewrites for path in paths(result) if path.rewrites]


def scan(scene: Plain, hosts: int, *, one_port: bool, one_id: bool, times: int = 1) -> int:
    """Through SNAT, one sequence number for all hosts; returns how many packets."""
    for again in range(times):
        for number in range(hosts):
            inside = (CLIENT, 40_000 if one_port else 40_000 + number)
            outside = (NAT, 50_000 if one_port else 50_000 - 7 * number)
            server = (host(number), 6_346)
            views = {"a": (inside, server), "b": (outside, server)}
            ip_id = 0 if one_id else 100 * again + number + 1
            scene.send(3_000_000 * again + 10_000 * number, views, tcp("S", ISN, 0, ip_id))
    return hosts * times


@pytest.mark.parametrize("one_id", [True, False])
@pytest.mark.parametrize("one_port", [True, False])
@pytest.mark.parametrize("hosts", HOSTS)
def test_a_scanner_with_one_sequence_number_through_snat(hosts, one_port, one_id, tmp_path):
    scene = plain()
    packets = scan(scene, hosts, one_port=one_port, one_id=one_id)
    result = scene.correlate(tmp_path)
    assert_joined(result, packets)
    assert result.connections.count == hosts


def test_a_scanner_that_tries_again(tmp_path):
    scene = plain()
    packets = scan(scene, 5, one_port=False, one_id=True, times=3)
    assert_joined(scene.correlate(tmp_path), packets)


def test_a_scanner_that_is_refused(tmp_path):
    """The refusals are equal too."""
    scene = plain()
    for number in range(8):
        server = (host(number), 81)
        views = {"a": ((CLIENT, 40_000), server), "b": ((NAT, 50_000), server)}
        scene.send(10_000 * number, views, tcp("S", ISN))
        scene.send(10_000 * number + 3_000, back(views), tcp("RA", 0, ISN + 1, window=0))
    assert_joined(scene.correlate(tmp_path), 16)


@pytest.mark.parametrize("hosts", HOSTS)
def test_a_scanner_that_nobody_translates(hosts, tmp_path):
    """Each capture missed some of it, and the hosts of both are never taken for one."""
    scene = plain()
    for number in range(hosts):
        views = dict.fromkeys("ab", ((CLIENT, 40_000), (host(number), 6_346)))
        scene.send(10_000 * number, views, tcp("S", ISN), without="ab"[number % 2] if number % 3 == 0 else "")
    assert_nothing_translated(scene.correlate(tmp_path))


@pytest.mark.parametrize("clients", HOSTS)
def test_many_clients_with_one_sequence_number_through_dnat(clients, tmp_path):
    scene = plain()
    for number in range(clients):
        client = (host(number), 40_000)
        views = {"a": (client, (VIRTUAL, 80)), "b": (client, ("10.0.0.5", 8_080))}
        scene.send(10_000 * number, views, tcp("S", ISN))
    assert_joined(scene.correlate(tmp_path), clients)


def test_one_server_and_one_sequence_number_the_order_of_time_tells(tmp_path):
    scene = plain()
    talk(scene, -100_000, {"a": ((CLIENT, 39_999), (VIRTUAL, 80)), "b": ((CLIENT, 39_999), (VIRTUAL, 80))}, 5)
    for number in range(6):
        server = (SERVER, 80)
        views = {"a": ((CLIENT, 40_000 + number), server), "b": ((NAT, 50_000 - 7 * number), server)}
        scene.send(10_000 * number, views, tcp("S", ISN))
    result = scene.correlate(tmp_path)
    found = [path for path in paths(result) if path.info == "SYN" and path.connection > 1]
    assert [(path.hops[0].source, path.hops[1].source) for path in found] == [
        (f"{CLIENT}:{40_000 + number}", f"{NAT}:{50_000 - 7 * number}") for number in range(6)
    ]


def test_all_at_once_nothing_tells_which_is_which(tmp_path):
    scene = plain()
    for number in range(6):
        server = (SERVER, 80)
        views = {"a": ((CLIENT, 40_000 + number), server), "b": ((NAT, 50_000 - 7 * number), server)}
        scene.send(5 * number, views, tcp("S", ISN))
    result = scene.correlate(tmp_path)
    assert_nothing_translated(result)
    assert not [path for path in paths(result) if path.outcome == "lost" and path.confidence > 0.9]


def question(scene: Plain, time_us: float, views, *, ip_id: int, answer: bytes, rtt_us: float = 20_000) -> None:
    scene.send(time_us, views, udp(b"\x2c\xb7www.example.com", ip_id))
    scene.send(time_us + rtt_us, back(views), udp(answer, 0), ttl=58)


@pytest.mark.parametrize("ip_id", [0, 1])
def test_equal_answers_of_two_resolvers_in_two_files(ip_id, tmp_path):
    scene = plain()
    for number, resolver in enumerate(("198.51.100.53", "203.0.113.53")):
        server = (resolver, 53)
        views = {"a": ((CLIENT, 61_387 + number), server), "b": ((NAT, 20_001 + number), server)}
        question(scene, 25_900 * number, views, ip_id=ip_id * (9 + number), answer=b"one answer for all")
    result = scene.correlate(tmp_path)
    assert_joined(result, 4)
    assert result.connections.count == 2


@pytest.mark.parametrize("without", ["", "ab"])
def test_equal_answers_of_two_resolvers_that_nobody_translates(without, tmp_path):
    scene = plain()
    for number, resolver in enumerate(("198.51.100.53", "203.0.113.53")):
        views = dict.fromkeys("ab", ((CLIENT, 61_387 + number), (resolver, 53)))
        missing = without[number : number + 1]
        scene.send(100 * number, views, udp(b"\x2c\xb7www.example.com", 0), without=missing)
        scene.send(20_000 + 9_000 * number, back(views), udp(b"one answer", 0), ttl=58 - 4 * number, without=missing)
    assert_nothing_translated(scene.correlate(tmp_path))


@pytest.mark.parametrize("ttl", [60, 63, 64])
def test_at_one_point_equal_datagrams_of_two_servers_are_two(ttl, tmp_path):
    scene = plain("a")
    for number, server in enumerate(("198.51.100.53", "203.0.113.53")):
        scene.see(
            "a", 5_000 * number, udp(b"one answer")((server, 53), (CLIENT, 61_387 + number), 64 if number else ttl)
        )
        scene.see("a", 5_000 * number, udp(b"and more")((server, 53), (CLIENT, 61_387 + number), ttl if number else 64))
    result = scene.correlate(tmp_path)
    assert result.connections.count == 2
    assert_nothing_translated(result)


@pytest.mark.parametrize(("ids", "ttls", "joined"), [
    ((7, 7), (64, 63), True), ((7, 7), (63, 64), False), ((7, 7), (64, 64), False), ((7, 7), (64, 60), False),
    ((7, 8), (64, 63), False), ((0, 0), (64, 63), False)])  # fmt: skip
def test_at_one_point_id_and_ttl_say_that_a_datagram_came_by_again(ids, ttls, joined, tmp_path):
    scene = plain("a")
    for number, source in enumerate(((CLIENT, 5_000), (NAT, 20_001))):
        scene.see("a", 50 * number, udp(b"a datagram", ids[number])(source, (SERVER, 514), ttls[number]))
    found = paths(scene.correlate(tmp_path))
    assert len(found) == (1 if joined else 2)
    assert Counter(len(path.rewrites) for path in found) == ({1: 1} if joined else {0: 2})


def test_streams_of_equal_datagrams_through_snat(tmp_path):
    scene = plain()
    for number in range(20):
        for client in range(2):
            views = {"a": ((CLIENT, 5_000 + client), (SERVER, 514 + client)),
                     "b": ((NAT, 20_001 + client), (SERVER, 514 + client))}  # fmt: skip
            scene.send(20_000 * number + 7_000 * client, views, udp(b"alive"))
    assert_joined(scene.correlate(tmp_path), 40)


def test_equal_datagrams_to_two_collectors_seen_on_two_branches(tmp_path):
    scene = plain()
    for number in range(10):
        for branch, collector in (("a", VIRTUAL), ("b", SERVER)):
            scene.see(
                branch,
                20_000 * number,
                udp(b"log line %d" % number)((CLIENT, 5_000 + ord(branch)), (collector, 514), 63),
            )
    assert_nothing_translated(scene.correlate(tmp_path))


@pytest.mark.parametrize("ahead_us", [0, -1_300_000, 7_200_000_000])
def test_datagrams_that_differ_in_nothing_but_what_they_carry_are_told_apart_by_it(ahead_us, tmp_path):
    """One way, one IP id, one length: only the payload is each one's own. However far apart clocks are."""
    scene = Plain({"a": 0, "b": ahead_us})
    views = {"a": ((CLIENT, 53), (VIRTUAL, 53)), "b": ((NAT, 27_145), (SERVER, 53))}
    for number in range(300):
        scene.send(1_000 * number, views, udp(b"what is test%04d.example?" % number, 1))
    result = scene.correlate(tmp_path)
    assert_joined(result, 300)
    assert not any(path.ambiguous for path in paths(result))


def test_of_what_was_cut_into_fragments_the_rest_says_which_flows_are_one(tmp_path):
    """Most datagrams are cut behind the first point, and no fragment looks like its datagram."""
    scene = Plain({"a": 0, "b": 0})
    views = {"a": ((CLIENT, 5_000), (SERVER, 53)), "b": ((NAT, 6_000), (SERVER, 53))}
    for number in range(40):
        (source, destination), outside = views["a"], views["b"][0]
        large = udp(b"x" * 900 + b"%04d" % number, 100 + number)
        whole = large(source, destination, 64)
        whole.flags = 0
        scene.see("a", 10_000 * number, whole)
        translated = large(outside, destination, 63)
        translated.flags = 0
        for later, piece in enumerate(fragment(translated, 500)):
            scene.see("b", 10_000 * number + 60 + later, piece)
        if number % 4 == 0:
            scene.send(10_000 * number + 5_000, views, udp(b"small %d" % number, 500 + number))
    result = scene.correlate(tmp_path)
    assert result.connections.count == 1
    assert len(paths(result)) == 50


def test_two_packets_of_one_moment_are_not_one_that_passed_twice(tmp_path):
    """Anonymised, and all else alike, the TTL too but for one: nothing is forwarded in no time."""
    scene = plain()
    for number in range(2):
        views = {
            "a": ((host(2 * number), 4_000 + number), (host(50 + number), 500 + number)),
            "b": ((NAT, 6_000 + number), (host(50 + number), 500 + number)),
        }
        for point, ttl in (("a", 60 - number), ("b", 59 - number)):
            scene.see(point, 1_000 + 400 * (point == "b"), udp(b"all the same", 20_000)(*views[point], ttl))
    found = paths(scene.correlate(tmp_path))
    assert [numbers(path) for path in found] == [{"a": [1], "b": [1]}, {"a": [2], "b": [2]}]
    assert [len(path.rewrites) for path in found] == [1, 1]
