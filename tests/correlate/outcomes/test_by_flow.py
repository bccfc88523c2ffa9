"""What became of packets in plain captures: lost only where nothing else explains that they were not seen."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from ttrace.correlate import Correlation, correlate_captures

from ..scene import Direction, Node, correlate, paths

CLIENT, SERVER = "10.0.0.1", "10.9.0.1"
UNKNOWN = Direction.UNKNOWN
LATER = 1_000_000


def points(*names: str) -> list[Node]:
    found = []
    for name in names:
        node = Node(name, snapshots=False)
        node.interface("eth0", 2)
        found.append(node)
    return found


class Talk:
    """One TCP connection: every packet has an id of its own and is shown where it is told."""

    def __init__(self, port: int, first_id: int, start: float) -> None:
        self.port, self.ip_id, self.time = port, first_id, start

    def packet(self, flags: str, seq: int, ack: int, size: int, *, back: bool) -> IP:
        self.ip_id += 1
        ends = {"src": SERVER, "dst": CLIENT} if back else {"src": CLIENT, "dst": SERVER}
        ports = {"sport": 80, "dport": self.port} if back else {"sport": self.port, "dport": 80}
        ttl = 64
        return IP(**ends, id=self.ip_id, ttl=ttl) / TCP(**ports, flags=flags, seq=seq, ack=ack) / bytes(size)

    def show(self, packet: IP, *nodes: Node) -> None:
        self.time += 1000
        for number, node in enumerate(nodes):
            copy = packet.copy()
            copy[IP].ttl = 64 - number
            node.see("eth0", UNKNOWN, self.time + 100 * number, copy)

    def whole(self, there: list[Node], back: list[Node]) -> None:
        """A handshake, three requests with answers."""
        self.show(self.packet("S", 100, 0, 0, back=False), *there)
        self.show(self.packet("SA", 500, 101, 0, back=True), *back)
        self.show(self.packet("A", 101, 501, 0, back=False), *there)
        for number in range(3):
            self.show(self.packet("PA", 101 + 10 * number, 501 + 20 * number, 10, back=False), *there)
            self.show(self.packet("PA", 501 + 20 * number, 111 + 10 * number, 20, back=True), *back)


def outcomes(result: Correlation, port: int) -> set[tuple[str, str | None]]:
    return {
        (path.outcome, path.reason.kind if path.reason and path.outcome != "delivered" else None)
        for path in paths(result)
        if any(f":{port}" in end for hop in path.hops for end in (hop.source, hop.destination))
    }


def many(there: list[Node], back: list[Node], count: int = 9) -> None:
    """Connections that pass all the points."""
    for number in range(count):
        Talk(4000 + number, 1000 * number, 20_000.0 * number).whole(there, back)


def keep_recording(*nodes: Node) -> None:
    """Something else is seen much later, so that no capture ends early."""
    for number, node in enumerate(nodes):
        other = IP(src="10.0.0.9", dst="10.0.0.8", id=60_000 + number) / UDP(sport=60_000 + number, dport=60_001)
        node.see("eth0", UNKNOWN, LATER, other)


def count_losses(*nodes: Node) -> None:
    """Their files say that they lost nothing."""
    for node in nodes:
        node.lost("eth0", LATER, 0)


@pytest.mark.parametrize(
    ("counted", "expected"), [(True, ("lost", "wire")), (False, ("unknown", "maybe-missed"))], ids=["counted", "not"]
)
def test_a_first_packet_that_nobody_answers_is_lost_where_all_others_went_on(counted, expected, tmp_path):
    """Where nobody says what the captures lost, it may have gone on all the same."""
    client, server = points("client", "server")
    many([client, server], [server, client])
    talk = Talk(5000, 40_000, 50_000)
    talk.show(talk.packet("S", 100, 0, 0, back=False), client)
    keep_recording(client, server)
    if counted:
        count_losses(client, server)
    assert outcomes(correlate(tmp_path, client, server), 5000) == {expected}


def test_what_was_sent_again_was_lost_though_nobody_counts_losses(tmp_path):
    """TCP sends nothing again that was acknowledged in time."""
    client, server = points("client", "server")
    many([client, server], [server, client])
    talk = Talk(5000, 40_000, 50_000)
    talk.show(talk.packet("S", 100, 0, 0, back=False), client)
    talk.time += 100_000
    talk.whole([client, server], [server, client])
    keep_recording(client, server)
    assert outcomes(correlate(tmp_path, client, server), 5000) == {("lost", "wire"), ("delivered", None)}


def test_what_was_acknowledged_had_arrived_though_a_capture_missed_it(tmp_path):
    """Sent once, and acknowledged: the server's capture did not keep up."""
    client, server = points("client", "server")
    many([client, server], [server, client])
    talk = Talk(5000, 40_000, 50_000)
    talk.whole([client, server], [server, client])
    talk.show(talk.packet("PA", 131, 561, 10, back=False), client)
    talk.show(talk.packet("A", 561, 141, 0, back=True), server, client)
    keep_recording(client, server)
    result = correlate(tmp_path, client, server)
    (missed,) = [p for p in paths(result) if len(p.hops) == 1 and "5000" in p.hops[0].source]
    assert (missed.outcome, missed.reason.kind) == ("delivered", "acknowledged")
    assert "not seen behind client: eth0" in missed.reason.text


