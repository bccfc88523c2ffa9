"""What of a ring is kept, and what happens where room is used up."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ttrace.capture.options import CaptureOptions
from ttrace.capture.rotation.names import RingNames
from ttrace.correlate import correlate_captures
from ttrace.lab import wait_until
from ttrace.pcapng.read import read_capture

from ..conftest import Network

MIB = 1 << 20
LONG_S = 200.0
"""For what comes soon, but on a machine with something else to do."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 32 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def flood(network: Network, packets: int = 3000) -> None:
    """Datagrams of 1,400 bytes through the router."""
    send = (
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"for n in range({packets}):\n"
        f"    s.sendto(n.to_bytes(4, 'big') + bytes(1396), ('{network.server_address}', 9))\n"
    )
    network.run(network.client, "python3", "-c", send)


def numbers(folder: Path) -> list[int]:
    """Of the files of a ring that are there."""
    return sorted(int(path.name.split("-")[1]) for path in folder.glob("out-*.pcapng"))


def sent(folder: Path) -> list[int]:
    """The numbers of the datagrams that the files hold, in their order, at eth0."""
    found = []
    for path in sorted(folder.glob("out-*.pcapng")):
        capture = read_capture(path)
        eth0 = [number for number, interface in enumerate(capture.interfaces) if interface.name == "eth0"]
        for record in capture.records:
            start = int(record["offset"])
            if record["interface"] in eth0 and record["captured"] == 1442:
                found.append(int.from_bytes(bytes(capture.data[start + 42 : start + 46]), "big"))
    return found


def test_files_change_at_their_size_and_the_last_ones_are_kept(network, start, tmp_path):
    capture = start(network.router, output=f"{tmp_path}/out.pcapng", rotate_size=MIB, keep=3, trace=False)
    capture.wait_ready()
    flood(network)
    summary = capture.stop()
    there = numbers(tmp_path)
    assert len(there) == 3
    assert there == list(range(there[-1] - 2, there[-1] + 1))
    assert there[-1] >= 10
    assert summary["removed"] == there[0] - 1
    assert summary["lost"] == 0
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("out-*.pcapng"))]
    # A file goes on to the end of a batch, of half a megabyte at most; snapshots are its end.
    assert all(MIB // 2 < size < 2 * MIB for size in sizes[:-1]), sizes
    packets = sent(tmp_path)
    assert packets == list(range(packets[0], 3000))


def test_all_files_of_a_flood_have_every_packet_once(network, start, tmp_path):
    capture = start(network.router, output=f"{tmp_path}/out", rotate_size=MIB // 4, rotate_time_s=0.2, trace_limit=0)
    capture.wait_ready()
    flood(network)
    summary = capture.stop()
    assert summary["lost"] == 0
    assert summary["removed"] == 0
    assert sent(tmp_path) == list(range(3000))
    assert summary["files"] == [str(path) for path in sorted(tmp_path.glob("out-*.pcapng"))]
    assert summary["bytes"] == sum(path.stat().st_size for path in tmp_path.glob("out-*.pcapng"))


def test_time_changes_files_without_any_packet(network, start, tmp_path):
    capture = start(network.router, output=f"{tmp_path}/out.pcapng", rotate_time_s=0.2, trace=False, interfaces=["lo"])
    wait_until(lambda: len(numbers(tmp_path)) > 3, LONG_S, "three files")
    assert capture.stop()["packets"] == 0
    assert not any(read_capture(path).truncated_at for path in tmp_path.glob("out-*"))


def test_max_size_of_a_ring_removes_the_oldest(network, start, tmp_path):
    capture = start(network.router, output=f"{tmp_path}/out.pcapng", rotate_size=MIB, max_size=4 * MIB, trace=False)
    capture.wait_ready()
    flood(network)
    summary = capture.stop()
    assert sum(path.stat().st_size for path in tmp_path.glob("out-*.pcapng")) < 4.6 * MIB
    assert summary["removed"] > 3
    packets = sent(tmp_path)
    assert packets == list(range(packets[0], 3000))


@pytest.mark.fault("room", "a file reaches --max-size", "the capture ends whole, and says so; exit 0")
def test_max_size_of_one_file_ends_the_capture(network, start, tmp_path):
    capture = start(network.router, output=f"{tmp_path}/out-1.pcapng", max_size=MIB, trace=False)
    capture.wait_ready()
    flood(network)
    summary = capture.wait_for("summary")
    assert summary["ending"].startswith("--max-size is reached: 1,")
    assert capture.process.wait(10) == 0
    assert MIB <= capture.path.stat().st_size < 2 * MIB
    assert read_capture(capture.path).truncated_at is None


@pytest.mark.fault(
    "room", "the disk of a ring fills up to the reserve", "the oldest files of the ring go, and the capture goes on"
)
def test_reserve_removes_the_oldest_of_a_ring(network, start, disk):
    capture = start(
        network.router, output=f"{disk}/out.pcapng", rotate_size=MIB, keep=100, min_free=16 * MIB, trace=False
    )
    capture.wait_ready()
    flood(network, 9000)
    summary = capture.stop()
    status = os.statvfs(disk)
    assert status.f_bavail * status.f_frsize > 14 * MIB
    assert summary["removed"] > 5
    assert summary["lost"] == 0
    packets = sent(disk)
    assert packets == list(range(packets[0], 9000))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.fault(
            "room", "the disk of a capture fills up to the reserve", "ends whole, one error line, summary, exit 1"
        )),
        pytest.param({"rotate_size": MIB}, marks=pytest.mark.fault(
            "room", "the disk of a ring of which all is to be kept fills up to the reserve",
            "nothing is removed; ends whole, one error line, summary, exit 1",
        )),
    ],
)  # fmt: skip
def test_reserve_ends_a_capture_of_which_nothing_may_go(network, start, disk, options):
    capture = start(network.router, output=f"{disk}/out.pcapng", min_free=16 * MIB, trace=False, **options)
    capture.wait_ready()
    flood(network, 9000)
    message, hint = capture.wait_for("error")
    assert "bytes are free where" in message
    assert "16,777,216 are to stay so" in message
    assert "--min-free" in hint
    assert capture.process.wait(10) == 1
    status = os.statvfs(disk)
    assert status.f_bavail * status.f_frsize > 14 * MIB
    files = sorted(disk.glob("out*.pcapng"))
    assert all(read_capture(path).truncated_at is None for path in files)
    assert not options or numbers(disk)[0] == 1
    assert correlate_captures([str(path) for path in files]).packets.count > 0


