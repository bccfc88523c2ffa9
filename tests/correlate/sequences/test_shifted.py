"""Connections whose sequence numbers something on the way shifts: each segment is one packet all the same."""

import json

import pytest
from scapy.layers.inet import IP, TCP

from ttrace.report import render_telling
from ttrace.report.telling import Telling
from ttrace.tests.report.json.plain import assert_written_as_plain

from ..plain import Plain, numbers, tcp
from ..scene import IN, OUT, Node, correlate, keep_recording, paths, steps

CLIENT, SERVER = ("192.0.2.10", 40_000), ("203.0.113.5", 80)
COOKIE, CLIENT_ISN, SERVER_ISN = 3_000_000_000, 1_000, 77_000
SHIFT = SERVER_ISN - COOKIE + 2**32


class Proxied:
    """A client and a server of which a proxy between them knows the client by a cookie. Times are microseconds."""

    def __init__(self, ahead_us: float = 0, client=CLIENT, server=SERVER) -> None:
        self.plain = Plain({"a": 0, "b": ahead_us})
        self.client, self.server = client, server
        self.up, self.down = 0, 0
        """Bytes that either has sent."""

    def handshakes(self, time_us: float = 0) -> None:
        a, b = self.client, self.server
        for point, source, destination, later_us, build, ttl in (
            ("a", a, b, 0, tcp("S", CLIENT_ISN, 0, 11), 64),
            ("a", b, a, 50, tcp("SA", COOKIE, CLIENT_ISN + 1, 0, window=0), 64),
            ("a", a, b, 1_000, tcp("A", CLIENT_ISN + 1, COOKIE + 1, 12), 64),
            ("b", a, b, 1_050, tcp("S", CLIENT_ISN, COOKIE, 0), 64),
            ("b", b, a, 3_000, tcp("SA", SERVER_ISN, CLIENT_ISN + 1, 0, window=9_000), 64),
            ("b", a, b, 3_050, tcp("A", CLIENT_ISN + 1, SERVER_ISN + 1, 0, window=9_000), 64),
            ("a", b, a, 3_060, tcp("A", COOKIE + 1, CLIENT_ISN + 1, 0, window=9_000), 64),
        ):
            self.plain.see(point, time_us + later_us, build(source, destination, ttl))

    def request(self, time_us: float, ip_id: int, payload: bytes = b"", flags: str = "PA") -> None:
        sequence = CLIENT_ISN + 1 + self.up
        for point, isn, ttl in (("a", COOKIE, 64), ("b", SERVER_ISN, 63)):
            build = tcp(flags, sequence, (isn + 1 + self.down) % 2**32, ip_id, payload)
            self.plain.see(point, time_us + 60 * (64 - ttl), build(self.client, self.server, ttl))
        self.up += len(payload)

    def answer(self, time_us: float, ip_id: int, payload: bytes = b"", flags: str = "PA") -> None:
        for point, isn, ttl in (("b", SERVER_ISN, 64), ("a", COOKIE, 63)):
            build = tcp(flags, (isn + 1 + self.down) % 2**32, CLIENT_ISN + 1 + self.up, ip_id, payload)
            self.plain.see(point, time_us + 60 * (64 - ttl), build(self.server, self.client, ttl))
        self.down += len(payload)

    def talk(self, begin_us: float = 10_000, turns: int = 2) -> None:
        for turn in range(turns):
            start = begin_us + 10_000 * turn
            self.request(start, 20 + 2 * turn, b"request %d" % turn)
            self.answer(start + 3_000, 500 + turn, b"the answer %d" % turn)
            self.request(start + 4_000, 21 + 2 * turn, flags="A")


