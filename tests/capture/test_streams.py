"""Captures whose stderr, stdout or file fails them: what they record all the same, what they say, how they end."""

import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ttrace.lab import wait_until
from ttrace.lab.recording import ttrace_command

NAMESPACE = f"ttout-{os.getpid()}"


@pytest.fixture(scope="module", autouse=True)
def namespace():
    """One with a loopback alone."""
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        subprocess.run(["ip", "-n", NAMESPACE, "link", "set", "lo", "up"], check=True)
        with capturing("-w", "/dev/null", "--duration", "0") as first:  # no test waits for a compiler
            assert first.wait(300) == 0
        yield
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=True)


def command(*options):
    """A capture of loopback, on which nothing happens but what a test does."""
    return ["ip", "netns", "exec", NAMESPACE, *ttrace_command("capture", "--iface", "lo", "--no-trace", *options)]


@contextmanager
def capturing(*options, **streams):
    """A running capture; it is killed at the end, if it still is there."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **streams}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command(*options), env=environment, **streams)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ping(count=5, size=56):
    """Each is seen four times: two packets, out and in."""
    run = [
        "ip",
        "netns",
        "exec",
        NAMESPACE,
        "ping",
        "-q",
        "-c",
        str(count),
        "-i",
        "0.002",
        "-s",
        str(size),
        "127.0.0.1",
    ]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)


def packets(data: bytes) -> int:
    """Packets of the first interface; fails when the last block is not whole."""
    count = position = 0
    while position < len(data):
        kind, length, interface = struct.unpack_from("<III", data, position)
        count += kind == 6 and interface == 0
        position += length
    assert position == len(data)
    return count


def begun(path):
    """Wait for the head of the file, which is written when every ring is open."""
    wait_until(lambda: path.exists() and path.stat().st_size > 0, 20.0, "the capture has begun")


def end(process, path, *, pings=5):
    """Let it record, and end it: it has all packets, and is content."""
    begun(path)
    ping(pings)
    wait_until(lambda: packets(path.read_bytes()) == 4 * pings, 20.0, "all packets are in the file")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert packets(path.read_bytes()) == 4 * pings


BACKGROUND = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
child = os.fork()
if not child:
    os.setpgid(0, 0)
    print(os.getpid(), flush=True)
    os.execvp(sys.argv[1], sys.argv[1:])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
"""Runs a command in the background of the terminal at its stdin."""


# --- stderr and stdout ----------------------------------------------------------------------------------------------


def full_pipe():
    """(reader, writer) of a pipe that takes nothing more."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, bytes(1 << 16)):
            pass
    os.set_blocking(writer, True)
    return reader, writer


@pytest.mark.parametrize(
    "closed",
    [
        pytest.param("2>&-", marks=pytest.mark.fault("streams", "stderr is closed", "the capture goes on, exit 0")),
        pytest.param(
            ">&-", marks=pytest.mark.fault("streams", "stdout is closed", "a capture to a file goes on, exit 0")
        ),
        pytest.param(
            "<&- >&- 2>&-",
            marks=pytest.mark.fault(
                "streams", "stdin, stdout and stderr are closed", "the capture goes on; no file gets their numbers"
            ),
        ),
        pytest.param(
            "2>/dev/full",
            marks=pytest.mark.fault("streams", "stderr is a full disk (/dev/full)", "the capture goes on, exit 0"),
        ),
    ],
)
def test_a_stream_that_takes_nothing_ends_no_capture(tmp_path, closed):
    path = tmp_path / "x.pcapng"
    script = f'exec "$@" {closed}'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(["bash", "-c", script, "-", *command("-w", str(path))], env=environment)
    try:
        end(process, path)
    finally:
        process.kill()
        process.wait()


@pytest.mark.fault("streams", "stderr is a full pipe that nobody reads", "the capture goes on, and ends when told to")
def test_words_for_a_full_pipe_stop_nothing(tmp_path):
    reader, writer = full_pipe()
    with capturing("-w", str(tmp_path / "x.pcapng"), stderr=writer) as process:
        end(process, tmp_path / "x.pcapng")
    os.close(reader)
    os.close(writer)


