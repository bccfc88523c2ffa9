"""What is lost, when, and that it is counted: for the time of the capture and no longer."""

import resource
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ttrace.capture.sockets.arena import Arena
from ttrace.capture.sockets.bpf import accept_all
from ttrace.capture.sockets.netfilter import arena_bytes, open_netfilter_socket
from ttrace.capture.sockets.numbers import NFNLGRP_CONNTRACK_NEW
from ttrace.capture.sockets.ring import SMALLEST_UNITS, UNIT_BYTES, open_ring
from ttrace.pcapng.blocks import LinkType

from .conftest import ip, tshark
from .test_capture import snapshots


def trickle(network, count: int) -> None:
    """Pings to the router, ten a second."""
    network.run(network.client, "ping", "-q", "-c", str(count), "-i", "0.1", "10.9.0.1")


@pytest.mark.fault("losses", "SIGSTOP for two seconds while ten packets a second come", "nothing is lost")
def test_a_trickle_does_not_fill_a_small_ring_in_time(network, start):
    capture = start(network.router, interfaces=["veth0"], trace=False, ring_mib=2)
    capture.wait_ready()
    capture.process.send_signal(signal.SIGSTOP)
    # The kernel hands a block over every 150 ms, with two packets: this takes more than the eight there once were.
    trickle(network, 19)
    capture.process.send_signal(signal.SIGCONT)
    summary = capture.stop()
    assert summary["lost"] == 0
    assert len(tshark(capture.path, "-Y", "icmp")) == 38


@pytest.mark.fault("losses", "SIGSTOP while more comes than the ring holds", "what was lost is counted, to the packet")
def test_what_is_lost_while_the_capture_stands_still_is_counted(network, start):
    capture = start(network.router, interfaces=["veth0"], trace=False, ring_mib=2)
    capture.wait_ready()
    capture.process.send_signal(signal.SIGSTOP)
    flood_in(network)
    capture.process.send_signal(signal.SIGCONT)
    summary = capture.stop()
    assert summary["lost"] > 0
    assert summary["packets"] + summary["lost"] >= 3000


@pytest.mark.fault(
    "losses",
    "more comes while numba is loaded than the rings hold",
    "the capture begins when it is ready, and says so (`started_ns`); nothing of it is lost",
)
def test_what_is_lost_before_it_is_ready_is_before_the_beginning(network, start):
    capture = start(network.router, interfaces=["veth0"], trace=False, ring_mib=2)
    maps = Path(f"/proc/{capture.process.pid}/maps")
    while "socket:[" not in maps.read_text():
        assert capture.process.poll() is None
    capture.process.send_signal(signal.SIGSTOP)
    flood_in(network)
    flooded_ns = time.time_ns()
    capture.process.send_signal(signal.SIGCONT)
    capture.wait_ready()
    network.ping(count=2)
    summary = capture.stop()
    assert summary["lost"] == 0
    assert snapshots(capture.path)["stop", "capture", None]["started_ns"] > flooded_ns
    assert summary["duration_s"] < (time.time_ns() - flooded_ns) / 1e9
    assert len(tshark(capture.path, "-Y", f"icmp && ip.addr == {network.server_address}")) == 4