class Firewall:
    """A client and a server with something between them that shifts what either sends. Times are microseconds."""

    def __init__(
        self, up: int, down: int, *, hop: int = 1, ids: bool = True, ahead_us: float = 0, client=CLIENT
    ) -> None:
        """`hop`: by how much it lowers TTL; `ids`: packets have IP ids."""
        self.plain = Plain({"a": 0, "b": ahead_us})
        self.shift = {"c": up, "s": down}
        self.next = {"c": CLIENT_ISN, "s": SERVER_ISN}
        self.hop, self.ids = hop, ids
        self.client = client
        self.server = ("2001:db8::5", 80) if ":" in client[0] else SERVER
        self._id = 100

    def send(self, time_us: float, who: str, flags: str, payload: bytes = b"", rewritten: bytes | None = None) -> None:
        """`rewritten`: what a helper makes of the payload."""
        other = "s" if who == "c" else "c"
        self._id += 1
        ends = (self.client, self.server) if who == "c" else (self.server, self.client)
        behind = payload if rewritten is None else rewritten
        # Who is at `a` has its own numbers there, and the other's as they are behind the firewall.
        near = ("a", "b") if who == "c" else ("b", "a")
        for turn, point in enumerate(near):
            seq = self.next[who] + (self.shift[who] if turn else 0)
            ack = self.next[other] + (0 if turn else self.shift[other]) if "A" in flags else 0
            build = tcp(flags, seq % 2**32, ack % 2**32, self._id if self.ids else 0, behind if turn else payload)
            self.plain.see(point, time_us + 60 * turn, build(*ends, 64 - self.hop * turn))
        self.next[who] += len(payload) + ("S" in flags) + ("F" in flags)
        self.shift[who] += len(behind) - len(payload)

    def handshake(self) -> None:
        self.send(0, "c", "S")
        self.send(2_000, "s", "SA")
        self.send(4_000, "c", "A")

    def talk(self, begin_us: float = 10_000, turns: int = 2) -> None:
        for turn in range(turns):
            start = begin_us + 10_000 * turn
            self.send(start, "c", "PA", b"request %d" % turn)
            self.send(start + 3_000, "s", "PA", b"the answer %d" % turn)
            self.send(start + 4_000, "c", "A")

    def close(self, time_us: float) -> None:
        self.send(time_us, "c", "FA")
        self.send(time_us + 2_000, "s", "FA")
        self.send(time_us + 4_000, "c", "A")


def test_segments_through_a_cookie_proxy_are_one_packet_each(tmp_path):
    scene = Proxied()
    scene.handshakes()
    scene.talk()
    result = scene.plain.correlate(tmp_path)
    found = paths(result)
    assert result.connections.count == 1
    behind = [path for path in found if len(numbers(path)) == 2]
    assert len(behind) == 6
    for path in behind:
        shift = path.sequence_shift
        expected = (0, SHIFT) if path.forward else (-SHIFT, 0)
        assert (shift.sequence, shift.acknowledgment) == expected
        assert not path.rewrites
    assert sorted(numbers(path)["a"][0] for path in behind) == [5, 6, 7, 8, 9, 10]
    assert len(found) == 6 + 7  # and every packet of the handshakes by itself
    assert not [path for path in found if path.outcome == "lost"]


def test_the_handshakes_of_a_cookie_proxy_stay_apart(tmp_path):
    scene = Proxied()
    scene.handshakes()
    scene.talk()
    found = {str(numbers(path)): path for path in paths(scene.plain.correlate(tmp_path))}
    for taken in ({"a": [1]}, {"a": [3]}, {"b": [2]}):
        path = found[str(taken)]
        assert (path.outcome, path.reason.kind) == ("unknown", "proxied")
    for own in ({"a": [2]}, {"a": [4]}, {"b": [1]}, {"b": [3]}):
        assert found[str(own)].outcome != "lost"
        assert found[str(own)].sequence_shift is None


def test_an_answer_that_looks_like_the_proxys_own_is_a_packet_of_the_server(tmp_path):
    """The acknowledgments of request sockets have no IP id either; TTL tells who sent it."""
    scene = Proxied()
    scene.handshakes()
    for point, isn, ttl in (("b", SERVER_ISN, 64), ("a", COOKIE, 63)):
        build = tcp("A", isn + 1, CLIENT_ISN + 1, 0, window=9_000)
        scene.plain.see(point, 4_000 + 60 * (64 - ttl), build(SERVER, CLIENT, ttl))
    scene.talk()
    found = [
        numbers(path) for path in paths(scene.plain.correlate(tmp_path)) if path.info == "ACK" and not path.forward
    ]
    assert found == [{"a": [4]}, {"a": [5], "b": [4]}]


