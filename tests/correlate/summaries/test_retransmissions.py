"""What is sent again, and what only looks like it: the first point of a direction decides."""

from dataclasses import dataclass, field

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Packet

from ttrace.correlate.summaries.connections import ConnectionSummaries, summarise_connections

from ..scene import IN, OUT, Node, correlate, docker_host

CLIENT, WEB1 = "203.0.113.1", "172.17.0.2"
LATER = 9_000_000
TO_WEB1 = (("eth0", IN), ("docker0", OUT), ("veth1", OUT))
TO_CLIENT = (("veth1", IN), ("docker0", IN), ("eth0", OUT))


@dataclass
class Talk:
    """A TCP connection between a client far away and web1 on a host, segment by segment, 10 ms after one another."""

    host: Node = field(default_factory=docker_host)
    time_us: float = 1_000_000
    ip_id: int = 100

    def _packet(self, tcp: TCP, size: int, *, up: bool) -> Packet:
        self.ip_id += 1
        ends = (CLIENT, WEB1) if up else (WEB1, CLIENT)
        return IP(src=ends[0], dst=ends[1], id=self.ip_id) / tcp / (bytes([self.ip_id & 0xFF]) * size)

    def client(
        self, sequence: int, size: int = 0, *, flags: str = "A", reach: int = 3, first: int = 0, wait_us: float = 10_000
    ) -> None:
        """The client sends; the segment is seen from point number `first` on and comes `reach` points far."""
        self.time_us += wait_us
        tcp = TCP(sport=1000, dport=80, flags=flags, seq=sequence % 2**32, ack=1)
        self._see(self._packet(tcp, size, up=True), TO_WEB1[first:reach])

    def server(
        self, acknowledged: int, *, window: int = 500, sequence: int = 1, size: int = 0, flags: str = "A"
    ) -> None:
        """The server acknowledges, and may send."""
        self.time_us += 10_000
        tcp = TCP(sport=80, dport=1000, flags=flags, seq=sequence, ack=acknowledged % 2**32, window=window)
        self._see(self._packet(tcp, size, up=False), TO_CLIENT)

    def _see(self, packet: Packet, points) -> None:
        for number, (point, way) in enumerate(points):
            self.host.see(point, way, self.time_us + number, packet)

    def summary(self, tmp_path) -> ConnectionSummaries:
        late = IP(src="127.0.0.1", dst="127.0.0.1", id=9) / UDP(sport=9, dport=9)
        self.host.see("eth0", OUT, LATER, late)
        result = correlate(tmp_path, self.host)
        assert result.connections.count == 2  # this one, and the late datagram
        return summarise_connections(result)

    def retransmissions(self, tmp_path) -> tuple[list[int], list[int]]:
        """(retransmitted, spurious), each by the client and by the server."""
        found = self.summary(tmp_path)
        return found.retransmissions[0].tolist(), found.spurious[0].tolist()


def test_bytes_sent_once_are_no_retransmission(tmp_path):
    talk = Talk()
    talk.client(0, flags="S")
    talk.server(1, flags="SA", sequence=0)
    for number in range(5):
        talk.client(1 + 100 * number, 100)
        talk.server(101 + 100 * number)
    talk.client(501, flags="FA")
    talk.server(502, flags="FA")
    assert talk.retransmissions(tmp_path) == ([0, 0], [0, 0])


