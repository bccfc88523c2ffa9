"""What is waited for keeps its part of the ring, and the capture goes on."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.lab import wait_until
from ttrace.pcapng.read import read_capture

from ..test_capture import snapshots
from .test_limits import LONG_S, flood, numbers


def frozen(folder: Path) -> list[Path]:
    return sorted(folder.glob("out-frozen-*"))


def span_ns(folder: Path) -> tuple[int, int]:
    """From when to when the files of a folder have every packet, as they say."""
    files = sorted(folder.glob("*.pcapng"))
    began = snapshots(files[0])["start", "capture", None]["started_ns"]
    return began, snapshots(files[-1])["stop", "capture", None]["ended_ns"]


@pytest.fixture
def ring(network, start, tmp_path):
    """A function that starts a ring of small files, with pings through it, and waits until it has some."""
    pings = subprocess.Popen(
        ["ip", "netns", "exec", network.client, "ping", "-q", "-i", "0.01", network.server_address],
        stdout=subprocess.DEVNULL,
    )

    def begin(**options):
        capture = start(
            network.router, output=f"{tmp_path}/out.pcapng", rotate_time_s=0.2, keep=4,
            **{"freeze_before_s": 0.5, "freeze_after_s": 0.5} | options,
        )  # fmt: skip
        wait_until(lambda: len(numbers(tmp_path)) == 4 and numbers(tmp_path)[-1] > 5, LONG_S, "the ring is full")
        return capture

    yield begin
    pings.kill()
    pings.wait()


def drop(network):
    network.run(network.router, "iptables", "-A", "FORWARD", "-p", "udp", "--dport", "7", "-j", "DROP")
    time.sleep(0.3)  # the rule is there for a while before anything happens
    send_datagram(network, 7)


def policy_drop(network):
    chain = "type filter hook forward priority 5; policy drop;\nmeta l4proto != udp accept"
    network.run(network.router, "nft", f"table inet t {{\nchain c {{\n{chain}\n}}\n}}")
    send_datagram(network, 7)


def reset(network):
    refused = "import socket\ntry: socket.create_connection(('10.8.0.2', 81), 2)\nexcept ConnectionRefusedError: pass\n"
    network.run(network.client, "python3", "-c", refused)


def match(network):
    send_datagram(network, 4321)


def send_datagram(network, port: int) -> None:
    send = f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.8.0.2', {port}))"
    network.run(network.client, "python3", "-c", send)


@pytest.mark.parametrize(
    ("options", "happen", "why"),
    [
        ({"freeze_on": ["drop"]}, drop, "drop"),
        ({"freeze_on": ["drop"]}, policy_drop, "drop"),
        ({"freeze_on": ["reset"], "trace": False}, reset, "reset"),
        ({"freeze_on": ["udp dport 4321"], "trace": False}, match, "match"),
        ({"freeze_on": ["udp dport 4321 ct state new"]}, match, "match"),
    ],
)
def test_what_happens_keeps_the_time_around_it(network, ring, tmp_path, options, happen, why):
    capture = ring(**options)
    assert frozen(tmp_path) == []
    before_ns = time.time_ns()
    happen(network)
    behind_ns = time.time_ns()
    wait_until(lambda: frozen(tmp_path), LONG_S, "a folder")
    (folder,) = frozen(tmp_path)
    assert re.fullmatch(rf"out-frozen-\d{{8}}-\d{{6}}-{why}", folder.name)
    assert folder.stat().st_mode & 0o777 == 0o700
    there = numbers(tmp_path)[-1]
    wait_until(lambda: numbers(tmp_path)[-1] > there + 8, LONG_S, "the ring has gone round")
    summary = capture.stop()
    assert summary["frozen"] == [str(folder)]
    assert summary["warnings"] == []
    kept = numbers(folder)
    assert kept == list(range(kept[0], kept[-1] + 1))
    began_ns, ended_ns = span_ns(folder)
    assert began_ns < behind_ns - 500_000_000
    assert ended_ns > before_ns + 500_000_000
    assert numbers(tmp_path)[0] > kept[-1]
    assert not set(numbers(tmp_path)) & set(kept)
    result = correlate_captures([f"r={folder}"])
    outcomes = {result.path(number).outcome for number in range(1, result.packets.count + 1)}
    assert ("dropped" in outcomes) == (why == "drop")


def test_nothing_is_kept_where_nothing_happens(network, ring, tmp_path):
    capture = ring(freeze_on=["drop", "reset", "udp dport 4321"])
    flood(network, 100)
    there = numbers(tmp_path)[-1]
    wait_until(lambda: numbers(tmp_path)[-1] > there + 4, LONG_S, "the ring has gone round")
    assert capture.stop()["frozen"] == []
    assert frozen(tmp_path) == []


@pytest.mark.fault("ring", "what freezes it never ends", "--freeze-most parts are kept; a warning, and it goes on")
def test_what_never_ends_keeps_so_many_parts(ring, tmp_path):
    capture = ring(freeze_on=["icmp type echo-request"], freeze_most=2, freeze_before_s=0, freeze_after_s=0.1)
    wait_until(lambda: len(frozen(tmp_path)) == 2, LONG_S, "two parts")
    there = numbers(tmp_path)[-1]
    wait_until(lambda: numbers(tmp_path)[-1] > there + 12, LONG_S, "the ring has gone round")
    summary = capture.stop()
    assert len(frozen(tmp_path)) == 2
    assert summary["warnings"] == ["2 parts of the ring are kept, and nothing that was seen later (--freeze-most)"]
    assert len(numbers(tmp_path)) == 4


@pytest.mark.fault("ring", "the capture ends while a part is being kept", "the last file is in that part")
def test_end_of_the_capture_ends_the_part(network, ring, tmp_path):
    capture = ring(freeze_on=["udp dport 4321"], freeze_after_s=100)
    match(network)
    wait_until(lambda: frozen(tmp_path), LONG_S, "a folder")
    summary = capture.stop()
    (folder,) = frozen(tmp_path)
    assert Path(summary["file"]).parent == folder
    assert summary["is_there"]
    assert read_capture(summary["file"]).truncated_at is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze_on": ["tcp dprot 80"], "rotate_time_s": 9}, "--freeze-on `tcp dprot 80`: syntax error"),
        ({"freeze_on": ["ip ttl 1 } }"], "rotate_time_s": 9}, "--freeze-on `ip ttl 1 } }`: not a plain nft match"),
        ({"freeze_on": ["drop"]}, "--freeze-on keeps a part of a ring of files"),
        ({"freeze_on": ["drop"], "rotate_time_s": 9, "trace": False}, "--freeze-on drop is found in the trace"),
    ],
)  # fmt: skip
def test_wrong_trigger_is_one_line(network, start, options, message):
    assert start(network.router, **options).wait_for("error")[0].startswith(message)
