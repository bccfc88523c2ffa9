"""Captures that are larger than the memory: in parts, to the same result. Every scene of the other tests is correlated
in parts too (scene.py)."""

import json
import os
import pickle
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE

from ttrace.bench.synthesis import synthesize, synthesize_large
from ttrace.correlate import correlate_captures, correlate_files
from ttrace.correlate.explain.compared_fields import compared_fields
from ttrace.correlate.explain.frame_reference import find_frame
from ttrace.correlate.in_parts import tasks
from ttrace.correlate.in_parts.result import PartedCorrelation
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.sightings import told
from ttrace.errors import TtraceError, UsageError
from ttrace.report import render_telling
from ttrace.report.telling import Telling

from ..frames import NFLOG, attribute, message
from ..same_in_parts import assert_same_in_parts
from ..scene import DESTROYED, OUT, SNAT, START_NS, Node, correlate, docker_host, paths

pytestmark = pytest.mark.slow

PCAPS = Path(__file__).parents[3] / "pcaps"
SCENES = sorted(folder.name for folder in PCAPS.iterdir() if folder.is_dir())


def recording(scene: str) -> list[str]:
    return [str(file) for file in sorted((PCAPS / scene).glob("*.pcapng"))]


def quiet(_stage: str, _done: float | None) -> None:
    """No progress."""


@pytest.mark.parametrize("scene", SCENES)
def test_a_recording_of_docker_comes_out_the_same_in_parts_and_on_two_cores(scene):
    files = recording(scene)
    parts = assert_same_in_parts(files, correlate_captures(files), most=20, workers=2)
    assert parts > 1


@pytest.mark.slow
def test_thousands_of_connections_with_trace_come_out_the_same(tmp_path):
    files = synthesize(tmp_path, 12_000, traced=True)
    parts = assert_same_in_parts(files, correlate_captures([str(f) for f in files]), most=1_500, workers=2)
    assert parts >= 8


@pytest.fixture(scope="module")
def parted():
    found = correlate_in_parts(recording("docker-http"), quiet, most=30, workers=1)
    assert found.count > 1
    yield found
    found.close()


def report(result, form="json", **chosen):
    return "".join(render_telling(Telling.chosen(result, **chosen), form))


