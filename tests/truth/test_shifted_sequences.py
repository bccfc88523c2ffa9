"""SYNPROXY and the FTP helper of this kernel: what leaves a router with other sequence numbers is one packet still."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from ttrace.lab import wait_until

from .scene import TTRACE, is_recording

PCAP_HEAD = 24
"""Bytes of a pcap without a packet."""
SYNPROXY = (
    "iptables -t raw -A PREROUTING -i eth0 -p tcp --syn --dport 8080 -j CT --notrack",
    "iptables -A FORWARD -i eth0 -p tcp --dport 8080 -m state --state INVALID,UNTRACKED -j SYNPROXY --wscale 7",
    "iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP",
    "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0",
)
HELPER = (
    "iptables -t raw -A PREROUTING -p tcp --dport 8080 -j CT --helper ftp",
    "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE",
)
SERVER = """
import socket
listener = socket.create_server(("10.199.202.2", 8080))
print("listening", flush=True)
peer, _ = listener.accept()
if not {first!r}:
    pass
else:
    peer.sendall({first!r})
while told := peer.recv(1000):
    peer.sendall(b"200 " + told[:4] + bytes(range(200)) * 10)
peer.close()
"""
CLIENT = """
import socket
peer = socket.create_connection(("10.199.202.2", 8080), timeout=10)
if {first!r}:
    peer.recv(100)
for command in {commands!r}:
    peer.sendall(command)
    size = 0
    while size < 2008:
        size += len(peer.recv(4000))
peer.close()
"""


class Router:
    """A client, a router and a server in network namespaces of their own."""

    def __init__(self, prefix: str) -> None:
        self.client, self.router, self.server = (f"{prefix}{letter}" for letter in "crs")

    def __enter__(self) -> Self:
        self.down()
        for netns in (self.client, self.router, self.server):
            run("ip", "netns", "add", netns)
        for net, end, port in (("10.99.1", self.client, "eth0"), ("10.199.202", self.server, "eth1")):
            run("ip", "link", "add", "eth0", "netns", end, "type", "veth", "peer", port, "netns", self.router)
            for netns, name, host in ((end, "eth0", 2), (self.router, port, 1)):
                run("ip", "-n", netns, "address", "add", f"{net}.{host}/24", "dev", name)
                run("ip", "-n", netns, "link", "set", name, "up")
                # A super-packet that one side puts together has no equal on the other.
                run("ip", "netns", "exec", netns, "ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off")
            run("ip", "-n", end, "route", "add", "default", "via", f"{net}.1")
        run("ip", "netns", "exec", self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def down(self) -> None:
        for netns in (self.client, self.router, self.server):
            subprocess.run(["ip", "netns", "del", netns], capture_output=True, check=False)


def run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stderr)


@contextmanager
def running(*argv: str, log: Path, stop: signal.Signals = signal.SIGINT) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in `log`, stopped afterwards."""
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.send_signal(stop)
            process.wait(timeout=60)


@contextmanager
def recorded(lab: Router, folder: Path) -> Iterator[None]:
    """By ttrace on the router, and by a plain tcpdump on either side of it."""
    inside = ("ip", "netns", "exec", lab.router)
    file = folder / "r.pcapng"
    with ExitStack() as stack:
        for interface in ("eth0", "eth1"):
            log = folder / f"{interface}.log"
            argv = (
                *inside,
                "tcpdump",
                "-U",
                "--immediate-mode",
                "-i",
                interface,
                "-w",
                str(folder / f"{interface}.pcap"),
                "tcp",
            )
            stack.enter_context(running(*argv, log=log))
            wait_until(lambda log=log: "listening on" in log.read_text(), 10, "tcpdump listens")
        capture = [*TTRACE, "capture", "--node-name", "r", "--trace-limit", "0", "--write", str(file)]
        stack.enter_context(running(*inside, *capture, log=folder / "r.log"))
        wait_until(lambda: is_recording(file), 60, "the capture begins")
        yield
        files = [file, *(folder / f"{interface}.pcap" for interface in ("eth0", "eth1"))]
        quiet = {"sizes": [0, 0, 0]}

        def is_quiet() -> bool:
            before, quiet["sizes"] = quiet["sizes"], [file.stat().st_size for file in files]
            return before == quiet["sizes"] and min(before) > PCAP_HEAD

        wait_until(is_quiet, 20, "all is written")


