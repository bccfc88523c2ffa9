"""Where the time of a connection went, at one point and at two."""

from scapy.layers.inet import IP, TCP

from ttrace.report import render_telling
from ttrace.report.telling import Telling

from ..same_in_parts import assert_same_in_parts
from ..scene import Direction, Node, correlate

CLIENT, SERVER = "10.0.0.1", "10.9.0.1"
MS = 1000
"""In microseconds, which scenes count in."""


class Talk:
    """A TCP connection as one capture point, or two 1 ms apart, see it."""

    def __init__(self, points: int = 1, *, at_the_server: bool = False) -> None:
        self.node = Node("host", snapshots=at_the_server)
        for number in range(points):
            self.node.interface(f"eth{number}", 2 + number, addresses=[SERVER] if at_the_server else [])
        self._points, self._sent, self._id = points, [100, 500], 0

    def say(self, time_ms: float, flags: str, payload: bytes = b"", *, back: bool = False, again: int = 0) -> None:
        """`again`: so many bytes of what was said before are said again."""
        self._id += 1
        mine, other = (1, 0) if back else (0, 1)
        ends = (SERVER, CLIENT, 80, 4000) if back else (CLIENT, SERVER, 4000, 80)
        packet = (
            IP(src=ends[0], dst=ends[1], id=self._id)
            / TCP(sport=ends[2], dport=ends[3], flags=flags, seq=self._sent[mine] - again, ack=self._sent[other])
            / payload
        )
        if not again:
            self._sent[mine] += len(payload) + ("S" in flags) + ("F" in flags)
        points = range(self._points)
        for late, number in enumerate(reversed(points) if back else points):
            self.node.see(f"eth{number}", Direction.UNKNOWN, time_ms * MS + late * MS, packet)

    def handshake(self) -> None:
        self.say(0, "S")
        self.say(10, "SA", back=True)
        self.say(12, "A")

    def told(self, tmp_path):
        result = correlate(tmp_path, self.node)
        assert_same_in_parts([tmp_path / "host.pcapng"], result)
        return Telling.chosen(result)


def parts_ms(told: Telling) -> dict[str, float]:
    (connection,) = told.outline.connections.first
    timeline = connection.summary.timeline
    return {
        name: getattr(timeline, name) / 1e6
        for name in ("total", "handshake", "server", "client", "way", "sending", "again")
        if getattr(timeline, name)
    }


def text(told: Telling) -> str:
    return " ".join("".join(render_telling(told, "text")).split())


def test_a_server_that_takes_its_time(tmp_path):
    talk = Talk()
    talk.handshake()
    talk.say(20, "PA", b"question")
    talk.say(2020, "PA", b"answer", back=True)
    talk.say(2025, "PA", b"more", back=True)
    told = talk.told(tmp_path)
    assert parts_ms(told) == {"total": 2025, "handshake": 12, "server": 2000, "client": 8, "sending": 5}
    (found,) = told.head[0]
    assert (found.kind, found.severity) == ("slow", "notice")
    assert found.text == (
        "who answers tcp 10.0.0.1:4000 -> 10.9.0.1:80, or the way behind host eth0, takes its time: it holds 2.0 s, "
        "99 % of the time without the client's pauses"
    )
    assert "in 2.02 s: server 2.00 s (99 %), handshake 12.0 ms (1 %), client's pauses 8,000 us (0 %)" in text(told)


def test_at_the_server_no_way_is_left_that_could_be_slow(tmp_path):
    talk = Talk(at_the_server=True)
    talk.handshake()
    talk.say(20, "PA", b"question")
    talk.say(2020, "PA", b"answer", back=True)
    (found,) = talk.told(tmp_path).head[0]
    assert found.text.startswith("who answers tcp 10.0.0.1:4000 -> 10.9.0.1:80 (host) takes its time")


def test_the_way_between_two_points_is_no_time_of_the_server(tmp_path):
    talk = Talk(points=2)
    talk.handshake()
    talk.say(20, "PA", b"question")
    talk.say(31, "PA", b"answer", back=True)
    talk.say(52, "PA", b"question")
    talk.say(63, "PA", b"answer", back=True)
    assert parts_ms(talk.told(tmp_path)) == {
        "total": 63, "handshake": 12, "server": 20, "client": 8 + 20, "way": 3,
    }  # fmt: skip


def test_a_client_that_pauses_is_not_slow(tmp_path):
    talk = Talk()
    talk.handshake()
    talk.say(5000, "PA", b"question")
    talk.say(5010, "PA", b"answer", back=True)
    told = talk.told(tmp_path)
    assert parts_ms(told)["client"] == 4988
    assert not told.head[0]


def test_what_is_sent_again_is_waited_for(tmp_path):
    talk = Talk()
    talk.handshake()
    talk.say(20, "PA", b"question")
    talk.say(1520, "PA", b"question", again=8)
    talk.say(1530, "PA", b"answer", back=True)
    told = talk.told(tmp_path)
    assert parts_ms(told) == {"total": 1530, "handshake": 12, "client": 8, "again": 1500, "server": 10}
    assert [found.kind for found in told.head[0]] == ["slow"]


def test_who_pushes_now_and_then_keeps_nobody_waiting(tmp_path):
    talk = Talk()
    talk.handshake()
    talk.say(20, "PA", b"subscribe")
    for number in range(5):
        talk.say(30 + 3000 * number, "PA", b"event", back=True)
    told = talk.told(tmp_path)
    assert parts_ms(told)["sending"] == 12_000
    assert not told.head[0]


def test_without_data_there_is_no_timeline(tmp_path):
    talk = Talk()
    talk.handshake()
    (connection,) = talk.told(tmp_path).outline.connections.first
    assert connection.summary.timeline is None