@pytest.mark.fault("streams", "stderr is a pipe whose reader is gone", "the capture goes on, exit 0")
def test_words_for_nobody_stop_nothing(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with capturing("-w", str(tmp_path / "x.pcapng"), stderr=writer) as process:
        end(process, tmp_path / "x.pcapng")
    os.close(writer)


@pytest.mark.fault(
    "streams", "stderr is a pipe that is full for a moment", "the last words wait for room, and come whole"
)
def test_the_last_words_wait_for_a_slow_reader(tmp_path):
    reader, writer = full_pipe()
    with capturing("-w", str(tmp_path / "x.pcapng"), stderr=writer) as process:
        os.close(writer)
        begun(tmp_path / "x.pcapng")
        process.send_signal(signal.SIGINT)
        with os.fdopen(reader, "rb") as file:
            said = file.read()
        assert process.wait(20) == 0
    assert said.endswith(b"nothing was lost\n")


@pytest.mark.parametrize(
    "do",
    [
        pytest.param(
            "close", marks=pytest.mark.fault("streams", "the terminal of stderr is gone", "the capture goes on, exit 0")
        ),
        pytest.param(
            "stop",
            marks=pytest.mark.fault(
                "streams", "the terminal of stderr was stopped (Ctrl-S)", "the capture goes on, and ends when told to"
            ),
        ),
    ],
)
def test_a_terminal_that_takes_nothing_ends_no_capture(tmp_path, do):
    path = tmp_path / "x.pcapng"
    terminal, slave = pty.openpty()
    with capturing("-w", str(path), stderr=slave) as process:
        begun(path)
        os.read(terminal, 100)  # a status line
        if do == "close":
            os.close(terminal)
        else:
            termios.tcflow(slave, termios.TCOOFF)
        end(process, path)
    os.close(slave)
    if do == "stop":
        os.close(terminal)


@pytest.mark.fault(
    "streams", "a capture in the background of a terminal that stops who writes (`stty tostop`)", "it is not stopped"
)
def test_a_status_line_from_the_background_stops_no_capture(tmp_path):
    path = tmp_path / "x.pcapng"
    terminal, slave = pty.openpty()
    settings = termios.tcgetattr(slave)
    settings[3] |= termios.TOSTOP
    termios.tcsetattr(slave, termios.TCSANOW, settings)

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", BACKGROUND, *command("-w", str(path))], stdin=slave, stdout=subprocess.PIPE,
        stderr=slave, env=environment,
    )  # fmt: skip
    pid = int(process.stdout.readline())
    try:
        begun(path)
        assert os.read(terminal, 100)
        ping()
        wait_until(lambda: packets(path.read_bytes()) == 20, 20.0, "all packets are in the file")
        os.kill(pid, signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        process.communicate()
        os.close(slave)
        os.close(terminal)


@pytest.mark.fault("streams", "`-w -` with a stdout that is closed", "refused by one line")
def test_nothing_is_captured_to_a_closed_stdout():
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" >&-', "-", *command("-w", "-")],
        stderr=subprocess.PIPE, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: cannot write standard output: it is closed, or only to be read"


@pytest.mark.fault("streams", "the reader of `-w -` goes while there are no packets", "noticed within a second, exit 1")
def test_a_reader_that_goes_is_noticed_without_a_packet():
    with capturing("-w", "-", stdout=subprocess.PIPE) as process:
        assert process.stdout.read(4) == b"\x0a\x0d\x0d\x0a"
        wait_until(lambda: b"capturing" in process.stderr.readline(), 20.0, "the capture has begun")
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(20) == 1
    assert said.splitlines()[-1] == "error: the reader of standard output is gone"


@pytest.mark.fault(
    "streams", "the reader of `-w -` reads no more", "a signal ends the capture; what was not written counts as lost"
)
def test_a_reader_that_does_not_read_keeps_no_capture():
    with capturing("-w", "-", stdout=subprocess.PIPE) as process:
        wait_until(lambda: b"capturing" in process.stderr.readline(), 20.0, "the capture has begun")
        ping(100, size=1400)
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read().decode()
        assert process.wait(20) == 1
        kept, lost = counts(said)
        written = process.stdout.read()
    assert "error: cannot write to standard output: its reader does not read" in said
    assert lost > 0
    assert kept + lost == 400
    assert whole_packets(written) == kept


def counts(said: str) -> tuple[int, int]:
    """Packets and losses at loopback, as the summary tells them."""
    (line,) = (line for line in said.splitlines() if line.startswith("  root lo"))
    kept, _, lost = line.removeprefix("  root lo").partition("LOST")
    return int(kept.split()[0].replace(",", "")), int(lost.strip().replace(",", "") or 0)


def whole_packets(data: bytes) -> int:
    """Packets of the first interface in what a pipe took: its end may be missing."""
    count = position = 0
    while position + 12 <= len(data):
        kind, length, interface = struct.unpack_from("<III", data, position)
        position += length
        count += kind == 6 and interface == 0 and position <= len(data)
    return count


@pytest.mark.fault("streams", "a FIFO that nobody opens for reading", "a signal ends the wait, by one line")
def test_the_wait_for_a_reader_can_be_ended(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with capturing("-w", str(path), text=True) as process:
        wait_until(lambda: is_waiting(process.pid), 20.0, "it waits")
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(20) == 1
    assert said.splitlines() == [f"error: nobody has opened `{path}` for reading"]


def is_waiting(pid: int) -> bool:
    """Whether it has its handler, and all that comes before the file is done: it sleeps."""
    caught = int(Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1) and "nanosleep" in Path(f"/proc/{pid}/wchan").read_text()


@pytest.mark.fault("streams", "a FIFO whose reader comes later", "the capture begins then")
def test_a_fifo_waits_for_its_reader(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with capturing("-w", str(path)) as process:
        wait_until(lambda: is_waiting(process.pid), 20.0, "it waits")
        with path.open("rb") as file:
            wait_until(lambda: b"capturing" in process.stderr.readline(), 20.0, "the capture has begun")
            ping()
            process.send_signal(signal.SIGINT)
            assert packets(file.read()) == 20
        assert process.wait(20) == 0


# --- a disk without room --------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """Room for 128 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "ttrace-test", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize(
    "to_stdout",
    [
        pytest.param(
            False,
            marks=pytest.mark.fault(
                "disk", "full", "whole blocks, exit 1; the summary counts what did not fit as lost"
            ),
        ),
        pytest.param(
            True,
            marks=pytest.mark.fault(
                "disk", "full, `-w - > FILE`", "whole blocks, exit 1; the summary counts what did not fit as lost"
            ),
        ),
    ],
)
def test_a_full_disk_loses_nothing_uncounted(small_disk, to_stdout):
    path = small_disk / "x.pcapng"
    with path.open("wb") if to_stdout else Path(os.devnull).open("wb") as stdout:
        if not to_stdout:
            path = small_disk / "y.pcapng"
        with capturing("-w", "-" if to_stdout else str(path), stdout=stdout, text=True) as process:
            begun(path)
            ping(100, size=1400)
            said = process.stderr.read()
            assert process.wait(20) == 1
    kept, lost = counts(said)
    assert packets(path.read_bytes()) == kept
    assert lost > 0
    assert kept + lost <= 400  # it ended while packets still came
    assert "nothing was lost" not in said
    assert "No space left on device" in said.splitlines()[-2]


@pytest.mark.fault(
    "disk", "full from the beginning, with `--force`", "refused; the old file stays, nothing is left beside it"
)
def test_a_full_disk_costs_no_old_file(small_disk):
    path = small_disk / "x.pcapng"
    path.write_bytes(b"what was there before")
    with suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as rest:
        while rest.write(bytes(4096)):
            pass
    with capturing("-w", str(path), "--force", text=True) as process:
        said = process.stderr.read()
        assert process.wait(20) == 1
    assert "No space left on device" in said.splitlines()[0]
    assert path.read_bytes() == b"what was there before"
    assert sorted(one.name for one in small_disk.iterdir()) == ["rest", "x.pcapng"]


@pytest.mark.fault(
    "disk",
    "becomes read-only after an error (ext4), without a packet to write",
    "noticed within a second, exit 1; what was written is whole",
)
def test_a_disk_that_becomes_read_only_is_noticed(tmp_path):
    image, disk = tmp_path / "image", tmp_path / "ext4"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(4 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
    try:
        path = disk / "x.pcapng"
        with capturing("-w", str(path), text=True) as process:
            begun(path)
            ping()
            wait_until(lambda: packets(path.read_bytes()) == 20, 20.0, "all packets are in the file")
            subprocess.run(["mount", "-o", "remount,abort", str(disk)], check=True)
            said = process.stderr.read()
            assert process.wait(20) == 1
        assert f"error: the file system of `{path}` has become read-only" in said
        assert counts(said) == (20, 0)
        assert packets(path.read_bytes()) == 20
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


# --- the file is taken away -----------------------------------------------------------------------------------------


def cut(path):
    os.truncate(path, 100)


def replace(path):
    other = path.with_name("other")
    other.write_bytes(b"")
    other.rename(path)


@pytest.mark.parametrize(
    ("do", "words"),
    [
        pytest.param(
            Path.unlink,
            "`{}` was deleted while it was written",
            marks=pytest.mark.fault(
                "output file", "deleted while it is written", "noticed within a second; the capture ends, exit 1"
            ),
        ),
        pytest.param(
            replace,
            "`{}` was deleted while it was written",
            marks=pytest.mark.fault(
                "output file",
                "another file is moved to its name while it is written",
                "noticed within a second; the capture ends, exit 1",
            ),
        ),
        pytest.param(
            lambda path: shutil.rmtree(path.parent),
            "`{}` was deleted while it was written",
            marks=pytest.mark.fault(
                "output file", "its folder is deleted with it", "noticed within a second; the capture ends, exit 1"
            ),
        ),
        pytest.param(
            lambda path: path.rename(path.with_name("other")),
            "`{}` was moved to `{}/other` while it was written",
            marks=pytest.mark.fault(
                "output file",
                "moved while it is written",
                "noticed within a second; the capture ends with whole blocks, exit 1; the line says where they are",
            ),
        ),
        pytest.param(
            lambda path: path.parent.rename(path.parent.with_name("other")),
            "`{}` was moved to `",
            marks=pytest.mark.fault(
                "output file",
                "its folder is moved while it is written",
                "noticed within a second; the capture ends with whole blocks, exit 1; the line says where they are",
            ),
        ),
        pytest.param(
            cut,
            "`{}` was cut while it was written",
            marks=pytest.mark.fault(
                "output file",
                "cut by another program while it is written",
                "noticed within a second; the capture ends, exit 1",
            ),
        ),
    ],
)
def test_a_file_that_nobody_can_reach_ends_the_capture(tmp_path, do, words):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "x.pcapng"
    with capturing("-w", str(path), text=True) as process:
        begun(path)
        do(path)
        said = process.stderr.read()
        assert process.wait(20) == 1
    assert f"error: {words.format(path, folder)}" in said
    assert "nothing was lost" not in said
    for kept in tmp_path.rglob("other"):
        if kept.is_file() and kept.stat().st_size:
            packets(kept.read_bytes())


@pytest.mark.fault("output file", "cut, and written to again at once", "noticed all the same, exit 1")
def test_a_cut_file_is_not_hidden_by_what_is_written_behind_the_cut(tmp_path):
    path = tmp_path / "x.pcapng"
    with capturing("-w", str(path), text=True) as process:
        wait_until(lambda: "capturing" in process.stderr.readline(), 20.0, "the capture has begun")
        process.send_signal(signal.SIGSTOP)
        ping(5)
        os.truncate(path, 0)
        process.send_signal(signal.SIGCONT)
        said = process.stderr.read()
        assert process.wait(20) == 1
    assert f"error: `{path}` was cut while it was written" in said


@pytest.mark.fault("output file", "deleted just before the capture is ended", "said, exit 1")
def test_a_file_that_is_gone_at_the_end_is_no_success(tmp_path):
    path = tmp_path / "x.pcapng"
    with capturing("-w", str(path), text=True) as process:
        begun(path)
        process.send_signal(signal.SIGSTOP)
        path.unlink()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        said = process.stderr.read()
        assert process.wait(20) == 1
    assert f"error: `{path}` was deleted while it was written" in said
