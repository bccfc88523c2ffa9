"""A ring of files of real traffic: each file by itself, and all of them against one file of the same traffic."""

import random
import signal
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.values import InterfaceHop
from ttrace.lab import wait_until
from ttrace.pcapng.read import is_packet_interface, read_capture
from ttrace.tests.correlate.same_in_parts import assert_same_in_parts

from ..conftest import ip
from ..test_capture import snapshots
from .test_limits import LONG_S

DISORDER_NS = 1_000_000
EARLIER_AND_LATER = 200
"""Messages of the time in which only one of two captures runs: of its own table, and of nearly no packet."""


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pcapng"))


def traffic(network, connections: int = 24) -> None:
    """Echoes, and TCP connections through the translation of port 8080, each a little later than the one before."""
    serve = (
        "import socket\n"
        "server = socket.create_server(('', 80), backlog=50)\n"
        "print('ready', flush=True)\n"
        f"for _ in range({connections}):\n"
        "    peer, _ = server.accept()\n"
        "    peer.sendall(peer.recv(100) * 50)\n"
        "    peer.close()\n"
    )
    connect = (
        "import socket, time\n"
        f"for n in range({connections}):\n"
        f"    with socket.create_connection(('{network.router_address}', 8080), 5) as peer:\n"
        "        peer.sendall(b'%03d' % n)\n"
        "        while peer.recv(10000): pass\n"
        "    time.sleep(0.04)\n"
    )
    server = subprocess.Popen(
        ["ip", "netns", "exec", network.client, "python3", "-c", serve], stdout=subprocess.PIPE, text=True
    )
    pings = subprocess.Popen(
        ["ip", "netns", "exec", network.client, "ping", "-q", "-i", "0.02", "-s", "3000", network.server_address],
        stdout=subprocess.DEVNULL,
    )
    assert server.stdout.readline() == "ready\n"
    network.run(network.server, "python3", "-c", connect)
    pings.send_signal(signal.SIGINT)
    assert pings.wait() == 0
    server.communicate(timeout=5)


def packets_of(path: Path) -> list[tuple[int, int, bytes]]:
    """(time, interface index, bytes) of each packet of the capture points."""
    capture = read_capture(path)
    found = []
    for record in capture.records:
        interface = capture.interfaces[record["interface"]]
        if is_packet_interface(interface):
            start = int(record["offset"])
            data = bytes(capture.data[start : start + int(record["captured"])])
            found.append((int(record["time_ns"]), interface.facts["ifindex"], data))
    return found


def messages_of(path: Path) -> list[bytes]:
    """The netlink messages, but for answers to a dump of the table, in their order."""
    capture = read_capture(path)
    kinds = [interface.facts["what"] for interface in capture.interfaces]
    found = []
    for record in capture.records:
        if kinds[record["interface"]] == "netlink":
            start = int(record["offset"]) + 16
            data = bytes(capture.data[start : start + int(record["captured"]) - 16])
            if not (data[5] == 1 and data[6] & 2):
                found.append(data)
    return found


def netlink_records(path: Path) -> int:
    capture = read_capture(path)
    (number,) = (i for i, interface in enumerate(capture.interfaces) if interface.facts["what"] == "netlink")
    return int((capture.records["interface"] == number).sum())


def told(result) -> list[str]:
    """What is said of the paths of each connection, but for times, files and frames, and how the two are numbered."""

    def hop(one) -> object:
        if isinstance(one, InterfaceHop):
            return one.interface, one.direction, one.source, one.destination, one.ttl
        return one.hook, one.table, one.chain, one.verdict, [rule.text for rule in one.rules]

    def path(one) -> str:
        rewrites = [
            (step.field, step.old, step.new, step.undo, step.evidence, step.rule and step.rule.text)
            for step in one.rewrites
        ]
        reason = one.reason and one.reason.kind
        hops = [hop(each) for each in one.hops]
        return repr((one.protocol, one.info, one.outcome, reason, one.confidence, one.delivered_to, hops, rewrites))

    paths = map(result.path, range(1, result.packets.count + 1))
    # As with the filter: of what the kernel sends by itself, one trace may have what the other began too late for.
    return sorted(path(one) for one in paths if one.protocol != "igmp")


def states(result) -> set[str]:
    """What became of its connections."""
    return {connection.state for connection in result.connection_list() if connection.protocol != "igmp"}


def test_ring_has_what_one_file_has_and_each_of_its_files_is_whole(network, start, tmp_path):
    (tmp_path / "ring").mkdir()
    # What the kernel sends by itself comes at any time, also when only one of both runs.
    common = {"node_name": "r", "interfaces": ["br0", "veth0", "eth0"], "filter": "not igmp"}
    ring = start(
        network.router, output=f"{tmp_path}/ring/out.pcapng", rotate_time_s=0.5, trace_limit=0, **common
    )  # fmt: skip
    ring.wait_ready()
    # It hears of what the first one traces.
    whole = start(network.router, output=f"{tmp_path}/whole.pcapng", trace=False, **common)
    whole.wait_ready()
    traffic(network)
    whole.stop()
    summary = ring.stop()
    files = files_of(tmp_path / "ring")
    assert len(files) >= 4
    assert summary["files"] == [str(path) for path in files]
    assert summary["lost"] == summary["netlink_lost"] == 0
    is_the_same(files, tmp_path / "whole.pcapng")
    assert sum(len(packets_of(path)) for path in files) == summary["packets"]
    assert sum(map(netlink_records, files)) == summary["namespaces"][0]["messages"]
    until_ns = 0
    for number, path in enumerate(files, 1):
        until_ns = is_whole(path, number, until_ns)
    tells_of_translations(max(files, key=lambda path: sum(data[23] == 6 for *_, data in packets_of(path))))


