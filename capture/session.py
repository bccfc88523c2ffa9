"""What is open while a capture runs, and how a capture point, a socket or the snapshots get their place in the file."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import TtraceError
from ..pcapng.blocks import LinkType
from ..pcapng.write import (
    enhanced_packet,
    interface_description,
    interface_statistics,
    name_resolution,
    section_header,
    snapshot_packets,
)
from .machine.journal import Journal
from .machine.links import Link, kernel_name
from .machine.owners import Owners
from .options import CaptureOptions, PointSummary
from .parallel import Workers, in_parallel
from .rotation.files import CaptureFiles
from .snapshots import Snapshot, container_names
from .sockets.arena import Arena
from .sockets.bpf import compile_filter
from .sockets.netfilter import NetfilterSocket
from .sockets.ring import PointError, Ring, RingBudget, open_ring
from .stream.output import OutputFile
from .targets import Target, Targets
from .warnings import Warnings

if TYPE_CHECKING:
    from .sockets.drop_counter import Counts, DropCounter
    from .sockets.drops import DropRecorder
    from .sources.source import Source
    from .stream.feed import Feed


_WORKERS = 4
"""Reading snapshots is mostly Python, of which one thread runs at a time."""


@dataclass(slots=True)
class Session:
    """What is open while a capture runs."""

    options: CaptureOptions
    node: str
    targets: Targets
    files: CaptureFiles
    arena: Arena
    journal: Journal
    stack: ExitStack
    ring_budget: RingBudget
    started_ns: int = 0
    """When the rings were open, in nanoseconds since 1970."""
    started_s: float = 0.0
    """The same moment on the monotonic clock, which nobody sets."""
    since_ns: int = 0
    """From when on every packet is in the current file."""
    rings: list[tuple[Ring, int]] = field(default_factory=list)
    """Capture points with their pcapng interface ids; so for the sockets."""
    ended_points: list[PointSummary] = field(default_factory=list)
    """Capture points whose interface went away."""
    sockets: list[tuple[NetfilterSocket, int]] = field(default_factory=list)
    sources: "list[Source]" = field(default_factory=list)
    warnings: Warnings = field(default_factory=Warnings)
    interfaces: int = 0
    """Interface description blocks written."""
    snapshot_interface: int = 0
    owners: Owners = field(init=False)
    """Whose the sockets of the namespaces are."""
    first_sockets: Callable[[], list[Snapshot]] | None = None
    """Waits for those of the start, which are read once."""
    drops: "tuple[DropRecorder, int] | None" = None
    """What records drops of the kernel, with the first of its pcapng interface ids, one for each namespace."""
    drop_counter: "DropCounter | None" = None
    """What counts them where they cannot be recorded."""
    workers: Workers = field(default_factory=lambda: Workers(_WORKERS))
    """Threads for what takes long beside the loop."""
    programs: dict[tuple[int, LinkType], bytes] = field(default_factory=dict)
    """Compiled filter by inode of the namespace and link type."""
    earlier: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By interface of the current file: what was received and lost there in the files before it."""
    changes: int = 0
    """Grows with everything heard that makes earlier snapshots untrue."""
    ending: str = ""
    """The limit that ended the capture."""
    frozen: list[str] = field(default_factory=list)
    """Folders with parts of the ring that are kept."""

    def __post_init__(self) -> None:
        self.owners = Owners({container.id: container.name for container, _ in self.targets.containers})

    @property
    def output(self) -> OutputFile:
        """The file that is written."""
        return self.files.current

    def begin_now(self) -> None:
        """The capture covers what comes from now on."""
        self.started_ns = self.since_ns = time.time_ns()
        self.started_s = time.monotonic()

    @property
    def dropped(self) -> "Counts | None":
        """Drops that are counted on this node, until now; None where they are not counted."""
        return None if self.drop_counter is None else self.drop_counter.counts()

    @property
    def elapsed_s(self) -> float:
        """How long ago that was."""
        return time.monotonic() - self.started_s


def open_point(session: Session, target: Target, link: Link) -> Ring:
    """Open a capture point, in whose namespace the thread must be. Raises TtraceError."""
    options = session.options
    key = (target.netns.inode, link.link_type)
    if key not in session.programs:
        session.programs[key] = compile_filter(
            options.filter,
            snaplen=options.snaplen,
            link_type=link.link_type,
            interface=kernel_name(link.index) or link.name,
        )
    units = session.ring_budget.next_units(sum(ring.units for ring, _ in session.rings))
    return open_ring(
        session.arena, target.netns, interface=link.name, index=link.index, link_type=link.link_type,
        mac=link.mac_bytes, program=session.programs[key], units=units,
        packet_bytes=min(options.snaplen, link.longest_bytes),
    )  # fmt: skip