def flood_in(network) -> None:
    """3,000 packets of 1,400 bytes on veth0: twice what 2 MiB hold."""
    subprocess.run(
        ["ip", "netns", "exec", network.client, "ping", "-q", "-f", "-c", "1500", "-s", "1400", "10.9.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.mark.fault("losses", "more comes after the end than a ring holds", "let in no more, and lost by nobody")
def test_what_comes_after_the_end_is_not_lost(network, router):
    arena = Arena(slots=1, slot_bytes=SMALLEST_UNITS * UNIT_BYTES)
    with router.entered():
        ring = open_ring(
            arena, router, interface="veth0", index=1, link_type=LinkType.ETHERNET, mac=b"",
            program=accept_all(1_600), units=SMALLEST_UNITS, packet_bytes=1_600,
        )  # fmt: skip
    network.ping(count=1)
    ring.shut()
    ring.read_statistics()
    received = ring.received
    flood_in(network)
    ring.read_statistics()
    assert (ring.received, ring.lost) == (received, 0)
    ring.close()
    arena.close()


def new_flows(network, count: int) -> None:
    """Datagrams of so many flows through the router's NAT."""
    script = (
        "import socket\n"
        f"for port in range({count}):\n"
        "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
        f"        s.sendto(b'x', ('{network.server_address}', 10000 + port))\n"
    )
    network.run(network.client, "python3", "-c", script)


@pytest.mark.fault("losses", "netlink overflows before the capture is ready", "not counted; what comes later is")
@pytest.mark.fault("losses", "netlink would overflow after the end", "nothing is heard any more, nor counted")
def test_messages_lost_before_and_after_are_not_counted(network, router):
    arena = Arena(buffer_bytes=arena_bytes(1))
    groups = (NFNLGRP_CONNTRACK_NEW,)
    listener = open_netfilter_socket(arena, router, buffer_mib=1, groups=groups, wakes=())
    new_flows(network, 3_000)
    assert listener.forget_lost() > 0
    new_flows(network, 100)
    listener.read_lost()
    lost = listener.lost
    assert lost >= 100
    listener.leave(groups)
    new_flows(network, 100)
    listener.read_lost()
    assert listener.lost == lost
    listener.close()
    arena.close()


@pytest.fixture
def forty(network):
    """Forty namespaces joined to the router's bridge."""
    names = [f"{network.router}-{number}" for number in range(40)]
    try:
        for name in names:
            ip("netns", "add", name)
        lines = [f"link add f{n} type veth peer name eth0 netns {name}" for n, name in enumerate(names)]
        lines += [f"link set f{n} master br0 up" for n in range(len(names))]
        subprocess.run(["ip", "-n", network.router, "-batch", "-"], input="\n".join(lines), text=True, check=True)
        for name in names:
            ip("-n", name, "link", "set", "eth0", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def limited(capture, soft: int, hard: int) -> None:
    """A capture's limit of open files, from before it looks at it."""
    resource.prlimit(capture.process.pid, resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.fault("descriptors", "41 namespaces, 64 open files allowed but 4,096 possible", "raises its own limit")
@pytest.mark.fault("losses", "packets trickle in while 41 namespaces are opened", "nothing is lost")
def test_many_namespaces_with_a_low_soft_limit(network, forty, start):
    with pinging(network):
        capture = start(network.router, netns=forty)
        limited(capture, 64, 4096)
        capture.wait_ready()
        summary = capture.stop()
    assert len(summary["namespaces"]) == 41
    assert (summary["lost"], summary["netlink_lost"], summary["warnings"]) == (0, 0, [])
    assert all(point["packets"] for point in summary["points"] if point["interface"] == "veth0")


@contextmanager
def pinging(network):
    process = subprocess.Popen(
        ["ip", "netns", "exec", network.client, "ping", "-q", "-i", "0.01", network.server_address],
        stdout=subprocess.DEVNULL,
    )
    yield
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    "allowed",
    [
        pytest.param(
            30, marks=pytest.mark.fault("descriptors", "not enough to open the namespaces", "one line says so, before")
        ),
        pytest.param(
            200, marks=pytest.mark.fault("descriptors", "not enough for their sockets", "one line says so, before")
        ),
    ],
)
def test_too_low_a_hard_limit_is_said_beforehand(network, forty, start, allowed):
    capture = start(network.router, netns=forty)
    limited(capture, allowed, allowed)
    message, hint = capture.wait_for("error")
    assert f"{allowed}" in message
    assert "open files" in message
    assert "LimitNOFILE" in hint
    assert capture.process.wait(10) == 1
    assert not capture.path.exists()