def told(folder: Path, *files: str) -> list[dict[str, Any]]:
    """The TCP paths that `ttrace correlate` tells of."""
    argv = [*TTRACE, "correlate", *(str(folder / file) for file in files), "--format", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [path for path in json.loads(done.stdout)["paths"] if path["protocol"] == "tcp"]


def scene(folder: Path, prefix: str, rules: tuple[str, ...], first: bytes, commands: list[bytes]) -> Path:
    """Record a connection through the router; `first`: what the server begins with."""
    with Router(prefix) as lab:
        for rule in rules:
            run("ip", "netns", "exec", lab.router, *rule.split())
        server = (sys.executable, "-c", SERVER.format(first=first))
        log = folder / "server.log"
        with (
            recorded(lab, folder),
            running("ip", "netns", "exec", lab.server, *server, log=log, stop=signal.SIGTERM),
        ):
            wait_until(lambda: "listening" in log.read_text(), 10, "the server listens")
            run(
                "ip", "netns", "exec", lab.client, sys.executable, "-c", CLIENT.format(first=first, commands=commands)
            )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    commands = [b"first", b"second one", b"third and last"]
    return scene(tmp_path_factory.mktemp("proxied"), "ttseqp", SYNPROXY, b"", commands)


@pytest.fixture(scope="module")
def helped(tmp_path_factory):
    commands = [b"USER me\r\n", b"PORT 10,99,1,2,4,1\r\n", b"NOOP\r\n", b"PORT 10,99,1,2,4,2\r\n", b"STAT\r\n"]
    return scene(tmp_path_factory.mktemp("helped"), "ttseqh", HELPER, b"220 ready\r\n", commands)


def interfaces(path):
    return [(hop["interface"]) for hop in path["hops"] if hop["kind"] == "interface"]


@pytest.mark.parametrize("files", [["r.pcapng"], ["eth0.pcap", "eth1.pcap"]], ids=["traced", "plain"])
def test_every_segment_through_synproxy_is_one_packet(files, proxied):
    paths = told(proxied, *files)
    data = [path for path in paths if "bytes" in path["info"]]
    assert len(data) == 3 + 3 * 2
    shifts = set()
    for path in data:
        way = ["eth0", "eth1"] if path["direction"] == "forward" else ["eth1", "eth0"]
        assert interfaces(path) == way
        shift = path["sequence_shifted"]
        shifts.add(shift["acknowledgment"] if path["direction"] == "forward" else -shift["sequence"])
    assert len(shifts) == 1
    greetings = [path for path in paths if path["info"] in ("SYN", "SYN,ACK")]
    assert sorted(interfaces(path) for path in greetings) == [["eth0"], ["eth0"], ["eth1"], ["eth1"]]
    proxy_took = [path for path in greetings if path["reason"] and path["reason"]["kind"] == "proxied"]
    assert sorted((path["info"], *interfaces(path)) for path in proxy_took) == [("SYN", "eth0"), ("SYN,ACK", "eth1")]
    assert not [path for path in paths if path["outcome"] in ("lost", "dropped")]


@pytest.mark.parametrize("files", [["r.pcapng"], ["eth0.pcap", "eth1.pcap"]], ids=["traced", "plain"])
def test_what_follows_a_rewritten_command_is_one_packet(files, helped):
    paths = told(helped, *files)
    through = [path for path in paths if len(interfaces(path)) == 2]
    shifts = [path["sequence_shifted"] for path in through if path["direction"] == "forward" and "b" in path["info"]]
    assert len({shift["sequence"] if shift else 0 for shift in shifts}) >= 2
    rewritten = [path["info"] for path in paths if len(interfaces(path)) == 1]
    if files == ["r.pcapng"]:
        # The trace shows that what the helper made of a command is the same packet.
        assert rewritten == []
        assert [path["info"] for path in paths if path["payload_rewritten"]] == ["PSH,ACK 20 bytes"] * 2
    else:
        assert sorted(rewritten) == ["PSH,ACK 20 bytes"] * 2 + ["PSH,ACK 23 bytes"] * 2
    assert not [path for path in paths if path["outcome"] in ("lost", "dropped")]