def test_an_echo_request_that_was_answered_had_arrived(tmp_path):
    client, server = points("client", "server")
    for number in range(9):
        ping = IP(src=CLIENT, dst=SERVER, id=100 + number) / ICMP(id=7, seq=number) / b"abcdefgh"
        pong = IP(src=SERVER, dst=CLIENT, id=200 + number) / ICMP(type=0, id=7, seq=number) / b"abcdefgh"
        for copy, time, seen in ((ping, 0, (client, server)), (pong, 300, (server, client))):
            for hop, node in enumerate(seen):
                if (number, copy, node) not in ((4, ping, server), (6, ping, server)) and ((number, copy) != (6, pong)):
                    node.see("eth0", UNKNOWN, 10_000 * number + time + 100 * hop, copy)
    keep_recording(client, server)
    found = [p for p in paths(correlate(tmp_path, client, server)) if len(p.hops) == 1 and p.protocol == "icmp"]
    assert [(p.info, p.outcome, p.reason.kind) for p in found] == [
        ("echo request seq 4", "delivered", "acknowledged"), ("echo request seq 6", "unknown", "maybe-missed"),
    ]  # fmt: skip


def test_a_first_answer_that_never_came_is_lost(tmp_path):
    client, server = points("client", "server")
    middle, other = points("middle", "other")
    many([client, middle, other, server], [server, other, middle, client])
    talk = Talk(5000, 40_000, 50_000)
    for _ in range(2):
        talk.show(talk.packet("S", 100, 0, 0, back=False), client, middle, other, server)
        talk.show(talk.packet("SA", 500, 101, 0, back=True), server, other)
    keep_recording(client, middle, other, server)
    count_losses(client, middle, other, server)
    result = correlate(tmp_path, client, middle, other, server)
    assert outcomes(result, 5000) == {("delivered", None), ("lost", "wire")}


def test_what_was_answered_may_have_gone_where_nothing_is_captured(tmp_path):
    """Anycast: one of ten connections went to a server without a capture."""
    client, server = points("client", "server")
    many([client, server], [server, client])
    Talk(5000, 40_000, 50_000).whole([client], [client])
    assert outcomes(correlate(tmp_path, client, server), 5000) == {("unknown", "not-captured")}


def test_requests_by_another_way_are_not_lost(tmp_path):
    """Asymmetric: they come in at an interface without a capture, the answers leave by one with."""
    client, server = points("client", "server")
    many([client, server], [server, client])
    Talk(5000, 40_000, 50_000).whole([client], [server, client])
    assert "lost" not in {outcome for outcome, _ in outcomes(correlate(tmp_path, client, server), 5000)}


def test_another_interface_of_the_receiver_is_as_far(tmp_path):
    client, first, second = points("client", "first", "second")
    talk = Talk(5000, 1, 0)
    talk.whole([client, first], [first, client])
    for number in range(4):
        talk.show(talk.packet("PA", 131 + 10 * number, 561, 10, back=False), client, second)
    talk.show(talk.packet("A", 561, 171, 0, back=True), first, client)
    result = correlate(tmp_path, client, first, second)
    assert outcomes(result, 5000) == {("delivered", None)}


def test_a_few_flooded_copies_move_no_end(tmp_path):
    client, server, third = points("client", "server", "third")
    talk = Talk(5000, 1, 0)
    for number in range(40):
        talk.show(
            talk.packet("PA", 101 + 10 * number, 501, 10, back=False), client, server, *([third] if number < 3 else [])
        )
    talk.show(talk.packet("A", 501, 501, 0, back=True), server, client)
    third.see("eth0", UNKNOWN, LATER, IP(src="10.0.0.9", dst="10.0.0.8", id=1) / UDP(sport=1, dport=2))
    assert outcomes(correlate(tmp_path, client, server, third), 5000) == {("delivered", None)}


