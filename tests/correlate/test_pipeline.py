"""The whole pipeline on damaged captures, in any order of files, and on captures without anything."""

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP

from ttrace.correlate import correlate_captures
from ttrace.correlate.dataframes import connections_table, hops_table, packets_table, paths_table, rewrites_table
from ttrace.correlate.result.select import select
from ttrace.correlate.sightings import frames
from ttrace.errors import TtraceError
from ttrace.report import render

from .scene import (
    DESTROYED,
    DNAT,
    DOCKER0,
    DUMPED,
    ETH0,
    IN,
    NEW,
    OUT,
    SNAT,
    Node,
    correlate,
    docker_host,
    paths,
    steps,
)

PCAPS = Path(__file__).parents[2] / "pcaps"
MASTER, SLAVE = (PCAPS / "docker-demo" / f"{node}.pcapng" for node in ("master", "slave"))


@st.composite
def damage(draw) -> bytes:
    """A capture with some bytes changed, and maybe cut."""
    data = bytearray(MASTER.read_bytes())
    for _ in range(draw(st.integers(1, 40))):
        # A changed block length would only end the file there.
        data[draw(st.integers(200, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(data[: draw(st.integers(len(data) // 2, len(data)))])


@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damage())
def test_a_damaged_capture_is_a_report_or_an_error_for_people(tmp_path, data):
    file = tmp_path / "master.pcapng"
    file.write_bytes(data)
    try:
        result = correlate_captures([str(file), str(SLAVE)])
    except TtraceError:
        return
    everything = select(result)
    json.loads("".join(render(result, everything, "json")))
    told = "".join(render(result, everything, "text"))
    assert told.startswith(("Findings: ", "No fault of the network is seen: "))
    assert "\nCaptures\n" in told
    assert sorted(result.hops["sighting"].tolist()) == list(range(result.sightings.size))


def test_the_order_of_the_files_changes_only_the_numbers():
    def facts(*files: Path) -> list[tuple]:
        result = correlate_captures([str(f) for f in files])
        return sorted(
            (
                p.protocol,
                p.info,
                p.outcome,
                str(p.delivered_to),
                [(h.node, h.source, h.destination) for h in p.hops],
                len(p.rewrites),
            )
            for p in paths(result)
        )

    assert facts(MASTER, SLAVE) == facts(SLAVE, MASTER)


def test_every_table_has_a_row_for_each_of_its_things():
    result = correlate_captures([str(MASTER), str(SLAVE)])
    assert len(packets_table(result)) == frames(result.sightings).size
    assert len(paths_table(result)) == result.packets.count
    assert len(connections_table(result)) == result.connections.count
    assert len(rewrites_table(result)) == result.rewrites.size
    assert len(hops_table(result)) == sum(len(path.hops) for path in paths(result))


def test_no_file_is_an_error_for_people():
    with pytest.raises(TtraceError, match="no capture"):
        correlate_captures([])


def test_captures_without_a_packet_are_a_report_without_a_path(tmp_path):
    host = docker_host()
    result = correlate(tmp_path, host)
    assert (result.packets.count, result.connections.count) == (0, 0)
    for form in ("text", "json"):
        assert "".join(render(result, select(result), form))
    for table in (packets_table, paths_table, connections_table, rewrites_table, hops_table):
        assert len(table(result)) == 0


def test_a_file_cut_before_its_interfaces_is_a_report_without_a_path(tmp_path):
    file = tmp_path / "cut.pcapng"
    for size in (4, 20, 150):
        file.write_bytes(MASTER.read_bytes()[:size])
        result = correlate_captures([str(file)])
        assert result.packets.count == 0
        assert "".join(render(result, select(result), "text"))


@pytest.mark.parametrize("wholes", [1, 3], ids=["one datagram", "three datagrams"])
def test_fragments_are_the_datagram_that_conntrack_made_of_them(wholes, tmp_path):
    host = docker_host()
    for number in range(wholes):
        start, ip_id = number * 1000, 100 + number
        datagram = IP(src="192.0.2.9", dst="192.0.2.1", id=ip_id) / UDP(sport=7, dport=8) / bytes(2000)
        raw = bytes(datagram)
        first = IP(src="192.0.2.9", dst="192.0.2.1", id=ip_id, flags="MF", proto=17) / raw[20 : 20 + 1480]
        second = IP(src="192.0.2.9", dst="192.0.2.1", id=ip_id, frag=185, proto=17) / raw[20 + 1480 :]
        host.see("eth0", IN, start, first)
        host.see("eth0", IN, start + 5, second)
        host.trace(start + 20, datagram, "INPUT", iif=ETH0)
    found = paths(correlate(tmp_path, host))
    assert [steps(path) for path in found] == [["eth0 in", "eth0 in", "INPUT"]] * wholes
    assert {(path.outcome, path.reason.kind) for path in found} == {("unknown", "unproven")}
    assert all(hop.destination.endswith(":8") for path in found for hop in path.hops)


def test_trace_events_without_a_header_are_counted_and_left_out(tmp_path):
    host = docker_host()
    packet = IP(src="192.0.2.9", dst="192.0.2.1", id=1) / UDP(sport=7, dport=8)
    host.trace(0, None, "FORWARD", trace_id=3)
    host.trace(5, packet, "INPUT", iif=ETH0, trace_id=4)
    result = correlate(tmp_path, host)
    assert result.evaluations.orphans == 1
    assert [[hop.chain for hop in path.hops] for path in paths(result)] == [["INPUT"]]


def test_an_event_of_another_table_does_not_join_the_evaluation_that_is_open(tmp_path):
    host = docker_host()
    packet = IP(src="192.0.2.9", dst="192.0.2.1", id=1) / UDP(sport=7, dport=8)
    host.trace(0, packet, "FORWARD", rules=[("FORWARD", 20, -5)], policy=None, trace_id=3)
    host.trace(1, None, "POSTROUTING", table="nat", rules=[("POSTROUTING", 12, 1)], policy=None, trace_id=3)
    host.trace(2, None, "FORWARD", rules=[("FORWARD", 21, 0)], policy=None, trace_id=3)
    result = correlate(tmp_path, host)
    ((hop,),) = [path.hops for path in paths(result)]
    assert [(m.chain, m.handle, m.verdict) for m in hop.rules] == [("FORWARD", 20, "return"), ("FORWARD", 21, "drop")]
    assert hop.verdict == "drop"
    assert result.evaluations.orphans == 1


def test_one_trace_id_for_two_packets_is_two_evaluations(tmp_path):
    host = docker_host()
    for number in range(2):
        packet = IP(src="172.17.0.2", dst="203.0.113.1", id=number) / UDP(sport=7, dport=8)
        host.see("docker0", IN, number * 100, packet)
        host.trace(number * 100 + 5, packet, "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=3)
    assert [len(path.hops) for path in paths(correlate(tmp_path, host))] == [2, 2]


def test_the_same_file_twice_is_refused(tmp_path):
    node = Node("n1")
    node.interface("eth0", 2, addresses=["192.0.2.1"])
    node.see("eth0", IN, 0, IP(src="192.0.2.9", dst="192.0.2.1", id=1) / UDP())
    file = node.write(tmp_path)
    with pytest.raises(TtraceError, match="given twice"):
        correlate_captures([file, file])


def test_an_event_after_a_verdict_is_another_packets(tmp_path):
    """Its header was lost in a gap: the drop is not of the packet that the chain had let pass."""
    host = docker_host()
    packet = IP(src="192.0.2.9", dst="192.0.2.1", id=1) / UDP(sport=7, dport=8)
    host.trace(0, packet, "INPUT", rules=[("INPUT", 20, 1)], policy=None, trace_id=3)
    host.trace(2, None, "INPUT", rules=[("INPUT", 21, 0)], policy=None, trace_id=3)
    result = correlate(tmp_path, host)
    (path,) = paths(result)
    assert (path.outcome, path.reason.kind, path.hops[0].verdict) == ("unknown", "unproven", "accept")
    assert result.evaluations.orphans == 1


def any_traffic(random: Random) -> list[Node]:
    """Two hosts that see a few packets anywhere, in any order, with any trace and conntrack beside them."""
    hosts = [docker_host("a", "192.0.2.1", inside=True), docker_host("b", "192.0.2.2", bridge_nf=False)]
    addresses = ["172.17.0.2", "192.0.2.1", "192.0.2.2", "203.0.113.1", "127.0.0.1"]
    packets = []
    for _ in range(6):
        network = IP(src=random.choice(addresses), dst=random.choice(addresses), id=random.randrange(3))
        tcp = TCP(sport=1, dport=random.choice([80, 8080]), flags=random.choice(["S", "SA", "A", "R"]))
        packets.append(network / random.choice([tcp, UDP(sport=1, dport=2)]))
    for host in hosts:
        points = [key for key in host._interfaces if key[1] != "snapshot"]
        for _ in range(random.randrange(2, 25)):
            netns, point = random.choice(points)
            host.see(point, random.choice([IN, OUT]), random.randrange(3000), random.choice(packets), netns=netns)
        for _ in range(random.randrange(20)):
            host.trace(
                random.randrange(3000),
                random.choice([*packets, None]),
                random.choice(["PREROUTING", "POSTROUTING", "FORWARD", "INPUT", "OUTPUT"]),
                table=random.choice(["nat", "filter", "raw"]),
                rules=[
                    (
                        random.choice(["FORWARD", "DOCKER"]),
                        random.choice([10, 11, 12, 99]),
                        random.choice([0, 1, -5, "X"]),
                    )
                    for _ in range(random.randrange(3))
                ],
                policy=random.choice([None, 0, 1]),
                iif=random.choice([0, 2, 3]),
                oif=random.choice([0, 2, 3, 9]),
                trace_id=random.randrange(3),
                ct=random.choice([None, (5, 0, SNAT), (5, 1, SNAT), (6, 0, DNAT)]),
                netns=random.choice(["root", "web1"]) if host.name == "a" else "root",
            )
        for _ in range(random.randrange(4)):
            one, two, three = (random.choice(addresses) for _ in range(3))
            tuples = ((one, 1), (two, 80)), ((two, 80), (three, 1))
            event = random.choice([NEW, DESTROYED, DUMPED])
            host.conntrack(random.randrange(3000), *tuples, status=SNAT, ct_id=random.choice([5, 6]), event=event)
    return hosts


@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_paths_of_any_traffic_hold_together(tmp_path, random):
    result = correlate(tmp_path, *any_traffic(random))
    assert sorted(result.hops["sighting"].tolist()) == list(range(result.sightings.size))
    for path in paths(result):
        assert path.hops
        assert 0 <= path.confidence <= 1
        kind = path.reason.kind if path.reason else None
        if path.outcome == "delivered":
            assert kind in (None, "segmented", "refused", "acknowledged")
        else:
            assert kind is not None
        for rewrite in path.rewrites:
            before, after = path.hops[rewrite.after_hop], path.hops[rewrite.before_hop]
            assert 0 <= rewrite.after_hop < rewrite.before_hop
            assert (getattr(before, rewrite.field), getattr(after, rewrite.field)) == (rewrite.old, rewrite.new)
    for form in ("text", "json"):
        assert "".join(render(result, select(result, every_path=True), form))