@pytest.mark.fault(
    "room", "the disk of a ring is full all at once", "the oldest files go until there is room; nothing is lost"
)
def test_full_disk_removes_the_oldest_of_a_ring(network, start, disk):
    capture = start(network.router, output=f"{disk}/out.pcapng", rotate_size=MIB, keep=100, min_free=0, trace=False)
    capture.wait_ready()
    flood(network, 1000)
    wait_until(lambda: len(numbers(disk)) > 3, LONG_S, "four files")
    # All that was sent: while it writes, the ring makes room, and the other file would take that too.
    capture.wait_for("status", lambda status: status["packets"] >= 3000)
    with suppress(OSError), (disk / "other").open("wb", buffering=0) as other:
        while other.write(bytes(MIB)):
            pass
    flood(network, 500)
    summary = capture.stop()
    assert summary["removed"] >= 2
    assert summary["lost"] == 0
    assert sent(disk)[-500:] == list(range(500))
    assert all(read_capture(path).truncated_at is None for path in disk.glob("out-*"))


@pytest.mark.fault("room", "less than the reserve is free when a capture begins", "refused; no file is left")
def test_reserve_that_is_not_there_refuses_the_capture(network, start, disk):
    capture = start(network.router, output=f"{disk}/x.pcapng", min_free=40 * MIB)
    message, _ = capture.wait_for("error")
    assert "41,943,040 are to stay so" in message
    assert capture.process.wait(10) == 1
    assert list(disk.iterdir()) == []


@pytest.mark.fault(
    "ring", "kill -9 of a capture with a ring", "all files are readable; the next run goes on behind them"
)
def test_killed_ring_is_readable_and_the_next_run_goes_on_behind_it(network, start, tmp_path):
    options = {"output": f"{tmp_path}/out.pcapng", "rotate_time_s": 0.3, "keep": 4, "trace": False}
    capture = start(network.router, **options)
    capture.wait_ready()
    wait_until(lambda: len(numbers(tmp_path)) >= 3, LONG_S, "three files")
    flood(network, 300)
    capture.wait_for("status", lambda status: status["packets"] >= 900)
    capture.process.kill()
    capture.process.wait()
    killed = numbers(tmp_path)
    assert sent(tmp_path) == list(range(300))
    result = correlate_captures([str(tmp_path)])
    assert result.packets.count >= 300
    again = start(network.router, **options)
    wait_until(lambda: numbers(tmp_path)[0] > killed[0], LONG_S, "the oldest file of the first run has gone")
    wait_until(lambda: numbers(tmp_path)[-1] >= killed[-1] + 2, LONG_S, "the second run went on")
    again.stop()
    there = numbers(tmp_path)
    assert len(there) == 4
    assert there == list(range(there[0], there[0] + 4))


