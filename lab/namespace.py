"""Network namespaces by name: make, enter and remove them, and the wires between them."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import TtraceError
from .process import run

NETNS_DIRECTORY = Path("/run/netns")

NamespaceId = tuple[int, int]
"""Device and inode of a namespace file: the same for every path that leads to one namespace."""


def netns_path(name: str) -> str:
    """Where `ip netns add` puts the namespace `name`."""
    return str(NETNS_DIRECTORY / name)


def namespace_id(path: str) -> NamespaceId | None:
    """Identify the namespace behind a path such as /run/netns/NAME or /proc/PID/ns/net; None when it is gone."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def inside(path: str) -> list[str]:
    """The words to put before a command so that it runs in the network namespace at `path`.

    `ip netns exec` would also mount a new /sys over the cgroup hierarchies, which Docker needs.
    """
    return ["nsenter", f"--net={path}"]


def add_namespace(name: str) -> None:
    """Make a network namespace with its loopback up; TtraceError when the name is taken."""
    run(["ip", "netns", "add", name])
    ip_batch(name, ["link set lo up"])


def delete_namespaces(names: Iterable[str]) -> None:
    """Remove the names; each namespace ends when no process or socket is in it any more. Missing ones are fine."""
    for name in names:
        path = NETNS_DIRECTORY / name
        if path.exists():
            failure = run(["ip", "netns", "delete", name], check=False).stderr.strip()
            if path.exists():  # else somebody else was faster
                raise TtraceError(f"the network namespace `{name}` could not be removed: {failure}")


def ip_batch(netns: str | None, commands: Iterable[str]) -> None:
    """Run several `ip` commands with one process, in a named namespace or (None) in the current one."""
    where = [] if netns is None else ["-n", netns]
    run(["ip", *where, "-batch", "-"], stdin_text="".join(f"{command}\n" for command in commands))


def add_wire(first: str, second: str) -> None:
    """Join two namespaces with a veth pair whose ends are both called eth0."""
    ip_batch(None, [f"link add eth0 netns {first} type veth peer name eth0 netns {second}"])


def set_sysctl(path: str, name: str, value: int) -> None:
    """Write a network sysctl, named like net/ipv4/ip_forward, in the namespace at `path`."""
    # /proc/sys/net shows the namespace of the process that opens it.
    run([*inside(path), "sh", "-c", 'echo "$1" >"/proc/sys/$2"', "sh", str(value), name])
