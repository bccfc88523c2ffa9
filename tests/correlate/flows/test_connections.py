"""Which address pairs are one connection: over NAT, over nodes, and when ports and addresses come again."""

from scapy.layers.inet import IP, TCP, UDP

from ..scene import DESTROYED, DOCKER0, DUMPED, ETH0, IN, OUT, SNAT, Node, correlate, docker_host, paths

WEB1, HOST, FAR = "172.17.0.2", "192.0.2.1", "203.0.113.1"
ENTRY = (((WEB1, 1000), (FAR, 80)), ((FAR, 80), (HOST, 1000)))


def segment(source: str, sport: int, destination: str, dport: int, flags: str, seq: int, ip_id: int) -> IP:
    return IP(src=source, dst=destination, id=ip_id) / TCP(sport=sport, dport=dport, flags=flags, seq=seq)


def outward(host: Node, time: float, ip_id: int, flags: str = "S", seq: int = 1, port: int = 1000) -> None:
    host.see("docker0", IN, time, segment(WEB1, port, FAR, 80, flags, seq, ip_id))
    host.see("eth0", OUT, time + 9, segment(HOST, port, FAR, 80, flags, seq, ip_id))


def inward(host: Node, time: float, ip_id: int, flags: str = "SA", seq: int = 9) -> None:
    host.see("eth0", IN, time, segment(FAR, 80, HOST, 1000, flags, seq, ip_id))
    host.see("docker0", OUT, time + 9, segment(FAR, 80, WEB1, 1000, flags, seq, ip_id))


def connection_of(result) -> list[int]:
    return [path.connection for path in paths(result)]


def test_both_directions_on_both_sides_of_a_translation_are_one(tmp_path):
    host = docker_host()
    outward(host, 0, 1)
    inward(host, 100, 2)
    outward(host, 200, 3, "A", 2)
    host.conntrack(10, *ENTRY, status=SNAT)
    result = correlate(tmp_path, host)
    (connection,) = result.connection_list()
    assert (connection.client, connection.server) == (f"{WEB1}:1000", f"{FAR}:80")
    assert [path.forward for path in paths(result)] == [True, False, True]
    assert [(v.interface, v.source) for v in connection.views] == [
        ("docker0", f"{WEB1}:1000"),
        ("eth0", f"{HOST}:1000"),
    ]


def test_without_conntrack_or_trace_their_content_joins_them(tmp_path):
    host = docker_host()
    outward(host, 0, 1)
    result = correlate(tmp_path, host)
    assert result.connections.count == 1
    assert [r.evidence for r in result.path(1).rewrites] == ["inferred"]


def test_an_entry_that_was_there_before_joins_too(tmp_path):
    host = docker_host()
    outward(host, 0, 1, "A", 5)
    host.conntrack(-1000, *ENTRY, status=SNAT, event=DUMPED)
    assert correlate(tmp_path, host).connections.count == 1


def test_an_entry_that_had_ended_long_before_does_not_join(tmp_path):
    host = docker_host()
    host.conntrack(0, *ENTRY, status=SNAT)
    host.conntrack(10, *ENTRY, status=SNAT, event=DESTROYED)
    outward(host, 60_000_000, 1)
    assert correlate(tmp_path, host).connections.count == 2


def test_a_reused_port_with_the_same_conntrack_id_is_a_new_connection(tmp_path):
    host = docker_host()
    for life, start in enumerate((0, 30_000_000)):
        outward(host, start, 10 + life, seq=1000 * life + 1)
        host.conntrack(start + 10, *ENTRY, status=SNAT, ct_id=70)
        host.conntrack(start + 1000, *ENTRY, status=SNAT, ct_id=70, event=DESTROYED)
    assert connection_of(correlate(tmp_path, host)) == [1, 2]


def test_a_retransmitted_syn_begins_no_connection(tmp_path):
    host = docker_host()
    outward(host, 0, 1)
    outward(host, 1_000_000, 2)
    host.conntrack(10, *ENTRY, status=SNAT)
    result = correlate(tmp_path, host)
    assert connection_of(result) == [1, 1]


