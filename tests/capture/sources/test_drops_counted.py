"""Where a program may not be loaded, drops are counted: by reason and function, of the whole machine."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP

from ttrace.capture import CaptureOptions, run, run_capture
from ttrace.capture.machine.netns import open_netns
from ttrace.capture.recording_snapshots import begin_snapshots
from ttrace.capture.sources import drops
from ttrace.correlate import correlate_captures
from ttrace.lab import wait_until
from ttrace.report import render_telling
from ttrace.report.telling import Telling

from ..command import COMMAND
from ..refused_calls import BPF, PERF_EVENT_OPEN, refusing
from ..test_rights import capturing

SENT = 12
SAID = "packets that the kernel drops are not recorded: "
COUNTED = "instead they are counted, by reason, on the whole machine"
TRACEFS = 'mount -t tracefs none /sys/kernel/tracing && exec "$@"'
LESS = ["setpriv", "--bounding-set=-bpf,-sys_admin"]


def tried(what: str, result: str = "a warning; drops are counted by reason"):
    return pytest.mark.fault("kernel drops", what, result)


def with_tracefs(*command: str) -> list[str]:
    """In front of a command: it sees tracefs, which it may not mount."""
    return ["unshare", "--mount", "sh", "-c", TRACEFS, "sh", *command]


def send_with_a_wrong_sum(network) -> None:
    """SYNs that nobody takes, and that their sender sends again."""
    send(network, TCP(sport=5000, dport=8000, flags="S", chksum=0x1234))


def send(network, syn: TCP) -> None:
    """Several; not at once, for other tests may fill the memory of a processor meanwhile."""
    syn = IP(src=network.client_address, dst="10.9.0.1") / syn
    netns = open_netns(network.client)
    with netns.entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        for _ in range(SENT):
            sender.sendto(bytes(syn), ("10.9.0.1", 0))
            time.sleep(0.03)
    netns.close()


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(refusing(BPF), marks=tried("a seccomp filter refuses bpf()"), id="seccomp"),
        pytest.param(with_tracefs(*LESS), marks=tried("CAP_PERFMON, but no CAP_BPF and no CAP_SYS_ADMIN"), id="rights"),
    ],
)
def test_drops_are_counted_by_reason(network, tmp_path, before):
    file = tmp_path / "x.pcapng"
    network.run(network.router, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "8001", "-j", "DROP")
    with capturing(network.router, file, "--node-name", "n1", "--no-trace", before=before) as process:
        send_with_a_wrong_sum(network)
        send(network, TCP(sport=5001, dport=8001, flags="S"))
    (line,) = [line for line in process.said.splitlines() if "kernel drop" in line]
    assert SAID in line
    assert line.endswith(COUNTED)
    told = Telling.chosen(correlate_captures([str(file)]), every_path=True)
    document = json.loads("".join(render_telling(told, "json")))
    (capture,) = document["captures"]
    # Others may drop such packets meanwhile as well.
    (counted,) = [one for one in capture["kernel_drops"] if one["reason"] == "TCP_CSUM"]
    untold = sum(one["packets"] for one in capture["kernel_drops"] if one["reason"] is None)
    assert counted["packets"] + untold >= SENT
    assert counted["function"].startswith("tcp_v4_rcv")
    assert not any(hop["kind"] == "drop" for path in document["paths"] for hop in path["hops"])
    (found,) = [one for one in document["findings"] if one["kind"] == "checksum_wrong"]
    words = f"{counted['packets']} packets for TCP_CSUM (tcp_v4_rcv)"
    evidence = next(one for one in found["evidence"] if one["what"] == "counter")
    assert evidence["text"] == f"n1: the kernel dropped {words}, on the whole machine"
    assert evidence["frame"]
    by_rule = sum(one["packets"] for one in capture["kernel_drops"] if one["reason"] == "NETFILTER_DROP")
    assert by_rule + untold >= SENT
    (silent,) = [one for one in document["findings"] if one["kind"] == "unanswered"]
    assert "; meanwhile the kernel of n1 dropped " in silent["text"]
    assert silent["text"].endswith(", on the whole machine")
    assert "the kernel dropped packets, on the whole machine: " in "".join(render_telling(told, "text"))


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(
            refusing(BPF, PERF_EVENT_OPEN),
            marks=tried("a seccomp filter refuses bpf() and perf_event_open()", "one warning; all else is captured"),
        ),
        pytest.param(
            LESS, marks=tried("no CAP_BPF, and tracefs is not there", "one warning; all else is captured"), id="tracefs"
        ),
    ],
)
def test_what_can_neither_be_recorded_nor_counted_is_one_warning(network, tmp_path, before):
    if before == LESS and Path("/sys/kernel/tracing/events").exists():
        before = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/tracing && exec "$@"', "sh", *LESS]
    file = tmp_path / "x.pcapng"
    with capturing(network.router, file, before=before) as process:
        send_with_a_wrong_sum(network)
    (line,) = [line for line in process.said.splitlines() if "kernel drop" in line]
    assert line.endswith(f"{SAID}Operation not permitted (`ttrace doctor` says what it needs)")
    document = json.loads("".join(render_telling(Telling.chosen(correlate_captures([str(file)])), "json")))
    assert document["captures"][0]["kernel_drops"] is None
    assert document["captures"][0]["packets"] >= SENT


def test_drops_of_a_ring_are_counted_in_the_file_of_their_time(network, tmp_path):
    file = tmp_path / "x.pcapng"
    options = ("--rotate-time", "0.3", "--node-name", "n1")
    with capturing(network.router, file, *options, before=refusing(BPF)):
        send_with_a_wrong_sum(network)
        wait_until(lambda: len(list(tmp_path.glob("x*.pcapng"))) >= 3, 20.0, "three files are begun")
    files = sorted(tmp_path.glob("x*.pcapng"))
    document = json.loads("".join(render_telling(Telling.chosen(correlate_captures(map(str, files))), "json")))
    counted = [one for capture in document["captures"] for one in capture["kernel_drops"] or ()]
    of_sums = sum(one["packets"] for one in counted if one["reason"] == "TCP_CSUM")
    untold = sum(one["packets"] for one in counted if one["reason"] is None)
    assert of_sums + untold >= SENT
    assert 0 < of_sums < 3 * SENT  # each once, though some of others


def test_what_is_dropped_before_the_first_snapshot_is_counted_too(network, router, tmp_path, monkeypatch):
    """As packets are taken from then on, before there is time for snapshots."""

    def refuse(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def dropped_before(*arguments):
        if arguments[2] == "start":
            send_with_a_wrong_sum(network)
        begin_snapshots(*arguments)

    monkeypatch.setattr(drops, "open_drops", refuse)
    monkeypatch.setattr(run, "begin_snapshots", dropped_before)
    file = tmp_path / "x.pcapng"
    with router.entered():
        run_capture(CaptureOptions(output=str(file), duration_s=0.1))
    (told,) = Telling.chosen(correlate_captures([str(file)])).head[1].files
    assert sum(one.packets for one in told.facts.kernel_drops if one.reason in ("TCP_CSUM", "")) >= SENT


def test_without_the_option_nothing_is_counted(network, tmp_path):
    file = tmp_path / "x.pcapng"
    with capturing(network.router, file, "--no-kernel-drops", before=refusing(BPF)) as process:
        send_with_a_wrong_sum(network)
    assert "kernel drop" not in process.said
    assert b'"drops"' not in file.read_bytes()


@pytest.mark.parametrize(
    ("before", "code", "text"),
    [
        ([], 0, "works: each packet, by a BPF program"),
        (refusing(BPF), 0, f"Operation not permitted; {COUNTED}"),
        (with_tracefs(*LESS), 0, f"Operation not permitted; {COUNTED}"),
        (refusing(BPF, PERF_EVENT_OPEN), 1, "MISSING kernel drops"),
    ],
)
def test_doctor_says_which_way_is_used(node, before, code, text):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [shutil.which("ip"), "netns", "exec", node, *before, *COMMAND, "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert text in " ".join(done.stdout.split())
