"""Real network namespaces, and captures in them as child processes. All of it needs root, and fails without."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from ttrace.capture.machine import journal
from ttrace.capture.machine.netns import open_netns

CAPTURE_SCRIPT = """
import json, os, sys
from dataclasses import asdict
from pathlib import Path
from ttrace.capture import CaptureOptions, run_capture
from ttrace.capture.machine import journal
from ttrace.errors import TtraceError

journal.JOURNAL_DIRECTORY = Path(sys.argv[2])

if os.environ.get("NOTHING_FITS"):  # of what was compiled ahead
    from ttrace.capture.stream import ready
    ready.load_ahead = lambda: None

def say(line):
    print("said", json.dumps(line), file=sys.stderr, flush=True)

def show(status):
    print("status", json.dumps(asdict(status)), file=sys.stderr, flush=True)

def facts_of(summary):
    return asdict(summary) | {"packets": summary.packets, "lost": summary.lost}

try:
    summary = run_capture(CaptureOptions(**json.loads(sys.argv[1])), status=show, say=say)
except TtraceError as error:
    if hasattr(error, "summary"):
        print("summary", json.dumps(facts_of(error.summary)), file=sys.stderr)
    print("error", json.dumps([error.message, error.hint]), file=sys.stderr)
    sys.exit(1)
print("summary", json.dumps(facts_of(summary)), file=sys.stderr)
"""


@dataclass
class Network:
    """`client` - bridge `br0` of `router` - `server`; the router masquerades, and forwards port 8080 to client:80."""

    router: str
    client: str
    server: str
    client_address: str = "10.9.0.2"
    router_address: str = "10.8.0.1"
    server_address: str = "10.8.0.2"

    def run(self, namespace: str, *command: str) -> str:
        done = subprocess.run(["ip", "netns", "exec", namespace, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def ping(self, count: int = 3, size: int = 56) -> None:
        self.run(self.client, "ping", "-q", "-c", str(count), "-i", "0.002", "-s", str(size), self.server_address)


@dataclass
class Capture:
    """A capture that runs in a child process."""

    process: subprocess.Popen[str]
    path: Path

    def wait_for(self, kind: str, condition: Callable[[dict], bool] = lambda _: True):
        """Read its reports up to the first of this kind that fits."""
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            name, _, facts = line.partition(" ")
            if name == kind and condition(json.loads(facts)):
                return json.loads(facts)
        pytest.fail(f"the capture ended without `{kind}`:\n{''.join(seen)}")

    def wait_ready(self) -> None:
        """Wait for the first status: rings, sockets and tables are in place."""
        self.wait_for("status")

    def stop(self) -> dict:
        """End it like Ctrl-C does; returns the summary."""
        self.process.send_signal(2)
        summary = self.wait_for("summary")
        assert self.process.wait(10) == 0
        return summary


@pytest.fixture(autouse=True)
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where captures note the settings that they change, in this process as well: of this test alone, so that no
    capture of another test puts back what this one has left on purpose, nor this one what another has."""
    folder = tmp_path / "journals"
    monkeypatch.setattr(journal, "JOURNAL_DIRECTORY", folder)
    return folder


@pytest.fixture
def start(tmp_path: Path, journals: Path) -> Iterator[Callable[..., Capture]]:
    """A function that starts a capture in a namespace, with CaptureOptions as keywords."""
    running: list[subprocess.Popen[str]] = []

    def begin(namespace: str, *, environment: dict[str, str] | None = None, **options) -> Capture:
        options.setdefault("output", str(tmp_path / f"capture-{len(running)}.pcapng"))
        python = [sys.executable, "-c", CAPTURE_SCRIPT, json.dumps(options), str(journals)]
        command = ["ip", "netns", "exec", namespace, *python]
        # The module search path of this process, so that the child finds the same ttrace.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})}
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        running.append(process)
        return Capture(process, Path(options["output"]))

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def network() -> Iterator[Network]:
    """Three namespaces of this process's own."""
    names = [f"ttcap-{os.getpid()}-{role}" for role in ("router", "client", "server")]
    result = Network(*names)
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        build(result)
        yield result
    finally:
        for name in names:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)