def test_a_udp_flow_after_a_long_silence_is_a_new_connection(tmp_path):
    node = docker_host()
    for number, time in enumerate((0, 60_000_000, 300_000_000)):
        node.see("eth0", IN, time, IP(src=FAR, dst=HOST, id=number) / UDP(sport=5, dport=6))
    assert connection_of(correlate(tmp_path, node)) == [1, 1, 2]


def test_the_end_of_its_conntrack_entry_ends_a_udp_flow(tmp_path):
    node = docker_host()
    tuples = (((FAR, 5), (HOST, 6)), ((HOST, 6), (FAR, 5)))
    node.see("eth0", IN, 0, IP(src=FAR, dst=HOST, id=1) / UDP(sport=5, dport=6))
    node.conntrack(1_000_000, *tuples, protocol=17, event=DESTROYED)
    node.see("eth0", IN, 40_000_000, IP(src=FAR, dst=HOST, id=2) / UDP(sport=5, dport=6))
    assert connection_of(correlate(tmp_path, node)) == [1, 2]


def test_a_syn_after_the_middle_of_a_connection_begins_another(tmp_path):
    host = docker_host()
    host.see("eth0", IN, 0, segment(FAR, 80, HOST, 1000, "A", 9, 1))
    host.see("eth0", OUT, 50_000, segment(HOST, 1000, FAR, 80, "S", 1, 2))
    result = correlate(tmp_path, host)
    assert connection_of(result) == [1, 2]
    # Without a SYN of its own, the other connection says of the first that port 80 serves.
    assert [c.client for c in result.connection_list()] == [f"{HOST}:1000", f"{HOST}:1000"]


def test_equal_addresses_on_two_nodes_are_two_connections(tmp_path):
    nodes = [docker_host("a", "192.0.2.1"), docker_host("b", "192.0.2.2")]
    for number, node in enumerate(nodes):
        node.see("docker0", IN, number, segment("172.17.0.2", 1000, "172.17.0.1", 80, "S", 1 + number, 1))
    assert correlate(tmp_path, *nodes).connections.count == 2


def test_the_same_packet_on_two_nodes_is_one_connection(tmp_path):
    a, b = docker_host("a", "192.0.2.1"), docker_host("b", "192.0.2.2")
    packet = segment("192.0.2.1", 1000, "192.0.2.2", 80, "S", 1, 1)
    a.see("eth0", OUT, 0, packet)
    b.see("eth0", IN, 30, packet)
    result = correlate(tmp_path, a, b)
    assert result.connections.count == 1
    (path,) = paths(result)
    assert [hop.node for hop in path.hops] == ["a", "b"]


def test_a_conntrack_id_in_the_trace_joins_what_one_packet_wore(tmp_path):
    host = docker_host()
    inside, outside = segment(WEB1, 1000, FAR, 80, "S", 1, 1), segment(HOST, 1000, FAR, 80, "S", 1, 1)
    host.trace(0, inside, "FORWARD", iif=DOCKER0, oif=ETH0, ct=(5, 0, SNAT))
    host.trace(1, outside, "ttrace-last", table="ttrace", family="inet", oif=ETH0, ct=(5, 0, SNAT))
    assert correlate(tmp_path, host).connections.count == 1


def test_before_the_kernel_named_conntrack_entries_the_trace_id_joins_what_one_packet_wore(tmp_path):
    """A SYN that is translated and dropped has no entry that conntrack would tell of; Linux before 6.16."""
    host = docker_host()
    inside, outside = segment(WEB1, 1000, FAR, 80, "S", 1, 1), segment(HOST, 1000, FAR, 80, "S", 1, 1)
    host.trace(0, inside, "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=9)
    host.trace(1, outside, "ttrace-last", table="ttrace", family="inet", oif=ETH0, trace_id=9)
    assert correlate(tmp_path, host).connections.count == 1


def test_one_trace_id_joins_no_other_packets(tmp_path):
    """Ids come again."""
    host = docker_host()
    one, other = segment(WEB1, 1000, FAR, 80, "S", 1, 1), segment(HOST, 1000, FAR, 80, "S", 70_000, 1)
    host.trace(0, one, "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=9)
    host.trace(1, other, "ttrace-last", table="ttrace", family="inet", oif=ETH0, trace_id=9)
    assert correlate(tmp_path, host).connections.count == 2
