"""The stages of the pipeline over one part: connections that have nothing to do with those of other parts.

Without parts there is one, with all of them. What has to be known of all parts before a stage can begin is in the
Setting; in_memory.py and in_parts/ put the stages together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ..kernels.threads import side_by_side
from ..pcapng.record_times import RecordTimes
from ..pcapng.rows import joined
from .arrays.grouping import Runs, runs_of_keys
from .clocks.align import align_clocks, are_bound_tightly, are_others
from .clocks.clock import Clock
from .clocks.delays import Pairs, node_delays
from .clocks.reference_time import messages_on_reference, sightings_on_reference
from .clocks.seen_by_nodes import flows_by_addresses
from .decode.observations import Observations
from .flows.connections import Connections, comparable_clocks, find_connections
from .flows.servers import Servers
from .hops.order import drops_apart, order_hops
from .hops.point_order import order_points
from .hops.rewrites import find_rewrites
from .hops.underlay import separate_underlay
from .netfilter.drops import said_drops
from .netfilter.evaluations import Evaluations, build_evaluations
from .netfilter.from_frames import borrow_flows, join_outer_headers, lend_ports_to_fragments, times_by_frames
from .netfilter.messages import KernelMessages
from .netfilter.partial_headers import complete_headers
from .netfilter.rule_history import RuleHistory
from .netfilter.rulebook import RuleBook, build_rule_book
from .netfilter.rules import Ruleset
from .netfilter.told import Told, said_by_all
from .netfilter.verdicts import name_unconditional_rules, settle_legacy_verdicts
from .nodes.file_facts import FileFacts
from .nodes.topology import Topology
from .outcomes.coverage import Coverage
from .outcomes.judges import OF_ALL_PARTS, OF_ONE_PART, decide
from .outcomes.kinds import Outcomes
from .outcomes.next_node import Arrivals
from .outcomes.passages import PassageCounts, Passages
from .outcomes.tables import Tables
from .packets.apart import places_of
from .packets.copies import passing_ns
from .packets.datagrams import join_datagrams
from .packets.match import Packets, match_packets
from .packets.numbering import number_connections
from .progress import Progress, unheard
from .result.correlation import Correlation
from .schema import CONNTRACK
from .sequences.shifts import Shifts, Ways, find_shifts
from .sightings import ERRORS, FRAME, OUTERS, PIECES, frames, marks_of, of_kind, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What holds for all packets of a correlation: small, without the bytes of any file, so that it can be sent to
    wherever a part is worked on."""

    files: list[FileFacts]
    topology: Topology
    rulesets: dict[int, list[Ruleset]]
    """Namespace index to its snapshots, earliest first."""
    reach: npt.NDArray[np.int64]
    """See decode/compared_bytes.py."""
    set_back: list[npt.NDArray[np.int64]]
    """Per file: frames before which its clock had been set back (clocks/reference_time.py)."""
    arrivals: Arrivals
    repeated: npt.NDArray[np.int64]
    """See flows/repeated_sequences.py."""
    crowded: npt.NDArray[np.uint64]
    """Contents of so many flows that those are only compared that have an end in common, as far as these are not all in
    one part; ascending. What seems lost may be any of the others."""
    servers: Servers
    histories: dict[int, RuleHistory]
    """Namespace index to how its rules changed."""
    clocks: list[Clock]
    coverage: Coverage
    chain_heads: npt.NDArray[np.void] | None = None
    """TRACE_EVENT rows of the base chains of all parts, so that they are numbered alike in each."""
    link_again: bool = False
    """Connections were found by other clocks than these, so that packets were not taken for one, or others were."""

    def clocks_follow_connections(self, times: Sequence[RecordTimes]) -> bool:
        """Once flows are known on both sides of translations, more packets bound the clocks: where addresses have left
        anything open. `times`: of each file."""
        return not are_bound_tightly(self.clocks, self.topology, times)

    def by_connections(self, delays: Pairs) -> "Setting":
        """The same with the clocks that connections tell of."""
        clocks = align_clocks(delays, self.topology)
        guessed = any(not namespace.has_conntrack for namespace in self.topology.namespaces)
        return replace(self, clocks=clocks, link_again=guessed and are_others(self.clocks, clocks))


