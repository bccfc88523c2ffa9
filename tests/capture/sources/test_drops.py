"""The kernel's drops: what it drops in a captured namespace is told, with its reason, and ends the packet's path."""

import json
import re
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ttrace.capture.machine.btf import VMLINUX, Btf
from ttrace.capture.machine.netns import own_netns
from ttrace.capture.sockets import drops as recorder_module
from ttrace.capture.sockets import kept_types
from ttrace.capture.sockets.arena import Arena
from ttrace.capture.sockets.drop_types import DropTypes
from ttrace.capture.sockets.drops import ARENA_BYTES, open_drops
from ttrace.capture.sources.drops import KernelDrops
from ttrace.correlate import correlate_captures
from ttrace.kernels.folders import KernelFolders
from ttrace.lab import wait_until
from ttrace.pcapng.read import is_for_drops, read_capture
from ttrace.report import render_telling
from ttrace.report.telling import Telling


def test_the_types_that_the_kernel_describes_are_found():
    types = DropTypes.of(Btf.of_kernel())
    assert types.reasons[0] == "SKB_NOT_DROPPED_YET"
    assert "SKB_DROP_REASON_NEIGH_FAILED" in types.reasons.values()
    assert types.reason_argument == 2
    assert types.offsets["sk_buff.dev"] != types.offsets["sk_buff.sk"]


def test_what_was_found_is_kept_for_the_next_capture(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_types, "kernel_folders", lambda: KernelFolders(own=tmp_path / "kernels-0-1"))
    found = kept_types.types_of_kernel()
    (file,) = (tmp_path / "kernels-0-1").iterdir()
    monkeypatch.setattr(Btf, "of_kernel", lambda: pytest.fail("looked for again"))
    assert kept_types.types_of_kernel() == found
    monkeypatch.undo()
    monkeypatch.setattr(kept_types, "kernel_folders", lambda: KernelFolders(own=tmp_path / "kernels-0-1"))
    for damage in (b"", b"{}", b"[1]", b'{"offsets": {}, "reasons": {}, "reason_argument": 2, "socket_argument": 3}'):
        file.write_bytes(damage)
        assert kept_types.types_of_kernel() == found


def test_what_was_kept_of_another_kernel_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_types, "kernel_folders", lambda: KernelFolders(own=tmp_path / "kernels-0-1"))
    kept_types.types_of_kernel()
    (tmp_path / "notes").write_bytes(b"another build")
    monkeypatch.setattr(kept_types, "_NOTES", tmp_path / "notes")
    looked = []
    monkeypatch.setattr(Btf, "of_kernel", lambda: looked.append(1) or Btf(VMLINUX.read_bytes()))
    kept_types.types_of_kernel()
    assert looked


def test_what_is_not_described_is_said():
    types = Btf.of_kernel()
    with pytest.raises(KeyError):
        types.offset("sk_buff.no_such_member")
    with pytest.raises(KeyError):
        types.enum("no_such_enum")


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"\x9f\xeb" + b"\xff" * 62])
def test_what_is_no_description_is_refused(data):
    with pytest.raises((ValueError, KeyError)):
        Btf(data).enum("skb_drop_reason")


@pytest.mark.parametrize(
    ("limit", "counter"),
    [pytest.param(1, "over", id="beyond the limit"), pytest.param(1 << 30, "no_room", id="for which there is no room")],
)
def test_a_drop_that_is_not_recorded_is_counted(limit, counter):
    netns = own_netns()
    arena = Arena(buffer_bytes=ARENA_BYTES)
    recorder = open_drops(arena, [netns.inode], limit=limit)
    recorder.attach()
    sent = 6_000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(sent):
            sender.sendto(b"", ("127.0.0.1", 9))  # nobody listens there
    recorder.detach()
    recorder.read_lost()
    lost = {"over": recorder.over[0], "no_room": recorder.no_room[0]}
    recorder.close()
    arena.close()
    netns.close()
    assert recorder_module.LIMIT > 1
    assert lost.pop(counter) > sent // 3
    assert list(lost.values()) == [0]


def test_drops_over_the_limit_do_not_put_the_beginning_of_a_capture_off():
    """No frame is missing for them."""
    with (
        closing(own_netns()) as netns,
        closing(Arena(buffer_bytes=ARENA_BYTES)) as arena,
        closing(open_drops(arena, [netns.inode], limit=1)) as recorder,
    ):
        recorder.attach()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(50):
                sender.sendto(b"", ("127.0.0.1", 9))  # nobody listens there
        recorder.detach()
        recorder.read_lost()
        assert recorder.over[0] > 40
        assert KernelDrops(SimpleNamespace(drops=(recorder, 0))).forget_lost() == 0
        assert recorder.lost == [0]


def test_a_recorder_that_is_closed_has_no_descriptor_any_more():
    def open_now() -> set[str]:
        return {file.name for file in Path("/proc/self/fd").iterdir()}

    with closing(own_netns()) as netns, closing(Arena(buffer_bytes=ARENA_BYTES)) as arena:
        before = open_now()
        recorder = open_drops(arena, [netns.inode])
        recorder.attach()
        recorder.close()
        assert open_now() == before


