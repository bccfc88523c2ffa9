"""Snapshots of what decides a packet's way: taken at the start and at the end of a capture (docs/file-format.md)."""

import ctypes
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import TtraceError
from .machine.counters import read_counters, read_node_counters
from .machine.libc import LIBC
from .machine.link_settings import link_settings
from .machine.links import (
    read_addresses,
    read_links,
    read_neighbours,
    read_other_macs,
    routing,
)
from .machine.netns import Netns
from .machine.nsids import namespace_ids
from .machine.queues import read_queues
from .machine.routes import read_routes, read_rules
from .machine.rtnetlink import MOST
from .machine.sysctls import read_sysctls
from .options import CaptureOptions
from .rules.ruleset import read_ruleset
from .targets import Targets

if TYPE_CHECKING:
    from .sockets.drop_counter import Counts

_STA_UNSYNCHRONIZED = 0x0040  # linux/timex.h
_TIME_ERROR = 5  # what adjtimex returns then: TIME_ERROR, the same header


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One fact sheet and the moment it was finished."""

    kind: str
    netns: str | None
    time_ns: int
    data: object


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureTimes:
    """Between which moments every packet at the first capture points was taken, or counted as lost."""

    started_ns: int
    ended_ns: int | None
    """None while the capture runs."""


class _Timex(ctypes.Structure):
    """`struct timex` (linux/timex.h), up to `tai`, with room behind."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


def take_snapshots(
    options: CaptureOptions,
    times: CaptureTimes,
    node: str,
    targets: Targets,
    warnings: list[str],
    dropped: "Counts | None" = None,
) -> Iterator[Snapshot]:
    """Yield all snapshots of this moment, one after the other; what can't be read becomes a warning."""
    yield from node_snapshots(options, times, node, targets, dropped)
    for target in targets.targets:
        yield from _netns(target.netns, targets.known, warnings)
        try:
            yield ruleset_snapshot(target.netns)
        except TtraceError as error:
            warnings.append(f"{target.netns.description}: no rules recorded: {error.message}")


def node_snapshots(
    options: CaptureOptions, times: CaptureTimes, node: str, targets: Targets, dropped: "Counts | None" = None
) -> list[Snapshot]:
    """What is the same for all namespaces. `dropped`: packets of the whole node, where they are counted."""
    drops: dict[str, object] = {} if dropped is None else {"drops": dropped}
    return [
        capture_snapshot(options, times, targets),
        _snapshot("node", None, _node(node)),
        _snapshot("containers", None, _containers(targets)),
        _snapshot("counters", None, read_node_counters() | drops),
    ]


def netns_snapshots(netns: Netns, known: list[Netns], warnings: list[str]) -> list[Snapshot]:
    """What decides the way of packets in one namespace, but for its rules; what can't be read becomes a warning.

    Links name the namespaces of their peers if they are `known`.
    """
    return list(_netns(netns, known, warnings))


def _netns(netns: Netns, known: list[Netns], warnings: list[str]) -> Iterator[Snapshot]:
    try:
        yield from _network(netns, known, warnings)
    except TtraceError as error:
        warnings.append(f"{netns.description}: links and routes not all recorded: {error.message}")
    sysctls, more = read_sysctls(netns)
    if more:
        warnings.append(
            f"{netns.description}: the settings of some of its interfaces are not recorded: it has too many"
        )
    yield _snapshot("sysctls", netns, sysctls)


def capture_snapshot(options: CaptureOptions, times: CaptureTimes, targets: Targets) -> Snapshot:
    """What was asked for, and from when to when packets were taken."""
    return _snapshot("capture", None, _settings(options, times, targets))


def _network(netns: Netns, known: list[Netns], warnings: list[str]) -> Iterator[Snapshot]:
    """Links, addresses, routes and neighbours of one namespace. Raises TtraceError when they cannot be read."""
    with routing(netns) as route:
        links = read_links(route, labels=namespace_ids(netns, known))
        others = read_other_macs(route, links)
        settings = {message["index"]: link_settings(message) for message in route.links()}
        queues = read_queues(netns)
        for index, filters in queues.filters.items():
            settings.setdefault(index, {})["filters"] = filters
        yield _snapshot(
            "links", netns,
            [_link_facts(link) | {"other_macs": others.get(link.index, [])} | settings[link.index] for link in links],
        )  # fmt: skip
        yield _snapshot("addresses", netns, read_addresses(route))
        yield _snapshot("routes", netns, read_routes(route))
        yield _snapshot("route_rules", netns, read_rules(route))
        yield _snapshot("neighbours", netns, read_neighbours(route))
        names = {link.index: link.name for link in links}
        of_queues = {names[index]: counts for index, counts in queues.counts.items() if counts and index in names}
        yield _snapshot("counters", netns, read_counters(netns, route.links()) | {"qdiscs": of_queues})
    if route.left_out:
        what = " and ".join(sorted(route.left_out))
        warnings.append(f"{netns.description}: of its {what} the first {MOST:,} are recorded")


def ruleset_snapshot(netns: Netns) -> Snapshot:
    """The rules of one namespace at this moment. Raises TtraceError when they cannot be read."""
    return _snapshot("ruleset", netns, read_ruleset(netns))


def container_names(targets: Targets) -> dict[str, str]:
    """Address to container name, for the name resolution block: names that other programs show as they are."""
    return {
        address: "".join(one if one.isprintable() else "?" for one in container.name)
        for container, _ in targets.containers
        for address in container.addresses
    }


def _snapshot(kind: str, netns: Netns | None, data: object) -> Snapshot:
    return Snapshot(kind=kind, netns=netns.label if netns else None, time_ns=time.time_ns(), data=data)


def _settings(options: CaptureOptions, times: CaptureTimes, targets: Targets) -> dict[str, object]:
    return {
        "filter": options.filter,
        "snaplen": options.snaplen,
        "trace": options.trace,
        "trace_match": options.trace_match,
        "trace_limit": options.trace_limit,
        "containers": options.containers,
        "conntrack_details": options.conntrack_details,
        "interfaces": [
            {"netns": target.netns.label, "interface": link.name}
            for target in targets.targets
            for link in target.chosen
        ],
        "started_ns": times.started_ns,
        "ended_ns": times.ended_ns,
        "pid": os.getpid(),
        "version": __version__,
    }


def _node(name: str) -> dict[str, object]:
    timex = _Timex()
    state = LIBC.adjtimex(ctypes.byref(timex))
    return {
        "name": name,
        "hostname": socket.gethostname(),
        "kernel": os.uname().release,
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "clock": {
            "realtime_ns": time.clock_gettime_ns(time.CLOCK_REALTIME),
            "monotonic_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC),
            "boottime_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            "synchronized": state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNCHRONIZED,
            "estimated_error_us": timex.esterror,
            "tai_offset_s": timex.tai,
        },
    }


def _containers(targets: Targets) -> list[dict[str, object]]:
    return [
        {
            "id": container.id,
            "name": container.name,
            "image": container.image,
            "pid": container.pid,
            "netns": label,
            "addresses": list(container.addresses),
            "ports": container.ports,
        }
        for container, label in targets.containers
    ]


def _link_facts(link: object) -> dict[str, object]:
    names = ("index", "name", "mac", "mtu", "kind", "master", "peer_index", "peer_nsid", "peer_netns", "up")
    return {name: getattr(link, name) for name in names}