@dataclass(slots=True, kw_only=True)
class Linked:
    """The sightings of a part, and which connection each belongs to."""

    messages: list[KernelMessages]
    """Of each file."""
    outers: npt.NDArray[np.void]
    evaluations: Evaluations
    said: npt.NDArray[np.void]
    """TOLD columns: what the kernel said, one row per sighting that is no frame."""
    sightings: npt.NDArray[np.void]
    """SIGHTING rows: captured frames, then one per row of `said`."""
    contents: Runs
    """Sightings with equal content."""
    book: RuleBook
    marks: int
    """What is among the sightings (sightings.py)."""
    connections: Connections | None = None
    shifts: Shifts = field(default_factory=Shifts)
    """Known with the connections: `sightings` have the contents that these give them."""

    @property
    def conntrack(self) -> npt.NDArray[np.void]:
        """CONNTRACK rows of all files."""
        return joined(CONNTRACK, (m.conntrack for m in self.messages))

    @property
    def drop_rows(self) -> npt.NDArray[np.void]:
        """What the kernel says of its drops (netfilter/drops.py), a row for each sighting of that kind."""
        return said_drops(self.messages)

    @property
    def linked(self) -> Connections:
        """The connections, once they have been found."""
        if self.connections is None:
            raise ValueError("link() comes first")
        return self.connections


@dataclass(slots=True, kw_only=True)
class Followed:
    """The paths of a part, with what can be said of them without the others."""

    linked: Linked
    times_ns: npt.NDArray[np.int64]
    packets: Packets
    hops: npt.NDArray[np.void]
    rewrites: npt.NDArray[np.void]
    outcomes: Outcomes
    order_doubtful: npt.NDArray[np.bool_]


def prepare(decoded: Observations, messages: list[KernelMessages], setting: Setting) -> Linked:
    """Frames and kernel messages -> sightings."""
    evaluations = build_evaluations(messages, setting.topology, setting.rulesets, setting.chain_heads)
    name_unconditional_rules(evaluations, setting.rulesets)
    book = build_rule_book(evaluations, setting.histories)
    settle_legacy_verdicts(evaluations, book, setting.rulesets)
    everything = Told.of(evaluations, said_by_all(messages))
    sightings = decoded.and_behind(everything.sightings)
    marks = marks_of(sightings)
    if marks & OUTERS:
        join_outer_headers(sightings, decoded.outers, everything.rows)
    if marks & ERRORS:
        borrow_flows(sightings)
    if marks & PIECES:
        lend_ports_to_fragments(sightings)
    complete_headers(sightings)
    return Linked(
        messages=messages, outers=decoded.outers, evaluations=evaluations, said=everything.rows, sightings=sightings,
        contents=runs_of_keys(sightings["content"]), book=book, marks=marks,
    )  # fmt: skip


def delays_by_addresses(part: Linked, setting: Setting) -> Pairs:
    """What its packets say of the clocks before anything is known of translations."""
    observations = frames(part.sightings)
    return node_delays(observations, flows_by_addresses(observations), setting.topology, part.contents)


def delays_by_connections(part: Linked, setting: Setting) -> Pairs:
    """The same with its connections, once they are linked."""
    observations = frames(part.sightings)
    return node_delays(observations, part.linked.flows(of_kind(part.sightings, FRAME)), setting.topology, part.contents)


def link(part: Linked, setting: Setting) -> None:
    """Find its connections, by the clocks of the setting."""
    entries = messages_on_reference(part.conntrack, setting.clocks, setting.topology)
    _link(part, setting, _reference_times(part, setting), entries)


def _link(
    part: Linked, setting: Setting, times_ns: npt.NDArray[np.int64], entries: npt.NDArray[np.void]
) -> npt.NDArray[np.int64]:
    """`times_ns`: of the sightings, on the reference clock; returns them as they are once shifted numbers are known."""
    if part.shifts.rows.size:
        _exchange(part)
        part.shifts = Shifts()
        times_ns = _reference_times(part, setting)
    part.connections = find_connections(
        part.sightings, times_ns, entries, part.said, setting.topology, setting.clocks, setting.repeated,
        setting.crowded, setting.servers, part.contents,
    )  # fmt: skip
    clocks = comparable_clocks(setting.clocks, setting.topology.node_numbers())
    linked = part.connections
    ways = Ways(linked.way, linked.connection, linked.forward)
    part.shifts = find_shifts(part.sightings, times_ns, ways, clocks, part.contents)
    if part.shifts.rows.size == 0:
        return times_ns
    _exchange(part)
    return _reference_times(part, setting)