def test_while_no_file_of_a_point_was_open_nothing_is_lost_there(tmp_path):
    """tcpdump was started again: there is a pause between its two files."""
    client, before, after = points("client", "before", "after")
    many([client, before], [before, client], 3)
    talk = Talk(5000, 40_000, 61_000)
    talk.show(talk.packet("S", 100, 0, 0, back=False), client)
    Talk(6000, 50_000, 80_000).whole([client, after], [after, client])
    files = [f"client={client.write(tmp_path)}"] + [f"server/eth0={node.write(tmp_path)}" for node in (before, after)]
    assert {outcome for outcome, _ in outcomes(correlate_captures(files), 5000)} == {"unknown"}


def test_an_icmp_error_says_why_a_packet_was_lost(tmp_path):
    client, router, server = points("client", "router", "server")
    talk = Talk(5000, 1, 0)
    talk.whole([client, router, server], [server, router, client])
    big = talk.packet("PA", 131, 561, 1400, back=False)
    talk.show(big, client, router)
    error = IP(src="10.5.0.1", dst=CLIENT, id=9) / ICMP(type=3, code=4) / bytes(big)[:28]
    for number, node in enumerate((router, client)):
        node.see("eth0", UNKNOWN, talk.time + 300 + 100 * number, error)
    talk.show(talk.packet("PA", 131, 561, 700, back=False), client, router, server)
    talk.show(talk.packet("A", 561, 831, 0, back=True), server, router, client)
    found = [path for path in paths(correlate(tmp_path, client, router, server)) if "1,400" in path.info]
    assert [(path.outcome, path.reason.kind) for path in found] == [("dropped", "icmp")]


@pytest.mark.slow
def test_a_port_scan_joins_nobody(tmp_path):
    """One sequence number for all its SYNs: their IP ids alone collide."""
    (node,) = points("node")
    for number in range(1500):
        syn = TCP(sport=50_123, dport=1 + number, flags="S", seq=77, window=1024)
        node.see("eth0", UNKNOWN, 1000 * number, IP(src=CLIENT, dst=SERVER, id=1 + number * 7919 % 700) / syn)
    result = correlate(tmp_path, node)
    assert result.connections.count == 1500
    assert all(len(path.hops) == 1 and not path.rewrites for path in paths(result))


def test_an_ip_id_that_comes_again_much_later_joins_nobody(tmp_path):
    before, behind = points("before", "behind")
    for number in range(6):
        time = 10_000_000.0 * number
        query = UDP(sport=1000 + number, dport=53) / b"the same question"
        before.see("eth0", UNKNOWN, time, IP(src="172.17.0.2", dst=SERVER, id=5 + number % 2) / query)
        behind.see("eth0", UNKNOWN, time + 20, IP(src="192.0.2.1", dst=SERVER, id=5 + number % 2, ttl=63) / query)
    files = [f"n/docker0={before.write(tmp_path)}", f"n/eth0={behind.write(tmp_path)}"]
    found = paths(correlate_captures(files))
    assert [len(path.hops) for path in found] == [2] * 6
    assert {path.hops[1].time_ns - path.hops[0].time_ns for path in found} == {20_000}


@pytest.mark.parametrize("where", ["one node", "two nodes"])
def test_many_equal_datagrams_in_two_files_are_one_packet_each(where, tmp_path):
    """20,000 of them: it took time by the square of their number."""
    here, there = points("here", "there")
    packet = IP(src=CLIENT, dst=SERVER, id=0, flags="DF") / UDP(sport=1, dport=2) / b"the same words"
    data = bytes(packet)
    for number in range(20_000):
        here.see("eth0", UNKNOWN, 100 * number, data)
        there.see("eth0", UNKNOWN, 100 * number + 10, data)
    names = ("n/a=", "n/b=") if where == "one node" else ("", "")
    files = [name + node.write(tmp_path) for name, node in zip(names, (here, there), strict=True)]
    result = correlate_captures(files)
    assert result.packets.count == 20_000
    assert {int(size) for size in result.first_hop[1:] - result.first_hop[:-1]} == {2}


def test_a_syn_that_nobody_answers_has_not_arrived_for_sure(tmp_path):
    """It was seen at the far end; whether a rule dropped it there, no plain capture shows."""
    client, server = points("client", "server")
    talk = Talk(5000, 1, 0)
    talk.show(talk.packet("S", 100, 0, 0, back=False), client, server)
    server.see("eth0", UNKNOWN, LATER, IP(src="10.0.0.9", dst="10.0.0.8", id=1) / UDP(sport=1, dport=2))
    assert outcomes(correlate(tmp_path, client, server), 5000) == {("unknown", "unanswered")}
