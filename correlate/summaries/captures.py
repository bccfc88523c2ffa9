"""What went into a correlation, file by file: counts, losses, clocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..clocks.clock import Clock
from ..in_common.shared_packets import NothingInCommon, Sharing, Standing, find_common
from ..in_common.shown import Shown
from ..nodes.counted_drops import CountedDrops
from ..protocols import ETHERTYPE_IPV4, ETHERTYPE_IPV6
from ..result.correlation import Correlation
from ..result.words import protocol_name
from ..schema import CONNTRACK_DUMPED
from ..sightings import frames


@dataclass(frozen=True, slots=True, kw_only=True)
class PointFacts:
    """One capture point of one file."""

    name: str
    netns: str
    packets: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFacts:
    """One capture file."""

    file: str
    node: str
    packets: int
    trace_events: int
    conntrack_events: int
    lost: int
    """Packets and netlink messages the capture lost, by its own count."""
    lost_known: bool
    """The file says what was lost: a pcap, or a file cut short, does not."""
    truncated: bool
    malformed: int
    """Packets, kernel messages and snapshots that could not be read."""
    undecoded: tuple[tuple[str, int], ...]
    """(what, packets) of frames that are neither IP nor ARP, such as `link type 127`; the most frequent first."""
    kernel_drops: tuple[CountedDrops, ...] | None
    """Packets that the kernel dropped on the whole machine meanwhile, where the file counts them by reason; None where
    it does not, as of a capture that has the packets themselves."""
    sharing: Sharing
    clock: Clock
    interfaces: tuple[PointFacts, ...]

    @property
    def shared_packets(self) -> int:
        """Paths that this file and at least one other show."""
        return self.sharing.file.shared

    @property
    def nothing_in_common(self) -> NothingInCommon | None:
        """Why it has nothing in common with the others, where that is so."""
        return self.sharing.nothing


def capture_facts(result: Correlation) -> list[CaptureFacts]:
    """The facts of every file, in the order given."""
    seen = frames(result.sightings)
    first = np.searchsorted(seen["file"], np.arange(len(result.files) + 1))
    sharing = [
        # Each packet of a capture is in one of its pieces: that they share none is no news.
        replace(one, file=replace(one.file, nothing=None)) if piece is not None else one
        for one, piece in zip(find_common(_shown(result)), result.topology.piece_of, strict=True)
    ]
    clocks = {clock.node: clock for clock in result.clocks}
    facts = []
    for index, file in enumerate(result.files):
        rows = seen[first[index] : first[index + 1]]
        lost = {s.interface: s.lost for s in file.statistics}
        messages = result.messages[index]
        facts.append(
            CaptureFacts(
                file=file.path,
                node=result.topology.file_nodes[index],
                packets=int(rows.size),
                trace_events=int(messages.events.size),
                conntrack_events=int((messages.conntrack["event"] != CONNTRACK_DUMPED).sum()),
                lost=sum(lost.values()),
                lost_known=bool(lost),
                truncated=file.truncated,
                malformed=file.malformed + messages.malformed,
                undecoded=_undecoded(rows),
                kernel_drops=result.surroundings.dropped.get(index),
                sharing=sharing[index],
                clock=clocks[result.topology.file_nodes[index]],
                interfaces=_point_facts(result, index, rows, lost),
            )
        )
    return facts


def _point_facts(
    result: Correlation, index: int, rows: npt.NDArray[np.void], lost: dict[int, int]
) -> tuple[PointFacts, ...]:
    """The capture points of a file. `rows`: SIGHTING rows of its frames; `lost`: packets, by interface."""
    topology = result.topology
    per_place = np.bincount(rows["place"], minlength=len(topology.points))
    facts = []
    for number, captured in enumerate(result.files[index].captures_packets):
        if captured:
            point = topology.points[topology.places[index][number]]
            facts.append(
                PointFacts(
                    name=point.interface,
                    netns=topology.namespaces[point.namespace].label,
                    packets=int(per_place[point.index]),
                    lost=lost.get(number, 0),
                )
            )
    return tuple(facts)


def merged_facts(parts: Sequence[Sequence[CaptureFacts]]) -> list[CaptureFacts]:
    """The facts of all parts of a correlation together."""
    return [_merged(facts) for facts in zip(*parts, strict=True)]


def _merged(parts: Sequence[CaptureFacts]) -> CaptureFacts:
    """The facts of one file."""
    undecoded: dict[str, int] = {}
    for facts in parts:
        for what, packets in facts.undecoded:
            undecoded[what] = undecoded.get(what, 0) + packets
    nodes = [(facts.packets, facts.sharing.node) for facts in parts if facts.sharing.node]
    points = zip(*(facts.interfaces for facts in parts), strict=True)
    return replace(
        parts[0],
        packets=sum(facts.packets for facts in parts),
        trace_events=sum(facts.trace_events for facts in parts),
        conntrack_events=sum(facts.conntrack_events for facts in parts),
        malformed=max(facts.malformed for facts in parts),
        undecoded=tuple(sorted(undecoded.items(), key=lambda item: (-item[1], item[0]))),
        sharing=Sharing(
            file=Standing.merged([(facts.packets, facts.sharing.file) for facts in parts]),
            node=Standing.merged(nodes) if nodes else None,
        ),
        interfaces=tuple(replace(same[0], packets=sum(point.packets for point in same)) for same in points),
    )


def _shown(result: Correlation) -> Shown:
    return Shown(
        sightings=result.sightings, times_ns=result.times_ns, packet=result.packets.packet,
        connections=result.connections, clocks=result.clocks, files=[file.path for file in result.files],
        file_nodes=result.topology.file_nodes,
    )  # fmt: skip


def _undecoded(rows: npt.NDArray[np.void]) -> tuple[tuple[str, int], ...]:
    kinds, counts = np.unique(rows["ethertype"][rows["ip_version"] == 0], return_counts=True)
    found: dict[str, int] = {}
    for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
        # IP whose header cannot be read says so; ARP is read.
        name = "unreadable ip" if kind in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) else protocol_name(0, kind)
        if name != "arp":
            found[name] = found.get(name, 0) + count
    return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))
