"""kill -9 at any moment, under load: no table, no setting that the next run does not put back, a readable file."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.errors import TtraceError
from ttrace.lab import LightLab, wait_until
from ttrace.lab.recording import ttrace_command

KILLS = 50
SECTION_HEADER_BYTES = 28
"""Its smallest size: a file that ends in it is none."""
FLOOD = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    for _ in range(100):
        s.sendto(b"x" * 64, ("192.168.77.2", 9000))
    time.sleep(0.005)
"""
"""Some ten thousand packets a second, each with all its trace messages: a capture under load, and a core for others."""
JOURNALS = "journals"
ACCOUNTING = "/proc/sys/net/netfilter/nf_conntrack_acct"


def tables(lab):
    return lab.command("master", ["nft", "list", "tables"]).stdout


@pytest.mark.fault(
    "what is left behind",
    "50 times kill -9 of a capture under load, at random moments",
    "no table; settings are put back by the next; each file is readable",
)
def test_fifty_kills_at_random_moments_leave_nothing_behind(tmp_path):
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    moments = random.Random(seed)
    whole = empty = 0
    with LightLab("ttkill") as lab:
        before = lab.command("master", ["cat", ACCOUNTING]).stdout
        load = lab.popen(
            "web1", ["timeout", "120", "python3", "-c", FLOOD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            started = _seconds_until_ready(lab, tmp_path / "ready.pcapng")
            for number in range(KILLS):
                file = tmp_path / f"{number}.pcapng"
                _capture_and_kill(lab, file, moments.uniform(0.0, 2 * started))
                wait_until(lambda: "ttrace" not in tables(lab), 5.0, "the table of the killed capture is gone")
                if file.exists() and file.stat().st_size:
                    _check_file(file)
                    whole += 1
                else:
                    empty += 1
                file.unlink(missing_ok=True)
        finally:
            load.kill()
            load.wait()
        doctor = subprocess.run(
            _alone(
                tmp_path / JOURNALS, ["nsenter", f"--net={lab.nodes['master'].netns_path}", *ttrace_command("doctor")]
            ),
            capture_output=True,
            check=False,
        )
        assert doctor.returncode == 0
        assert lab.command("master", ["cat", ACCOUNTING]).stdout == before
    print(f"{KILLS} kills: {whole} readable files, {empty} killed before the first byte")
    assert whole > KILLS // 3
    assert not [p for p in (tmp_path / JOURNALS).glob("*.json") if not Path(f"/proc/{p.stem}").exists()]


def _alone(folder, command):
    """The command with journals in `folder`: what it leaves no capture of another test puts back, or warns of."""
    beside = 'mkdir -p "$0" /run/ttrace && mount --bind "$0" /run/ttrace && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", beside, str(folder), *command]


def _command(file):
    options = ["--trace-limit", "0", "--conntrack-details", "--node-name", "master"]
    return _alone(file.parent / JOURNALS, ttrace_command("capture", "-w", str(file), *options))


def _seconds_until_ready(lab, file):
    """How long this machine, under this load, takes to begin a capture."""
    begin = time.monotonic()
    capture = lab.popen("master", _command(file), stdout=subprocess.DEVNULL)
    assert "capturing" in capture.stderr.readline()
    seconds = time.monotonic() - begin
    capture.kill()
    capture.communicate()
    return seconds


def _capture_and_kill(lab, file, seconds):
    capture = lab.popen("master", _command(file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        capture.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(capture.pid, signal.SIGKILL)
    capture.wait()
    assert capture.returncode == -signal.SIGKILL


def _check_file(file):
    """Every whole block is there: Wireshark's tools read it up to the cut, and so do we."""
    size = file.stat().st_size
    if size < SECTION_HEADER_BYTES:
        with pytest.raises(TtraceError):
            correlate_captures([str(file)])
        return
    result = correlate_captures([str(file)])
    capture = result.capture(0)
    assert capture.truncated_at is None or size - capture.truncated_at < 1_000_000
    done = subprocess.run(["capinfos", "-c", "-M", str(file)], capture_output=True, text=True, check=False)
    if capture.truncated_at is None:
        assert f"Number of packets:   {capture.records.size}" in done.stdout, done.stdout
