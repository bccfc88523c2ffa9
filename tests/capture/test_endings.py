"""A capture can always be ended, and nothing is left of it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ttrace.capture.machine import programs
from ttrace.lab import wait_until

from .conftest import CAPTURE_SCRIPT, Capture, tshark

SIGNALS = {"SIGINT": "Ctrl-C", "SIGTERM": "kill", "SIGHUP": "its terminal is gone", "SIGQUIT": "Ctrl-\\"}


def listening(network) -> int:
    """Packet sockets in the router that are bound to an interface."""
    rows = network.run(network.router, "cat", "/proc/net/packet").splitlines()[1:]
    return sum(row.split()[4] != "0" for row in rows)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.fault("end", f"{name} ({why})", "ends cleanly; the file is whole"))
        for name, why in SIGNALS.items()
    ],
)
def test_a_signal_ends_a_capture_cleanly(network, start, name):
    capture = start(network.router)
    capture.wait_ready()
    network.ping(count=1)
    capture.process.send_signal(signal.Signals[name])
    assert capture.wait_for("summary")["packets"] >= 6
    assert capture.process.wait(10) == 0
    assert len(tshark(capture.path, "-Y", "icmp")) == 6
    assert "ttrace" not in network.run(network.router, "nft", "list", "tables")


@pytest.mark.fault("end", "SIGTERM when its rings have just been opened", "ends at once, with the packets until then")
def test_a_signal_while_it_starts(network, start):
    capture = start(network.router)
    wait_until(lambda: listening(network) == 3, 20.0, "rings are open")
    network.ping(count=1)
    capture.process.send_signal(signal.SIGTERM)
    summary = capture.wait_for("summary")
    assert capture.process.wait(10) == 0
    assert len(tshark(capture.path, "-Y", "icmp")) == 6
    assert summary["lost"] == 0
    assert "ttrace" not in network.run(network.router, "nft", "list", "tables")


@pytest.mark.fault("end", "SIGTERM while kernels are compiled for the first time", "ends at once; no file is left")
def test_a_signal_while_it_compiles(network, start, tmp_path):
    cache = tmp_path / "kernels"
    cache.mkdir()
    capture = start(network.router, environment={"NUMBA_CACHE_DIR": str(cache), "NOTHING_FITS": "1"})
    compiler = f"/proc/{capture.process.pid}/maps"
    said = capture.wait_for("said")
    assert said.startswith("nothing compiled ahead fits this machine")
    assert "are compiled now, about" in said
    wait_until(lambda: "llvmlite" in Path(compiler).read_text(), 20.0, "it compiles")
    capture.process.send_signal(signal.SIGTERM)
    assert capture.wait_for("error") == ["ended by a signal before it captured anything", None]
    assert capture.process.wait(10) == 1
    assert not capture.path.exists()


def start_with_program(network, tmp_path, script: str) -> Capture:
    """A capture of the router for which iptables' programs are `script`."""
    program, path = tmp_path / "program", tmp_path / "x.pcapng"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n{script}\n")
    program.chmod(0o755)
    options = json.dumps({"output": str(path)})
    # `ip netns exec` gives the process a view of its own of what is mounted.
    command = 'mount --bind "$0" "$(readlink -f /usr/sbin/iptables-nft-save)" && exec "$@"'
    process = subprocess.Popen(
        ["ip", "netns", "exec", network.router, "sh", "-c", command, str(program),
         sys.executable, "-c", CAPTURE_SCRIPT, options, str(tmp_path / "journals")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return Capture(process, path)


def running(path: Path) -> list[str]:
    """Processes that run this program."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes()
        except OSError:  # it has ended
            continue
        if str(path).encode() in words and str(os.getpid()) != command.parent.name:
            found.append(command.parent.name)
    return found


@pytest.mark.fault(
    "end",
    "iptables-save hangs, ignores SIGTERM and has a child that holds its pipes; then SIGTERM",
    "packets are recorded meanwhile; ends within seconds, with a warning; no process is left",
)
def test_a_helper_program_that_hangs_keeps_nobody(network, tmp_path):
    script = "trap '' TERM INT HUP QUIT\nsleep 1000 &\nwhile :; do sleep 1000; done"
    capture = start_with_program(network, tmp_path, script)
    try:
        wait_until(lambda: (tmp_path / "asked").exists(), 20.0, "it was asked")
        network.ping(count=1)
        began = time.monotonic()
        capture.process.send_signal(signal.SIGTERM)
        summary = capture.wait_for("summary")
        assert capture.process.wait(10) == 0
        assert time.monotonic() - began < 15
        assert any("no rules recorded" in w or "not there in time" in w for w in summary["warnings"])
        assert len(tshark(capture.path, "-Y", "icmp")) == 6
        wait_until(lambda: not running(tmp_path / "program"), 5.0, "no program is left")
    finally:
        capture.process.kill()
        capture.process.communicate()


@pytest.mark.fault("end", "iptables-save ends with an error", "its rules are left out; all else is recorded")
def test_a_helper_program_that_fails(network, tmp_path):
    capture = start_with_program(network, tmp_path, "echo 'no such table' >&2\nexit 3")
    try:
        capture.wait_ready()
        network.ping(count=1)
        summary = capture.stop()
        assert len(tshark(capture.path, "-Y", "icmp")) == 6
        assert summary["lost"] == 0
    finally:
        capture.process.kill()
        capture.process.communicate()


@pytest.mark.fault("end", "a helper program hangs and its child holds the pipe", "both are killed when its time is up")
def test_a_program_that_hangs_is_killed_with_its_children(tmp_path):
    script = tmp_path / "hangs"
    script.write_text("#!/bin/sh\ntrap '' TERM\nsleep 1000 &\nsleep 1000\n")
    script.chmod(0o755)
    with pytest.raises(subprocess.TimeoutExpired):
        programs._run_to_end([str(script)], str(script), 0.3)
    wait_until(lambda: not running(script), 5.0, "it has ended")
    assert programs._running == set()


HANGS = """
import signal, sys, time
from ttrace.capture.stop import StopSignals
stop = StopSignals()
stop.bound_s = 0.3
stop.break_off = lambda: print("put back", flush=True)
with stop:
    print("ready", flush=True)
    while True:
        time.sleep(100)
"""


@pytest.mark.fault("end", "the whole process hangs, and SIGTERM comes", "broken off in time; settings put back")
def test_what_hangs_is_broken_off():
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    output, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert output == "put back\n"
    assert said == "error: the capture did not end within 0.3 s after a signal and was broken off\n"


@pytest.mark.fault("end", "twenty signals of four kinds at once", "one clean end")
def test_a_hail_of_signals(network, start):
    capture = start(network.router)
    capture.wait_ready()
    network.ping(count=1)
    for _ in range(5):
        for name in SIGNALS:
            capture.process.send_signal(signal.Signals[name])
    capture.wait_for("summary")
    assert capture.process.wait(10) == 0
    assert len(tshark(capture.path, "-Y", "icmp")) == 6


@pytest.mark.fault("end", "SIGTERM while packets flood in", "ends in time; what comes after the end is not counted")
def test_a_signal_in_a_flood(network, start):
    flood = subprocess.Popen(
        ["ip", "netns", "exec", network.client, "ping", "-q", "-f", "-l", "20", network.server_address],
        stdout=subprocess.DEVNULL,
    )
    try:
        capture = start(network.router, trace=False)
        capture.wait_ready()
        capture.process.send_signal(signal.SIGTERM)
        summary = capture.wait_for("summary")
        assert capture.process.wait(15) == 0
        assert summary["packets"] > 0
        assert summary["lost"] == 0
    finally:
        flood.kill()
        flood.wait()


IMPORTING = """
import builtins, os, signal
imported = builtins.__import__

def interrupted(name, *arguments, **more):
    if name == "typer" and arguments[0] and arguments[0].get("__name__") == "ttrace.cli":
        os.kill(os.getpid(), signal.SIGINT)
    return imported(name, *arguments, **more)

builtins.__import__ = interrupted
from ttrace.cli import main
main()
"""
BUILDING = """
import os, signal
from ttrace import cli
cli.app = lambda **_: os.kill(os.getpid(), signal.SIGINT)
cli.main()
"""


@pytest.mark.parametrize(
    ("script", "status"),
    [
        pytest.param(
            IMPORTING,
            -signal.SIGINT,
            marks=pytest.mark.fault("end", "Ctrl-C while ttrace is imported", "ends silently"),
        ),
        pytest.param(
            BUILDING, 130, marks=pytest.mark.fault("end", "Ctrl-C before the command has begun", "ends silently")
        ),
    ],
)
def test_an_interrupt_before_anything_has_begun_is_silent(script, status):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (status, "")