@pytest.mark.parametrize("ahead_us", [0, 40_000_000])
@pytest.mark.parametrize(("up", "down"), [(1_000_000, 2**31 + 5), (0, -70_000), (2**32 - 500, 0)])
@pytest.mark.parametrize("hop", [0, 1])
def test_a_firewall_that_chooses_initial_numbers(up, down, hop, ahead_us, tmp_path):
    scene = Firewall(up, down, hop=hop, ahead_us=ahead_us)
    scene.handshake()
    scene.talk()
    scene.close(50_000)
    result = scene.plain.correlate(tmp_path)
    found = paths(result)
    assert [numbers(path) for path in found] == [{"a": [n], "b": [n]} for n in range(1, 13)]
    assert result.connections.count == 1
    for path in found:
        assert (path.sequence_shift is None) == ((up if path.forward else down) == 0 and path.info == "SYN")
    assert {path.outcome for path in found} == {"delivered"}


def test_numbers_without_ids_and_a_router_between(tmp_path):
    scene = Firewall(12_345, 99_999, ids=False, client=("2001:db8:1::2", 40_000))
    scene.handshake()
    scene.talk(turns=3)
    assert {len(numbers(path)) for path in paths(scene.plain.correlate(tmp_path))} == {2}


def test_what_came_in_the_middle_of_a_connection(tmp_path):
    scene = Firewall(5_000, 7_000)
    scene.talk()
    scene.close(50_000)
    found = paths(scene.plain.correlate(tmp_path))
    assert [numbers(path) for path in found] == [{"a": [n], "b": [n]} for n in range(1, 10)]


def test_a_helper_that_makes_a_payload_longer(tmp_path):
    """As for FTP: from the rewritten command on, everything is shifted; that command itself is another packet."""
    scene = Firewall(0, 0)
    scene.handshake()
    scene.talk()
    scene.send(40_000, "c", "PA", b"PORT 10,0,0,2,4,1", b"PORT 192,168,100,200,4,1")
    scene.send(43_000, "s", "PA", b"200 PORT command successful")
    scene.send(44_000, "c", "A")
    scene.talk(60_000)
    scene.close(90_000)
    every = paths(scene.plain.correlate(tmp_path))
    found = [(numbers(path), path.sequence_shift) for path in every]
    one = {min(places["a"]): (places, shift) for places, shift in found if len(places) == 2}
    assert sorted(one) == [n for n in range(1, 22) if n != 10]
    for number, (places, shift) in one.items():
        assert places == {"a": [number], "b": [number]}
        assert (shift is not None) == (number > 10)
    assert (one[11][1].sequence, one[11][1].acknowledgment) == (0, -7)
    assert (one[12][1].sequence, one[12][1].acknowledgment) == (7, 0)
    assert sorted(str(places) for places, _ in found if len(places) == 1) == ["{'a': [10]}", "{'b': [10]}"]
    assert not [path for path in every if path.outcome == "lost" or path.goes_on_as or path.payload_rewritten]


def test_a_traced_router_with_a_cookie_proxy(tmp_path):
    """Chains see a segment with the numbers with which it came in."""
    router = Node("r")
    router.interface("eth0", 2, addresses=["192.0.2.1"])
    router.interface("eth1", 3, addresses=["203.0.113.1"])
    scene = Proxied()
    scene.handshakes()
    scene.talk()
    for point, time_us, data in scene.plain._records:
        from_client = IP(data).src == CLIENT[0]
        came_in = (point == "a") == from_client
        name = "eth0" if point == "a" else "eth1"
        router.see(name, IN if came_in else OUT, time_us, data)
        if came_in and time_us >= 10_000:
            iif, oif = (2, 3) if from_client else (3, 2)
            router.trace(time_us + 5, data, "PREROUTING", table="raw", iif=iif)
            router.trace(time_us + 9, data, "FORWARD", iif=iif, oif=oif)
    keep_recording(router)
    found = paths(correlate(tmp_path, router))
    through = [path for path in found if path.sequence_shift]
    assert len(through) == 6
    for path in through:
        way = ["eth0 in", "PREROUTING", "FORWARD", "eth1 out"]
        assert steps(path) == (way if path.forward else ["eth1 in", "PREROUTING", "FORWARD", "eth0 out"])
        assert abs(path.sequence_shift.sequence + path.sequence_shift.acknowledgment) == SHIFT
    assert [steps(path) for path in found if path.outcome == "lost"] == []
    assert [steps(path) for path in found if path.reason and path.reason.kind == "proxied"] == [
        ["eth0 in"], ["eth0 in"], ["eth1 in"]
    ]  # fmt: skip