def test_after_a_loss_the_bytes_are_sent_again(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    talk.client(101, 100, reach=1)
    talk.client(201, 100)
    talk.server(101)
    talk.client(101, 100)
    talk.server(301)
    found = talk.summary(tmp_path)
    assert found.lost[0].tolist() == [1, 0]
    assert (found.retransmissions[0].tolist(), found.spurious[0].tolist()) == ([1, 0], [0, 0])


def test_each_of_several_losses_and_retransmissions_is_counted(tmp_path):
    talk = Talk()
    for number in range(3):
        talk.client(1 + 100 * number, 100, reach=1)
    for number in range(3):
        talk.client(1 + 100 * number, 100)
    found = talk.summary(tmp_path)
    assert (found.lost[0].tolist(), found.retransmissions[0].tolist()) == ([3, 0], [3, 0])


def test_sent_again_although_it_had_arrived_is_spurious(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    talk.client(1, 100)
    talk.server(101)
    assert talk.retransmissions(tmp_path) == ([1, 0], [1, 0])


def test_a_retransmission_of_which_only_a_part_had_arrived_is_not_spurious(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    talk.client(101, 100, reach=1)
    talk.client(1, 200)
    assert talk.retransmissions(tmp_path) == ([1, 0], [0, 0])


def test_syn_and_fin_are_sent_again_as_bytes_are(tmp_path):
    talk = Talk()
    talk.client(0, flags="S", reach=1)
    talk.client(0, flags="S")
    talk.server(1, flags="SA", sequence=0)
    talk.client(1)
    talk.server(1, flags="FA", sequence=1)
    talk.server(1, flags="FA", sequence=1)
    assert talk.retransmissions(tmp_path)[0] == [1, 1]


def test_an_acknowledgment_without_bytes_is_never_one(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    for _ in range(4):
        talk.server(101)
        talk.client(101)
    assert talk.retransmissions(tmp_path) == ([0, 0], [0, 0])


@pytest.mark.parametrize("size", [0, 1])
def test_a_keep_alive_is_none(size, tmp_path):
    talk = Talk()
    talk.client(1, 100)
    talk.server(101)
    for _ in range(3):
        talk.client(100, size, wait_us=500_000)
        talk.server(101)
    talk.client(101, 100)
    assert talk.retransmissions(tmp_path) == ([0, 0], [0, 0])


def test_the_last_byte_before_it_is_acknowledged_is_sent_again_not_kept_alive(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    talk.server(101)
    talk.client(101, 1, reach=1)
    talk.client(101, 1)
    talk.server(102)
    assert talk.retransmissions(tmp_path) == ([1, 0], [0, 0])


def test_probes_of_a_closed_window_are_none(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    talk.server(101, window=0)
    for _ in range(3):
        talk.client(101, 1, wait_us=200_000)
        talk.server(101, window=0)
    talk.server(101, window=500)
    talk.client(101, 100)
    assert talk.retransmissions(tmp_path) == ([0, 0], [0, 0])


def test_one_byte_again_and_again_with_an_open_window_is_a_retransmission(tmp_path):
    """The same segments as those of the probes, but the window says that they are none."""
    talk = Talk()
    talk.client(1, 100)
    talk.server(101)
    for _ in range(3):
        talk.client(101, 1, wait_us=200_000)
        talk.server(101)
    assert talk.retransmissions(tmp_path)[0] == [2, 0]


def test_what_fills_a_hole_for_the_first_time_is_no_retransmission(tmp_path):
    """Overtaken, or lost before the first point: here its bytes come once."""
    talk = Talk()
    talk.client(1, 100)
    talk.client(201, 100)
    talk.client(101, 100)
    assert talk.retransmissions(tmp_path) == ([0, 0], [0, 0])


def test_segments_that_a_super_packet_is_cut_into_are_none(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    talk.client(101, 3000, reach=1)
    for number in range(3):
        talk.client(101 + 1000 * number, 1000, first=1, wait_us=5)
    assert talk.retransmissions(tmp_path) == ([0, 0], [0, 0])


def test_a_super_packet_sent_again_is_one_and_the_segments_it_is_cut_into_are_none(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    for _ in range(2):
        talk.client(101, 3000, reach=1)
        for number in range(3):
            talk.client(101 + 1000 * number, 1000, first=1, wait_us=5)
        talk.server(3101)
    assert talk.retransmissions(tmp_path) == ([1, 0], [1, 0])


@pytest.mark.parametrize("again", [False, True])
def test_sequence_numbers_wrap(again, tmp_path):
    talk = Talk()
    start = 2**32 - 250
    for number in range(6):
        talk.client(start + 100 * number, 100)
        talk.server(start + 100 * number + 100)
    if again:
        talk.client(start + 200, 100)  # across the wrap
        talk.client(start + 400, 100)
    assert talk.retransmissions(tmp_path)[0] == [2 if again else 0, 0]


def test_more_than_two_gibibytes_do_not_look_like_what_came_before(tmp_path):
    """Positions are counted from packet to packet: from the first one, they would seem to have gone backwards."""
    talk = Talk()
    step = 2**30
    for number in range(9):
        talk.client(number * step, 100)
        talk.server(number * step + 100)
    talk.client(8 * step, 100)
    assert talk.retransmissions(tmp_path)[0] == [1, 0]


def test_many_holes_are_remembered(tmp_path):
    talk = Talk()
    for number in range(100):
        talk.client(1 + 200 * number, 100)
    for number in range(50, 100):
        talk.client(1 + 200 * number, 100)
    assert talk.retransmissions(tmp_path)[0] == [50, 0]


def test_a_reset_is_none(tmp_path):
    talk = Talk()
    talk.client(1, 100)
    talk.client(1, 100, flags="RA")
    assert talk.retransmissions(tmp_path) == ([0, 0], [0, 0])
