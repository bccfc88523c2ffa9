"""Decides where to capture: which namespaces, and which interfaces of each."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import TtraceError
from .machine.containers import Container, NoDaemonError, running_containers
from .machine.links import Link, named_on_command_line, read_addresses, read_links, routing
from .machine.netns import Netns, distinct_from, open_container_netns, open_netns, own_netns
from .machine.nsids import namespace_ids
from .options import CaptureOptions
from .parallel import in_parallel

_LIMITED_SCOPE = ("fe80:",)
_RING_BYTES = 1 << 21
"""Of the smallest ring, which cannot be swapped out."""
MOST_OF_CONTAINER = 64
"""Interfaces that are captured in one container, unless they are named."""


@dataclass(slots=True)
class Target:
    """One namespace that is captured, and its interfaces."""

    netns: Netns
    links: list[Link]
    """All interfaces of the namespace."""
    chosen: list[Link]
    """Those to capture on; may be empty: then only the namespace's rules and trace are recorded."""


@dataclass(slots=True)
class Targets:
    """Everything a capture looks at."""

    targets: list[Target]
    others: list[Netns]
    """Namespaces that are only known by name: of containers that are not captured."""
    containers: list[tuple[Container, str]]
    """Running containers, each with the label of its namespace."""
    warnings: list[str]

    @property
    def known(self) -> list[Netns]:
        """All namespaces that have a name here."""
        return [*(target.netns for target in self.targets), *self.others]

    def close(self) -> None:
        """Close all namespaces."""
        for netns in self.known:
            netns.close()


def resolve_targets(options: CaptureOptions, *, stop_fd: int = -1) -> Targets:
    """Find namespaces and interfaces. Raises TtraceError for a namespace or interface that does not exist.

    Docker is waited for no longer when `stop_fd` is readable.
    """
    result = Targets([], [], [], [])
    names = named_on_command_line(options.interfaces)
    root = own_netns()
    captured = {root.inode: root}
    for selector in options.netns:
        netns = open_netns(selector)
        if netns.inode in captured:
            netns.close()
        else:
            captured[netns.inode] = netns
    _add_containers(options, captured, result, stop_fd)
    known = [*captured.values(), *result.others]
    result.targets += in_parallel(lambda netns: _target(names, netns, known), captured.values())
    _check_interfaces(names, result)
    if not names:
        limit_points(result, _available_bytes() // 2 // _RING_BYTES)
    return result


def _target(names: tuple[str, ...], netns: Netns, known: list[Netns]) -> Target:
    """One namespace with the interfaces to capture on. Links name the namespaces of their peers if they are `known`."""
    with routing(netns) as route:
        links = read_links(route, labels=namespace_ids(netns, known))
        addressed = {
            entry["index"] for entry in read_addresses(route) if not str(entry["address"]).startswith(_LIMITED_SCOPE)
        }
    return Target(netns, links, _choose(names, netns, links, addressed))


def _add_containers(options: CaptureOptions, captured: dict[int, Netns], result: Targets, stop_fd: int) -> None:
    """Open the namespaces of running containers, to capture in them or to know their names."""
    try:
        containers = running_containers(result.warnings, stop_fd=stop_fd)
    except TtraceError as error:
        # Nobody asked for containers: a machine without Docker is then nothing to remark on.
        if options.containers or not isinstance(error, NoDaemonError):
            result.warnings.append(f"no containers: {error.message}")
        return
    names = {container.name for container in containers}
    for inode, netns in captured.items():
        if not netns.is_root:
            captured[inode] = distinct_from(netns, names)
    labels: dict[int, str] = {inode: netns.label for inode, netns in captured.items()}
    for container in containers:
        try:
            netns = open_container_netns(container.pid, container.name)
        except OSError as error:
            result.warnings.append(f"container `{container.name}` left out: {os.strerror(error.errno or 0)}")
            continue
        if netns.inode not in labels:
            labels[netns.inode] = netns.label
            if options.containers:
                captured[netns.inode] = netns
            else:
                result.others.append(netns)
        elif (known := captured.get(netns.inode)) is not None and not known.is_root and known.container is None:
            # Chosen by --netns with a process id: the container's name says more than the number.
            captured[netns.inode] = netns
            labels[netns.inode] = netns.label
            known.close()
        else:
            netns.close()
        result.containers.append((container, labels[netns.inode]))


def _choose(names: tuple[str, ...], netns: Netns, links: list[Link], addressed: set[object]) -> list[Link]:
    """The interfaces to capture on in one namespace."""
    if names:
        if netns.is_root:
            return [link for link in links if link.name in names]
        # `--iface docker0 --containers`: the names are those of the node; a container has its own few.
        chosen = [link for link in links if link.name in names]
        return chosen or [link for link in links if link.up and not link.is_loopback]
    up = [link for link in links if link.up and not link.is_loopback]
    if not netns.is_root:
        return up
    ports = {link.index for link in bridge_ports(links)}
    return [link for link in up if link.index in ports or link.index in addressed]


def bridge_ports(links: list[Link]) -> list[Link]:
    """Bridges and their ports, those that are up."""
    bridges = {link.index for link in links if link.kind == "bridge"}
    return [link for link in links if link.up and (link.index in bridges or link.master in bridges)]


def new_bridge_ports(links: list[Link], known: set[int]) -> list[Link]:
    """Bridges and bridge ports whose index is not among those `known`."""
    return [link for link in bridge_ports(links) if link.index not in known]


def limit_points(result: Targets, most: int) -> None:
    """Leave out what there is no room for, with a warning: `most` capture points in all, and of a container, which may
    make as many interfaces as it likes, `MOST_OF_CONTAINER`."""
    for target in result.targets:
        limit = min(most, MOST_OF_CONTAINER) if target.netns.container else most
        left_out = len(target.chosen) - limit
        if left_out > 0:
            why = "as many as are taken of a container" if limit == MOST_OF_CONTAINER else "for which there is memory"
            result.warnings.append(
                f"{target.netns.description}: {left_out:,} interfaces are not captured beside {limit:,}, {why}; "
                "choose with `--iface NAME`"
            )
            target.chosen = target.chosen[:limit]
        most -= len(target.chosen)


def _available_bytes() -> int:
    """Memory that there is for new things (MemAvailable of /proc/meminfo)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return sys.maxsize


def _check_interfaces(names: tuple[str, ...], result: Targets) -> None:
    """Raise TtraceError if a named interface is nowhere, or if there is nothing to capture on."""
    existing = {link.name for target in result.targets for link in target.links}
    for name in names:
        if name not in existing:
            there = ", ".join(sorted(link.name for link in result.targets[0].links))
            raise TtraceError(f"no interface `{name}` here", hint=f"there are: {there}")
    if not any(target.chosen for target in result.targets):
        raise TtraceError("no interface to capture on: none is up and has an address", hint="name one: `--iface eth0`")