def open_chosen(session: Session, target: Target, link: Link) -> Ring | None:
    """Open a capture point that was chosen before. One that cannot be had is a warning, unless it was named.

    Raises TtraceError.
    """
    try:
        with target.netns.entered():
            return open_point(session, target, link)
    except PointError as error:
        if session.options.interfaces:
            raise
        session.warnings.append(error.message)
        return None


def add_ring(session: Session, target: Target, ring: Ring) -> int:
    """Make an open capture point one of the session's and describe it in the file; returns its pcapng interface id."""
    try:
        interface = add_interface(session, target, "packets", ring.interface, ring)
    except TtraceError:
        ring.close()
        raise
    session.rings.append((ring, interface))
    session.changes += 1
    return interface


def end_ring(session: Session, feed: "Feed", number: int) -> None:
    """Close capture point `number`, whose packets are all written, for good, and note what it recorded."""
    ring, interface = session.rings.pop(number)
    ring.read_statistics()
    session.changes += 1
    packets = feed.remove_ring(number, ring)
    session.ended_points.append(point_summary(ring, packets))
    ring.close()
    write_statistics(session, interface, packets + ring.lost, ring.lost)


def close_rings(session: Session) -> None:
    """Close all capture points. Nothing may be read from them any more."""
    in_parallel(Ring.close, [ring for ring, _ in session.rings])


def point_summary(ring: Ring, packets: int) -> PointSummary:
    """What a capture point recorded."""
    return PointSummary(netns=ring.netns.label, interface=ring.interface, packets=packets, lost=ring.lost)


def begin_section(session: Session) -> None:
    """Write the section header of the current file."""
    files = session.files
    session.output.append(
        section_header(
            node=session.node, system=f"Linux {os.uname().release}", application=f"ttrace {__version__}",
            ring=(files.ring, files.number) if files.ring else None,
        )
    )  # fmt: skip


def begin_file(session: Session, feed: "Feed") -> None:
    """Write the head of one more file, without snapshots, and have everything from now on written to it.

    Interfaces are numbered anew: those that went away are not described again.
    """
    begin_section(session)
    session.interfaces = 0
    session.earlier = {}
    for number, (ring, _) in enumerate(session.rings):
        interface = add_interface(session, ring, "packets", ring.interface, ring)
        session.earlier[interface] = feed.ring_packets(number) + ring.lost, ring.lost
        session.rings[number] = ring, interface
    for number, (listener, _) in enumerate(session.sockets):
        interface = add_interface(session, listener, "netlink", "netfilter")
        session.earlier[interface] = feed.messages_written(number) + listener.lost, listener.lost
        session.sockets[number] = listener, interface
    for source in session.sources:
        source.describe(feed)
    session.snapshot_interface = add_interface(session, None, "snapshot", "snapshot")
    session.output.append(name_resolution(container_names(session.targets)))
    rings, sockets = ([interface for _, interface in opened] for opened in (session.rings, session.sockets))
    drops = session.drops[1] if session.drops else -1
    feed.go_on_in(session.output, rings, [*sockets, drops, session.snapshot_interface])


def add_interface(
    session: Session, target: Target | Ring | NetfilterSocket | None, what: str, name: str, ring: Ring | None = None
) -> int:
    """Write the interface description block of one capture point, socket or the snapshots; returns its id.

    It is in the namespace of `target`.
    """
    netns = target.netns if target else session.targets.targets[0].netns
    link_types = {
        "netlink": LinkType.NETLINK,
        "drops": LinkType.NETLINK,
        "snapshot": LinkType.WIRESHARK_UPPER_PDU,
    }
    session.output.append(
        interface_description(
            link_type=ring.link_type if ring else link_types[what],
            name=name,
            description=netns.description,
            facts={
                "netns": netns.label,
                "inode": netns.inode,
                "ifindex": ring.index if ring else None,
                "container": netns.container,
                "what": what,
            },
            snaplen=session.options.snaplen if ring else 0,
            mac=ring.mac if ring else None,
            filter_text=session.options.filter if ring else None,
        )
    )
    session.interfaces += 1
    return session.interfaces - 1


def add_snapshot(session: Session, feed: "Feed", snapshot: Snapshot, moment: str) -> None:
    """Put a snapshot into the stream at its time; `moment` is `start`, `change` or `stop`."""
    for data in snapshot_packets(moment=moment, netns=snapshot.netns, kind=snapshot.kind, data=snapshot.data):
        block = enhanced_packet(interface=session.snapshot_interface, time_ns=snapshot.time_ns, data=data)
        feed.add(block)
    if moment == "change":
        session.changes += 1


def write_statistics(session: Session, interface: int, received: int, lost: int) -> None:
    """Write what interface `interface` received (lost included) and lost so far, without what is in earlier files."""
    received_before, lost_before = session.earlier.get(interface, (0, 0))
    session.output.append(
        interface_statistics(
            interface=interface, time_ns=time.time_ns(), received=received - received_before, dropped=lost - lost_before
        )
    )