def test_a_neighbour_that_does_not_answer_is_named(start, network):
    network.run(network.router, "sysctl", "-qw", "net.ipv4.neigh.eth0.retrans_time_ms=100")
    capture = start(network.router, trace=False)
    capture.wait_ready()
    network.run(network.client, "bash", "-c", "echo hello > /dev/udp/10.8.0.77/9")
    wait_for_answer = ["ping", "-q", "-c", "1", "-W", "4", "10.8.0.77"]
    subprocess.run(["ip", "netns", "exec", network.client, *wait_for_answer], check=False, capture_output=True)
    capture.stop()
    found = [path for path in paths_of(capture.path) if path["protocol"] == "udp"]
    assert [(path["outcome"], path["reason"]["kind"]) for path in found] == [("dropped", "kernel-drop")]
    assert "NEIGH_FAILED (neigh_invalidate) at eth0" in found[0]["reason"]["text"]
    assert found[0]["hops"][-1]["kind"] == "drop"


def test_without_the_option_nothing_is_recorded(start, network):
    capture = start(network.router, trace=False, kernel_drops=False)
    capture.wait_ready()
    capture.stop()
    assert b"kernel drops" not in capture.path.read_bytes()


def test_drops_of_a_ring_are_each_in_the_file_of_its_time(start, network, tmp_path):
    capture = start(network.router, output=f"{tmp_path}/out.pcapng", rotate_time_s=0.2, trace=False)
    capture.wait_ready()
    for port in (7001, 7002):
        network.run(network.client, "bash", "-c", f"echo > /dev/udp/10.9.0.1/{port}")  # nobody listens there
        # What came last waits for packets that are older, so it may be in a file that is begun later.
        told = re.compile(rb"NO_SOCKET.{1,200}" + re.escape(port.to_bytes(2) + (9).to_bytes(2)), re.DOTALL)
        wait_until(
            lambda told=told: any(told.search(file.read_bytes()) for file in files_of(tmp_path)[:-1]),
            20.0,
            "the file that tells of it is ended",
        )
    capture.stop()
    files = files_of(tmp_path)
    assert sum(received - lost for _, received, lost in map(counted, files)) == sum(
        one for one, _, _ in map(counted, files)
    )
    where = [{path["hops"][0]["destination"] for path in paths_of(file) if has_drop(path)} for file in files]
    for port in (7001, 7002):
        assert sum(f"10.9.0.1:{port}" in seen for seen in where) == 1
    assert not any({"10.9.0.1:7001", "10.9.0.1:7002"} <= seen for seen in where)


@pytest.mark.fault("losses", "more drops of the kernel than are recorded in a second", "the rest is counted, and said")
def test_drops_over_the_limit_are_counted_in_the_file_and_said(start, network):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    many = "import socket; s = socket.socket(2, 2); [s.sendto(b'x', ('10.9.0.1', 9)) for _ in range(3000)]"
    network.run(network.client, sys.executable, "-S", "-c", many)
    summary = capture.stop()
    (said,) = [warning for warning in summary["warnings"] if "only counted" in warning]
    kept, received, lost = counted(capture.path)
    assert kept >= recorder_module.LIMIT
    assert lost > 0
    assert received == kept + lost >= 3000
    assert said.startswith(f"root namespace: {lost:,} more packets that the kernel dropped")
    assert summary["lost"] == 0


def test_a_frame_that_is_flooded_to_others_is_not_dropped(start, network):
    """A bridge that knows no port for a MAC sends the frame to all: who is not meant drops a copy."""
    capture = start(network.client, trace=False)
    capture.wait_ready()
    network.run(network.router, "ip", "neigh", "add", "10.9.0.77", "lladdr", "02:00:00:00:00:77", "dev", "br0")
    network.run(network.router, "bash", "-c", "echo > /dev/udp/10.9.0.77/7003")
    network.run(network.router, "ping", "-q", "-c", "1", network.client_address)
    capture.stop()
    (found,) = [path for path in paths_of(capture.path) if path["protocol"] == "udp"]
    assert has_drop(found)
    assert found["outcome"] == "unknown"


def files_of(folder):
    return sorted(folder.glob("out*.pcapng"))


def counted(path):
    """(drops in a file, what its statistics say was received and lost of them)."""
    capture = read_capture(path)
    of_drops = [number for number, one in enumerate(capture.interfaces) if is_for_drops(one)]
    last = {one.interface: (one.received, one.lost) for one in capture.statistics}
    received, lost = np.sum([last[number] for number in of_drops], axis=0).tolist()
    return int(np.isin(capture.records["interface"], of_drops).sum()), received, lost


def has_drop(path):
    return any(hop["kind"] == "drop" for hop in path["hops"])


def paths_of(path):
    telling = Telling.chosen(correlate_captures([str(path)]), every_path=True)
    return json.loads("".join(render_telling(telling, "json")))["paths"]
