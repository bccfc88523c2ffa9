"""Connections whose sequence numbers something on the way shifts: each segment is one packet all the same."""

from ..plain import Plain, numbers, tcp
from ..scene import paths

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