def is_the_same(files: list[Path], whole: Path) -> None:
    """All files of a ring and one file of the same traffic tell the same."""
    expected = packets_of(whole)
    found = [packet for path in files for packet in packets_of(path)]
    assert all(one[0] < other[0] + DISORDER_NS for one, other in pairwise(found))
    # Each stamps its packets itself, some microseconds apart.
    assert Counter(packet[1:] for packet in expected) == Counter(packet[1:] for packet in found)
    said, wanted = [message for path in files for message in messages_of(path)], messages_of(whole)
    # What two CPUs send at once comes to two sockets in either order. The ring begins before, and ends later.
    assert Counter(wanted) - Counter(said) == Counter()
    assert len(said) < len(wanted) + EARLIER_AND_LATER
    one, ring = correlate_captures([f"r={whole}"]), correlate_captures([f"r={files[0].parent}"])
    assert told(ring) == told(one)
    shuffled = [str(path) for path in files]
    random.Random(1).shuffle(shuffled)
    assert told(correlate_captures(shuffled)) == told(one)
    assert_same_in_parts([f"r={files[0].parent}"], ring, most=5_000)
    assert states(ring) == states(one)  # fmt: skip


def is_whole(path: Path, number: int, until_ns: int) -> int:
    """A file of a ring stands by itself, and goes on where the one before ends; returns where it does."""
    capture = read_capture(path)
    assert capture.truncated_at is None
    assert capture.malformed == 0
    assert capture.facts["number"] == number
    # The kernel itself stamps packets some microseconds out of order where two CPUs put them into a ring.
    assert np.diff(capture.records["time_ns"]).min() > -DISORDER_NS
    found = snapshots(path)
    assert {kind for moment, kind, _ in found if moment == "start"} == {
        "capture", "node", "containers", "links", "addresses", "routes", "route_rules", "neighbours", "ruleset",
            "sysctls", "counters", "listeners", "connections",
    }  # fmt: skip
    assert "MASQUERADE" in found["start", "ruleset", "root"]["iptables"]["ip"]
    assert until_ns in (0, found["start", "capture", None]["started_ns"])
    times = [time_ns for time_ns, *_ in packets_of(path)]
    began_ns, ended_ns = found["start", "capture", None]["started_ns"], found["stop", "capture", None]["ended_ns"]
    assert number == 1 or all(began_ns - DISORDER_NS < time_ns for time_ns in times)
    assert all(time_ns < ended_ns + DISORDER_NS for time_ns in times)
    counts = {s.interface: (s.received, s.lost) for s in capture.statistics}
    for interface in range(len(capture.interfaces) - 1):
        assert counts[interface] == (int((capture.records["interface"] == interface).sum()), 0)
    return ended_ns


def tells_of_translations(path: Path) -> None:
    """A file of a ring tells of connections that begin in it, and of those from before, which conntrack remembers."""
    alone = correlate_captures([str(path)])
    assert alone.topology.namespaces[0].has_conntrack
    paths = [alone.path(number) for number in range(1, alone.packets.count + 1)]
    steps = {(step.old, step.evidence, step.rule and step.rule.text) for path in paths for step in path.rewrites}
    assert any("--to-destination 10.9.0.2:80" in (text or "") for _, _, text in steps)
    assert any(old == "10.9.0.2" and evidence == "conntrack" for old, evidence, _ in steps), steps


@pytest.mark.fault(
    "ring", "an interface comes and goes between two files", "the files that it was there in describe it"
)
def test_interfaces_come_and_go_between_files(network, start, tmp_path):
    capture = start(network.router, output=f"{tmp_path}/out.pcapng", rotate_time_s=0.3)

    def interfaces(number: int) -> list[str]:
        path = files_of(tmp_path)[number]
        return [one.name for one in read_capture(path).interfaces]

    def later(count: int = 2) -> None:
        there = len(files_of(tmp_path))
        wait_until(lambda: len(files_of(tmp_path)) >= there + count, LONG_S, "further files")

    capture.wait_ready()
    later()
    ip("-n", network.router, "link", "add", "veth9", "type", "veth", "peer", "name", "eth9", "netns", network.server)
    ip("-n", network.router, "link", "set", "veth9", "master", "br0", "up")
    ip("-n", network.server, "addr", "add", "10.9.0.9/24", "dev", "eth9")
    ip("-n", network.server, "link", "set", "eth9", "up")
    wait_until(lambda: "veth9" in interfaces(-2), LONG_S, "veth9 is captured")
    network.run(network.client, "ping", "-q", "-c", "5", "-i", "0.002", "10.9.0.9")
    later()
    ip("-n", network.router, "link", "del", "veth9")
    wait_until(lambda: "veth9" not in interfaces(-2), LONG_S, "veth9 is forgotten")
    network.ping(count=3)
    later()
    summary = capture.stop()
    usual = ["br0", "eth0", "veth0"]
    described = [sorted(interfaces(number)[:-3]) for number in (0, -1)]
    assert described == [usual, usual]
    assert all(interfaces(number)[-3:] == ["netfilter", "kernel drops", "snapshot"] for number in (0, -1))
    written = {point["interface"]: point["packets"] for point in summary["points"]}
    found = Counter(index for path in files_of(tmp_path) for _, index, _ in packets_of(path))
    assert sorted(found.values()) == sorted(count for count in written.values() if count)
    assert written["veth9"] >= 10
    result = correlate_captures([f"r={tmp_path}"])
    assert "veth9" in {point.interface for point in result.topology.points}
    assert {row["name"] for row in result.topology.namespaces[0].links.values()} >= {*usual, "veth9"}