def test_a_traced_command_that_a_helper_makes_longer_is_one_packet(tmp_path, monkeypatch):
    router = Node("r")
    router.interface("eth0", 2, addresses=["192.0.2.1"])
    router.interface("eth1", 3, addresses=["203.0.113.1"])
    scene = Firewall(0, 0)
    scene.handshake()
    scene.send(40_000, "c", "PA", b"PORT 10,0,0,2,4,1", b"PORT 192,168,100,200,4,1")
    scene.send(43_000, "s", "PA", b"200 PORT command successful")
    scene.talk(60_000)
    for point, time_us, data in scene.plain._records:
        from_client = IP(data).src == CLIENT[0]
        came_in = (point == "a") == from_client
        router.see("eth0" if point == "a" else "eth1", IN if came_in else OUT, time_us, data)
        if came_in:
            router.trace(time_us + 5, data, "FORWARD", iif=2 if from_client else 3, oif=3 if from_client else 2)
    keep_recording(router)
    result = correlate(tmp_path, router)
    found = [path for path in paths(result) if path.protocol == "tcp"]
    assert {len(path.hops) for path in found} == {3}
    (command,) = [path for path in found if path.payload_rewritten]
    assert any(path.sequence_shift for path in found)
    assert_written_as_plain(result, monkeypatch)
    assert steps(command) == ["eth0 in", "FORWARD", "eth1 out"]
    assert [hop.length for hop in (command.hops[0], command.hops[-1])] == [57, 64]
    assert [path.sequence_shift for path in found[:4]] == [None] * 4


def test_it_is_told_in_text_and_json(tmp_path):
    scene = Firewall(5, 0)
    scene.handshake()
    scene.talk()
    telling = Telling.chosen(scene.plain.correlate(tmp_path), every_path=True)
    text = "".join(render_telling(telling, "text"))
    assert "=> sequence numbers shifted on the way: sequence +5, acknowledgment +0" in text
    told = json.loads("".join(render_telling(telling, "json")))["paths"]
    assert told[0]["sequence_shifted"] == {"sequence": 5, "acknowledgment": 0}
    assert told[1]["sequence_shifted"] == {"sequence": 0, "acknowledgment": -5}


def test_one_segment_is_no_evidence(tmp_path):
    """Of other numbers: a payload alone comes again."""
    scene = Firewall(5_000, 7_000)
    scene.send(0, "c", "PA", b"GET / HTTP/1.1")
    found = paths(scene.plain.correlate(tmp_path))
    assert [len(numbers(path)) for path in found] == [1, 1]
    assert not [path for path in found if path.sequence_shift]


@pytest.mark.parametrize("ids", [True, False])
def test_equal_requests_of_two_hosts_with_one_address_are_two_connections(ids, tmp_path):
    """Every Docker host has a 172.17.0.2: other ids, or none and no router that would have lowered TTL."""
    scene = Firewall(5_000, 7_000, hop=0, ids=ids)
    other = Firewall(0, 0, hop=0, ids=ids)
    other._id = 9_000
    for each in (scene, other):
        each.handshake()
        each.talk(turns=4)
    records = [r for r in scene.plain._records if r[0] == "a"] + [r for r in other.plain._records if r[0] == "b"]
    moved = Firewall(0, 0).plain
    for point, time_us, data in records:
        moved.see(point, time_us, _with_numbers(data, 400_000 if point == "b" else 0))
    assert not [path for path in paths(moved.correlate(tmp_path)) if path.sequence_shift or len(numbers(path)) > 1]


def _with_numbers(data: bytes, more: int) -> bytes:
    """The same packet with so much more in its sequence and acknowledgment numbers."""
    packet = IP(data)
    packet[TCP].seq += more
    packet[TCP].ack += more if packet[TCP].ack else 0
    del packet.chksum, packet[TCP].chksum
    return bytes(packet)
