"""What a lab consists of: nodes joined by a wire, and the containers on them."""

from dataclasses import dataclass

from ..errors import TtraceError
from .namespace import netns_path

HTTP_PORT = 80
"""Port of the web server in a container; published as PUBLISHED_HTTP_PORT."""
PUBLISHED_HTTP_PORT = 8080
ECHO_PORT = 9000
"""UDP port of the echo server in a container; published as itself."""


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the lab; a network namespace plays its root namespace."""

    name: str
    """`master` or `slave`."""
    netns: str
    """Name of its network namespace, as in `ip netns`."""
    netns_path: str
    """File of that namespace."""
    address: str
    """Its address on the wire (eth0)."""
    bridge_address: str
    """Address and prefix length of its docker0."""
    docker_host: str
    """What DOCKER_HOST has to be to reach its engine; empty in a lab without Docker."""
    container: str
    """Name of its (first) container."""
    container_address: str
    """Address of that container."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container, or the namespace that plays one."""

    name: str
    node: str
    """Name of the node it is on."""
    address: str
    netns_path: str
    """File of its network namespace."""
    pid: int
    """Its first process as this machine's /proc numbers it."""


def lay_out_nodes(prefix: str, *, overlapping: bool, docker_host: str = "") -> dict[str, Node]:
    """The two nodes of a lab, by name.

    With `overlapping`, both use Docker's default 172.17.0.0/16, as two machines installed apart do. `docker_host` may
    hold `{node}` for the node's name.
    """
    master, slave = ("172.17.0", "172.17.0") if overlapping else ("172.17.0", "172.18.0")
    bits = 16 if overlapping else 24
    plan = (("master", "192.168.77.1", master, "web1"), ("slave", "192.168.77.2", slave, "web2"))
    return {
        name: Node(
            name=name,
            netns=f"{prefix}-{name}",
            netns_path=netns_path(f"{prefix}-{name}"),
            address=address,
            bridge_address=f"{subnet}.1/{bits}",
            docker_host=docker_host.format(node=name),
            container=container,
            container_address=f"{subnet}.2",
        )
        for name, address, subnet, container in plan
    }


def find_host(name: str, nodes: dict[str, Node], containers: dict[str, Container]) -> Node | Container:
    """The node or container called `name`; a TtraceError lists the names there are."""
    host = nodes.get(name) or containers.get(name)
    if host is None:
        known = ", ".join([*nodes, *containers])
        raise TtraceError(f"the lab has no node or container `{name}`", f"it has {known}")
    return host
