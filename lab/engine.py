"""One Docker engine: start its daemon inside a node, and speak its HTTP API over the unix socket.

The API is used rather than the `docker` command, which is a package of its own and may be of any version.
"""

import http.client
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import TtraceError
from .process import ProcessId, start_detached
from .waiting import wait_until

START_DEADLINE_S = 60.0
# dockerd and containerd have these built in. In a mount namespace of its own an engine gets empty ones, so it neither
# joins the containerd of a Docker that this machine may run, nor leaves shim sockets and a key behind.
PRIVATE_DIRECTORIES = ("/run/containerd", "/run/docker", "/etc/docker")
# The mount namespace is a slave: what others unmount, such as the name of a network namespace, goes here too. And its
# own mounts (overlay, shm, container namespaces) end with its last process.
ENTER = """\
for directory in run/containerd run/docker etc/docker; do
    mkdir -p "/$directory" "$1/$directory" && mount --bind "$1/$directory" "/$directory" || exit 1
done
shift
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to start a daemon."""

    node: str
    """Name for messages."""
    netns_path: str
    run_directory: Path
    """For its socket, log and pid file."""
    data_directory: Path
    """For images and containers."""
    bridge_address: str
    cgroup: str
    """Topmost cgroup of its containers."""
    dockerd: str
    """The daemon to start."""
    iptables: str | None
    """Program that it shall use as `iptables`; None for the one in PATH."""
    userland_proxy: bool


def docker_socket(directory: Path) -> Path:
    """The engine's socket below its run directory."""
    return directory / "docker.sock"


def start_engine(options: EngineOptions) -> ProcessId:
    """Start the daemon; wait_for_engine() says when it is of use."""
    directory = options.run_directory
    private = directory / "private"
    for path in (directory, options.data_directory, private):
        path.mkdir(parents=True, exist_ok=True)
    (directory / "daemon.json").write_text("{}")
    enter = ["nsenter", f"--net={options.netns_path}", "unshare", "--mount", "--propagation", "slave"]
    command = [
        options.dockerd,
        f"--config-file={directory / 'daemon.json'}",
        f"--host=unix://{docker_socket(directory)}",
        f"--data-root={options.data_directory}",
        f"--exec-root={directory / 'exec'}",
        f"--pidfile={directory / 'docker.pid'}",
        f"--bip={options.bridge_address}",
        f"--userland-proxy={str(options.userland_proxy).lower()}",
        # With systemd's cgroup driver the parent would have to be a slice, and systemd would own it.
        "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--cgroup-parent=/{options.cgroup}",
    ]
    argv = [*enter, "sh", "-c", ENTER, "sh", str(private), *command]
    return start_detached(argv, directory / "dockerd.log", _environment(directory, options.iptables))


def _environment(directory: Path, iptables: str | None) -> Mapping[str, str]:
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    if iptables is not None:
        programs = directory / "bin"
        programs.mkdir(exist_ok=True)
        for family in ("iptables", "ip6tables"):
            # One program does all of these; the name it is called by selects the command.
            (programs / family).symlink_to(Path(iptables).resolve())
        path = f"{programs}:{path}"
    return {"PATH": path, "HOME": "/root", "LANG": "C"}


def wait_for_engine(options: EngineOptions, process: ProcessId) -> "Engine":
    """The engine once it answers; a TtraceError with the end of its log when it dies or takes a minute."""
    engine = Engine(docker_socket(options.run_directory))

    def answers() -> bool:
        if not process.is_running():
            raise TtraceError(f"the Docker engine of `{options.node}` ended at once")
        return engine.is_alive()

    try:
        wait_until(answers, START_DEADLINE_S, f"the Docker engine of `{options.node}` answers")
    except TtraceError as error:
        log = (options.run_directory / "dockerd.log").read_text(errors="replace").strip().splitlines()
        last = log[-1] if log else "its log is empty"
        raise TtraceError(f"{error.message}: {last}", "\n".join(["its log ends with:", *log[-5:]])) from error
    return engine


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


@dataclass(frozen=True, slots=True)
class Engine:
    """The API of one engine; every method raises TtraceError with what the engine says when it refuses."""

    socket_path: Path

    def is_alive(self) -> bool:
        """Whether it answers a ping."""
        try:
            return self._request("GET", "/_ping", timeout_s=5.0) == b"OK"
        except (OSError, http.client.HTTPException):
            return False

    def import_image(self, archive: bytes, name: str) -> None:
        """Make an image from the tar archive of a root tree."""
        progress = self._request("POST", f"/images/create?fromSrc=-&repo={name}&tag=latest", archive)
        # Errors after the header of the answer come as one of its lines.
        failures = [line for line in progress.splitlines() if b'"error"' in line]
        if failures:
            raise TtraceError(f"the Docker engine did not import the image: {failures[0].decode()}")

    def start_container(self, name: str, image: str, command: list[str], ports: Mapping[str, int]) -> int:
        """Run a container with ports such as {"80/tcp": 8080} (inside: outside) published; its first pid."""
        settings = {
            "Image": image,
            "Hostname": name,
            "Cmd": command,
            "ExposedPorts": {inside: {} for inside in ports},
            "HostConfig": {"PortBindings": {inside: [{"HostPort": str(outside)}] for inside, outside in ports.items()}},
        }
        self._request("POST", f"/containers/create?name={name}", json.dumps(settings).encode())
        self._request("POST", f"/containers/{name}/start")
        return int(self.inspect(name)["State"]["Pid"])

    def inspect(self, container: str) -> dict[str, Any]:
        """What `docker inspect` shows of a container."""
        values: dict[str, Any] = json.loads(self._request("GET", f"/containers/{container}/json"))
        return values

    def _request(self, method: str, path: str, body: bytes = b"", *, timeout_s: float = 60.0) -> bytes:
        connection = _SocketConnection(self.socket_path, timeout_s)
        try:
            kind = "application/json" if body.startswith(b"{") else "application/x-tar"
            connection.request(method, path, body, {"Content-Type": kind})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise TtraceError(f"the Docker engine refused {method} {path}: {answer.decode(errors='replace').strip()}")
        return answer