def test_paths_and_connections_of_parts_are_chosen_by_their_numbers_among_all(parted):
    whole = correlate_captures(recording("docker-http"))
    last = whole.packets.count
    assert report(parted, paths=[1, last], form="text") == report(whole, paths=[1, last], form="text")
    for chosen in ({"paths": [1, last]}, {"connections": [2]}, {"expression": "tcp and port 8080"}):
        found, expected = (json.loads(report(result, **chosen)) for result in (parted, whole))
        assert found["paths"] == expected["paths"] != []
        assert found["connections"] == expected["connections"] != []


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"paths": [100_000]}, "there is no path 100000"),
        ({"connections": [0]}, "there is no connection 0"),
        ({"expression": "port web"}, "`web` is not a port number"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_written(parted, chosen, says):
    with pytest.raises(UsageError, match=says):
        Telling.chosen(parted, **chosen)


def test_progress_says_how_much_of_each_stage_is_done():
    told: list[tuple[str, float]] = []
    correlate_in_parts(recording("docker-http"), lambda *one: told.append(one), most=30, workers=2).close()
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == [
        "reading", "surveying", "distributing", "aligning clocks", "following packets",
        "explaining rewrites and outcomes",
    ]  # fmt: skip
    for stage in stages:
        done = [part for name, part in told if name == stage]
        assert done == sorted(done)
        assert done[-1] == 1


@pytest.mark.slow
def test_a_correlation_in_parts_needs_less_memory(tmp_path):
    files = [str(path) for path in synthesize_large(tmp_path, 300_000_000)]
    # ru_maxrss counts what was resident in the program that started this one, VmHWM does not.
    program = """
import re, resource, sys
from pathlib import Path
from ttrace.correlate import correlate_files
found = correlate_files(sys.argv[2:], memory=int(sys.argv[1]))
mine = int(re.search("VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
print(type(found).__name__, max(mine, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""

    def measured(memory: int) -> tuple[str, int]:
        command = [sys.executable, "-c", program, str(memory), *files]
        name, peak_kib = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return name, int(peak_kib)

    measured(600 << 20)  # the kernels are compiled
    in_parts, in_memory = measured(600 << 20), measured(8 << 30)
    assert (in_parts[0], in_memory[0]) == ("PartedCorrelation", "Correlation")
    assert in_parts[1] < 0.6 * in_memory[1]


def test_what_all_parts_share_is_small():
    """It holds no bytes of the files and no text of snapshots: it can be sent to wherever a part is worked on."""
    found = correlate_in_parts(recording("docker-demo"), quiet, most=1_000_000, workers=1)
    assert len(pickle.dumps(found._setting)) < 20_000
    found.close()


def test_a_frame_of_one_part_is_explained_as_among_all(parted):
    """A part holds no bytes: the file is read again by its path."""
    whole = correlate_captures(recording("docker-http"))
    for part in parted:
        seen = part.sightings[0]
        frame = find_frame(whole, f"{whole.files[seen['file']].path}:{seen['frame']}")
        assert compared_fields(part, 0) == compared_fields(whole, frame)


@pytest.mark.fault("capture files", "the file changed after it was correlated", "frames of it are not explained; said")
def test_a_file_that_has_changed_is_not_explained(tmp_path):
    name = str(tmp_path / "a.pcapng")
    shutil.copy(recording("docker-http")[0], name)
    found = correlate_in_parts([name], quiet, most=30, workers=1)
    shutil.copy(recording("docker-demo")[0], name)
    with pytest.raises(TtraceError, match=f"`{name}` is not what it was"):
        compared_fields(found.part(0), 0)
    found.close()


def test_what_fits_into_the_memory_is_not_divided():
    assert not isinstance(correlate_files(recording("docker-demo")), PartedCorrelation)


def test_stdin_is_read_once_whatever_was_thought_of_the_size_of_other_files():
    """The sizes of the files say that they may not fit, what is in them that they do."""
    program = """
from ttrace.correlate import api
api.memory_budget = lambda: 1 << 30
api.most_sightings = lambda size: 1 << 30
print(api.correlate_files(["-"]).paths)
"""
    with Path(recording("docker-http")[0]).open("rb") as file:
        told = subprocess.run([sys.executable, "-c", program], stdin=file, check=True, capture_output=True, text=True)
    assert int(told.stdout) > 0


@pytest.mark.root
@pytest.mark.fault("correlate", "TMPDIR is full while it works in parts", "one line that names the folder")
def test_a_full_disk_is_said(tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "ttrace-test", str(small)], check=True)
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        monkeypatch.setenv("TMPDIR", str(small))
        with pytest.raises(TtraceError, match=f"no room in `{small}` to correlate out of memory") as error:
            correlate_in_parts(recording("docker-http"), quiet, most=30, workers=1)
        assert "TMPDIR" in error.value.hint
    finally:
        monkeypatch.undo()
        subprocess.run(["umount", "--lazy", str(small)], check=True)  # what has failed is still open


@pytest.mark.fault("correlate", "a worker is killed", "one line")
def test_a_process_that_was_killed_is_said(monkeypatch):
    def killed(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(tasks, "follow", killed)
    with pytest.raises(TtraceError, match="a process that correlated a part was killed"):
        correlate_in_parts(recording("docker-http"), quiet, most=30, workers=2)


@pytest.mark.fault("correlate", "TMPDIR fills while the result is written", "one line")
def test_a_disk_that_fills_while_the_result_is_written_is_said(parted, monkeypatch):
    def full(*_arguments, **_more):
        return Path("/dev/full").open("wb")

    telling = Telling.chosen(parted)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(TtraceError, match="no room in"):
        "".join(render_telling(telling, "json"))


@pytest.mark.fault("correlate", "hundreds of parts and few descriptors", "few files are open at a time")
def test_many_parts_need_few_open_files():
    """And their number is bounded, whatever their size."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, before[1]))
    try:
        found = correlate_in_parts(recording("docker-http"), quiet, most=1, workers=1)
        assert 1 < found.count <= 200
        found.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_connections_whose_outer_headers_are_equal_share_the_messages_about_them(tmp_path):
    """IPv6 has no identification, and the trace shows no more of a tunnel than the addresses in it."""
    node = Node("a")
    node.interface("eth0", 2, addresses=["2001:db8::1"])
    for k in range(6):
        port, time_us = 1000 + k % 3, 300_000 * k
        inner = IPv6(src="fd00::1", dst="fd00::2") / TCP(sport=port, dport=53, flags="A", seq=port * 77, ack=9)
        outer = IPv6(src="2001:db8::1", dst="2001:db8::9") / GRE(proto=0x86DD) / inner
        node.see("eth0", OUT, time_us + 20, outer)
        node.trace(time_us + 30, outer, "OUTPUT", family="ip6", trace_id=k + 1, oif=2)
    found = paths(correlate(tmp_path, node))
    assert {path.protocol for path in found} == {"tcp"}


def test_equal_datagrams_of_two_flows_are_two_packets_of_a_legacy_trace(tmp_path):
    node = Node("a")
    node.interface("eth0", 2)
    for k, port in enumerate((1000, 2000)):
        packet = IP(src="192.0.2.1", dst="192.0.2.9", id=0) / UDP(sport=port, dport=53) / b"beat"
        hook = attribute(1, struct.pack(">HBB", 0x0800, 4, 0))
        prefix = attribute(10, b"TRACE: raw:POSTROUTING:rule:1 ")
        node.message(10 * k, message(NFLOG, hook + prefix + attribute(9, bytes(packet))))
        node.see("eth0", OUT, 10 * k + 5, packet)
    assert [len(path.hops) for path in paths(correlate(tmp_path, node))] == [2, 2]


def test_conntrack_entries_that_end_without_a_packet(tmp_path):
    nodes = docker_host("a"), docker_host("b", "192.0.2.2")
    for node in nodes:
        node.see("eth0", OUT, 0, IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1, dport=2))
        for k in range(3):
            sides = (("192.0.2.1", k), ("192.0.2.7", 53)), (("192.0.2.7", 53), ("192.0.2.8", k))
            node.conntrack(k, *sides, event=DESTROYED, protocol=17, status=SNAT)
    assert len(paths(correlate(tmp_path, *nodes))) == 1
    nothing = docker_host("c")
    nothing.conntrack(0, *sides, event=DESTROYED, protocol=17, status=SNAT)
    assert paths(correlate(tmp_path, nothing)) == []


def test_a_message_takes_the_time_of_the_last_frame_however_many_flows_show_its_header(tmp_path):
    node = Node("a")
    node.interface("eth0", 2)
    beats = [IP(src="192.0.2.1", dst="192.0.2.9", id=0) / UDP(sport=p, dport=53) / b"beat" for p in (1, 2, 3)]
    node.conntrack(0, (("10.0.0.1", 1), ("10.0.0.2", 1)), (("10.0.0.2", 1), ("10.0.0.1", 1)))
    for time_us, number in ((0, 0), (200_000, 1), (400_000, 0)):
        node.see("eth0", OUT, time_us, beats[number])
    node.trace(450_000, beats[2], "OUTPUT")
    node.see("eth0", OUT, 2_000_000, beats[0])
    node.trace(3_500_000, beats[2], "OUTPUT", trace_id=8)
    node.see("eth0", OUT, 3_600_000, beats[1])
    result = correlate(tmp_path, node)
    assert (result.times_ns[told(result.sightings)] - START_NS).tolist() == [400_000_000, 3_600_000_000]