@pytest.mark.fault("ring", "two captures write one ring", "the second is refused, and names the file")
def test_second_capture_of_one_ring_is_refused(network, start, tmp_path):
    options = {"output": f"{tmp_path}/out.pcapng", "rotate_time_s": 60, "trace": False}
    first = start(network.router, **options)
    first.wait_ready()
    message, hint = start(network.router, **options).wait_for("error")
    assert message.startswith(f"another capture is writing `{tmp_path}/out-00001-")
    assert hint == "choose another name with `-w`"
    first.stop()
    assert numbers(tmp_path) == [1]


@pytest.mark.fault("ring", "whole files of a ring are taken away meanwhile", "it goes on; what is gone is not counted")
def test_files_that_somebody_took_away_are_no_trouble(network, start, tmp_path):
    capture = start(network.router, output=f"{tmp_path}/out.pcapng", rotate_time_s=0.2, keep=3, trace=False)
    wait_until(lambda: len(numbers(tmp_path)) >= 2, LONG_S, "two files")
    first = min(tmp_path.glob("out-*.pcapng"))
    first.unlink()
    first.write_text("another file in its place")
    wait_until(lambda: numbers(tmp_path)[-1] >= 6, LONG_S, "it went on")
    assert capture.stop()["warnings"] == []
    # What stands there now is not of the ring.
    assert first.read_text() == "another file in its place"
    assert len(numbers(tmp_path)) == 4


@pytest.mark.fault("ring", "the next file of a ring cannot be made", "a warning; it goes on in the one it has")
def test_next_file_that_cannot_be_made_is_a_warning(network, start, tmp_path):
    folder = tmp_path / "ring"
    folder.mkdir()
    capture = start(network.router, output=f"{folder}/out.pcapng", rotate_time_s=0.3, trace=False)
    wait_until(lambda: len(numbers(folder)) >= 2, LONG_S, "two files")
    # Not even root can make a file there now.
    subprocess.run(["chattr", "+i", str(folder)], check=True)
    try:
        before = numbers(folder)
        flood(network, 500)
        capture.wait_for("status", lambda status: status["packets"] >= 1500)
        time.sleep(0.7)  # the flood may be over before a file is due
        assert numbers(folder) == before
    finally:
        subprocess.run(["chattr", "-i", str(folder)], check=True)
    wait_until(lambda: numbers(folder)[-1] > before[-1], LONG_S, "it goes on in another file again")
    (warning,) = capture.stop()["warnings"]
    why = "Operation not permitted"
    assert warning == f"for a while no further file of the ring could be begun in `{folder}`: {why}"
    assert sent(folder) == list(range(500))


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("/x/cap.pcapng", "/x/cap-00007-"),
        ("/x/cap", "/x/cap-00007-"),
        ("/x/cap.v1", "/x/cap.v1-00007-"),
        ("/tmp", "/tmp/node_1-00007-"),
        ("/x/new/", "/x/new/node_1-00007-"),
        ("", "node_1-00007-"),
    ],
)
def test_files_are_named_by_what_was_asked_for(output, name):
    path = RingNames.of(CaptureOptions(output=output), "node/1").path(7)
    assert path.startswith(name)
    assert path.endswith(".pcapng")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "3"], "error: --keep is for a ring of files"),
        (["--rotate-size", "1M", "-w", "-"], "error: stdout is no ring of files"),
        (["--rotate-size", "10M", "--max-size", "15M"], "has no room for two files"),
        (["--rotate-size", "10"], "`10` is less than a file needs"),
        (["--rotate-size", "1X"], "`1X` is no size such as 100M or 2G"),
    ],
)
def test_settings_that_mean_nothing_are_wrong_usage(arguments, message):
    command = ["python3", "-c", "from ttrace.cli import main; main()", "capture", *arguments]
    done = subprocess.run([os.sys.executable, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