def _exchange(part: Linked) -> None:
    """Give shifted sightings the contents of one numbering, or take these away again (in place)."""
    part.shifts.exchange(part.sightings)
    part.contents = runs_of_keys(part.sightings["content"])


def follow(part: Linked, setting: Setting, progress: Progress = unheard) -> Followed:
    """Sightings -> packets -> hops -> rewrites and outcomes. Links connections where that has not been done by these
    clocks."""
    sightings, evaluations, topology = part.sightings, part.evaluations, setting.topology
    times_ns = _reference_times(part, setting)
    entries = messages_on_reference(part.conntrack, setting.clocks, setting.topology)
    if part.connections is None or setting.link_again:
        times_ns = _link(part, setting, times_ns, entries)
    connections = part.linked
    number_connections(connections, sightings, times_ns)
    in_pieces = bool(part.marks & PIECES)
    joined = in_pieces and join_datagrams(sightings, times_ns, connections.way)
    contents = None if joined else part.contents
    progress("matching packets", None)
    places = places_of(topology, setting.clocks)
    packets = match_packets(sightings, times_ns, connections, part.said, places, part.outers, contents)
    progress("ordering hops", None)
    way_ns = passing_ns(packets.copy_of, times_ns)
    separated, underlaid = separate_underlay(sightings, topology) if part.marks & OUTERS else (sightings, topology)
    seen, traced = of_kind(sightings, FRAME), packets.packet[told(sightings)]
    point_order = order_points(
        sightings[seen], part.outers, way_ns[seen], packets.packet[seen], connections.way[seen], traced, topology,
        setting.clocks,
    )  # fmt: skip
    hops = order_hops(separated, way_ns, packets.packet, part.said, underlaid, point_order.rank, in_pieces)
    del separated
    progress("explaining rewrites and outcomes", None)
    tables = _judged_tables(part, hops, times_ns, setting)
    outcomes, rewrites = side_by_side(
        lambda: decide(OF_ONE_PART, tables, Outcomes.undecided(packets.count, tables.last_hops.locations)),
        lambda: find_rewrites(
            hops, sightings, times_ns, connections, entries, evaluations, part.said, part.book, point_order.doubtful
        ),
    )
    return Followed(
        linked=part, times_ns=times_ns, packets=packets, hops=hops, rewrites=rewrites, outcomes=outcomes,
        order_doubtful=point_order.doubtful,
    )  # fmt: skip


def _judged_tables(
    part: Linked,
    hops: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    setting: Setting,
    passages: Passages | None = None,
) -> Tables:
    seen, drops = drops_apart(hops, part.sightings)
    return Tables(
        hops=seen, drops=drops, drop_rows=part.drop_rows, sightings=part.sightings, outers=part.outers,
        times_ns=times_ns, evaluations=part.evaluations, book=part.book, connections=part.linked, shifts=part.shifts,
        topology=setting.topology, coverage=setting.coverage, arrivals=setting.arrivals, crowded=setting.crowded,
        passages=passages,
    )  # fmt: skip


def count_passages(part: Followed) -> PassageCounts:
    """Where its packets went on to, which tells of those of other parts."""
    return PassageCounts.of(drops_apart(part.hops, part.linked.sightings)[0], part.linked.sightings)


def conclude(part: Followed, setting: Setting, passages: Passages) -> Correlation:
    """The rest of the outcomes, and the result."""
    linked = part.linked
    tables = _judged_tables(linked, part.hops, part.times_ns, setting, passages)
    outcomes = decide(OF_ALL_PARTS, tables, part.outcomes)
    return Correlation(
        files=setting.files, messages=linked.messages, topology=setting.topology, clocks=setting.clocks,
        sightings=linked.sightings, times_ns=part.times_ns, said=linked.said,
        outers=linked.outers, evaluations=linked.evaluations, connections=linked.linked, shifts=linked.shifts,
        packets=part.packets, hops=part.hops, rewrites=part.rewrites, book=linked.book, outcomes=outcomes,
        order_doubtful=part.order_doubtful, marks=linked.marks,
        reach=setting.reach, coverage=setting.coverage, histories=setting.histories,
    )  # fmt: skip


def _reference_times(part: Linked, setting: Setting) -> npt.NDArray[np.int64]:
    """When each sighting happened, on the reference clock."""
    sightings = part.sightings
    times_ns = sightings_on_reference(sightings, setting.clocks, setting.topology, setting.set_back)
    return times_by_frames(times_ns, sightings, part.contents)