@pytest.fixture
def router(network):
    netns = open_netns(network.router)
    yield netns
    netns.close()


@pytest.fixture(scope="module")
def node() -> Iterator[str]:
    """Name of a namespace with `eth0`, which has an address; what a test makes there beside it, it removes."""
    name = f"ttcap-{os.getpid()}-node"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "far0")
        ip("-n", name, "addr", "add", "10.7.0.1/24", "dev", "eth0")
        for link in ("eth0", "far0"):
            ip("-n", name, "link", "set", link, "up")
        yield name
    finally:
        with suppress(subprocess.CalledProcessError):
            ip("netns", "del", name)


def build(network: Network) -> None:
    router, client, server = network.router, network.client, network.server
    # No address detection or router solicitation: only the tests' own packets.
    for name in (router, client, server):
        network.run(name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.all.disable_ipv6=1")
    ip("-n", router, "link", "add", "br0", "type", "bridge")
    ip("-n", router, "link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", client)
    ip("-n", router, "link", "set", "veth0", "master", "br0", "up")
    ip("-n", router, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", server)
    for name, device, address in (
        (router, "br0", "10.9.0.1/24"), (router, "eth0", "10.8.0.1/24"),
        (client, "eth0", "10.9.0.2/24"), (server, "eth0", "10.8.0.2/24"),
    ):  # fmt: skip
        ip("-n", name, "addr", "add", address, "dev", device)
        ip("-n", name, "link", "set", device, "up")
    ip("-n", client, "route", "add", "default", "via", "10.9.0.1")
    network.run(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    network.run(
        router, "iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "10.9.0.0/24", "-o", "eth0", "-j", "MASQUERADE"
    )
    forward = ["PREROUTING", "-i", "eth0", "-p", "tcp", "--dport", "8080", "-j", "DNAT", "--to", "10.9.0.2:80"]
    network.run(router, "iptables", "-t", "nat", "-A", *forward)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def tshark(path: Path, *arguments: str, fields: tuple[str, ...] = ()) -> list[list[str]]:
    """Run tshark on a file, which it must read without a complaint; rows of the fields asked for."""
    command = ["tshark", "-n", "-r", str(path), *arguments, "-T", "fields"]
    for name in fields or ("frame.number",):
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert done.returncode == 0, complaints
    assert complaints == []
    return [line.split("\t") for line in done.stdout.splitlines()]


class FakeDocker(BaseHTTPRequestHandler):
    """Answers like the Docker Engine API for one container."""

    answers: ClassVar[dict] = {}

    def do_GET(self):
        body = json.dumps(self.answers.get(self.path)).encode()
        self.send_response(200 if self.path in self.answers else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


@pytest.fixture
def docker(tmp_path, monkeypatch, network):
    """A Docker daemon with a container `web1` in the client's namespace, and one that has just ended."""
    process = subprocess.Popen(["ip", "netns", "exec", network.client, "cat"], stdin=subprocess.PIPE)
    named = open_netns(network.client)
    while Path(f"/proc/{process.pid}/ns/net").stat().st_ino != named.inode:
        pass
    named.close()
    FakeDocker.answers = {
        "/containers/json": [{"Id": "abc"}, {"Id": "gone"}],
        "/containers/abc/json": {
            "Id": "abc", "Name": "/web1", "Config": {"Image": "nginx"}, "State": {"Pid": process.pid},
            "NetworkSettings": {
                "Networks": {"bridge": {"IPAddress": "10.9.0.2", "GlobalIPv6Address": ""}}, "Ports": {},
            },
        },
    }  # fmt: skip
    path = tmp_path / "docker.sock"

    class UnixServer(HTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self):
            self.socket.bind(str(path))
            self.server_name, self.server_port = "docker", 0

    server = UnixServer(("", 0), FakeDocker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    yield process.pid
    server.shutdown()
    thread.join()
    server.server_close()
    process.communicate()
