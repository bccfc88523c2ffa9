"""The pipeline, stage by stage: files -> tables -> packets -> hops -> rewrites and outcomes."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError
from ..pcapng.read import CaptureFile, is_packet_interface, read_capture
from .answers import explain_by_icmp
from .arrivals import doubt_unanswered
from .clocks import Clock, align_clocks, epochs_of
from .connections import link_connections
from .encapsulation import join_outer_evaluations, separate_underlay
from .evaluations import build_evaluations
from .extent import judge_by_flow
from .fragments import adopt_first_fragment, join_datagrams
from .match import match_packets
from .netlink import decode_messages
from .node_delays import flows_by_addresses
from .observations import Observations, concatenate, dissect_packets
from .order import order_hops
from .outcomes import Coverage, judge
from .point_order import order_points
from .reach import common_reach, whole_reach
from .result import Correlation
from .rewrites import find_rewrites
from .rulebook import build_rule_book
from .rules import Ruleset, parse_ruleset
from .schema import CONNTRACK, NOTE_ERROR
from .segments import find_segments
from .topology import Source, Topology, build_topology

Progress = Callable[[str], None]


def correlate_captures(
    files: Sequence[str | Source], progress: Progress | None = None, *, vxlan_ports: Sequence[int] = ()
) -> Correlation:
    """Reconstruct every hop and rewrite from the captures of one or more nodes.

    `files`: paths, `NODE=path` or `NODE/INTERFACE=path`. `progress` is called with the name of each stage.
    `vxlan_ports`: UDP ports of VXLAN, beside what is known by its content. Raises TtraceError when a file cannot be
    used.
    """
    if not files:
        raise TtraceError("no capture to correlate", "name at least one file: `ttrace correlate a.pcapng b.pcapng`")
    say = progress or (lambda _stage: None)
    sources = [Source.parse(f) if isinstance(f, str) else f for f in files]
    _refuse_twice(sources)
    say("reading")
    captures = [read_capture(s.path) for s in sources]
    topology = build_topology(captures, sources)
    say("decoding")
    decoded, reach = _decode_packets(captures, topology, vxlan_ports)
    observations = decoded.rows
    messages = [decode_messages(c, i, topology.file_namespaces[i], reach) for i, c in enumerate(captures)]
    rulesets = _rulesets(topology)
    evaluations = build_evaluations(messages, topology, rulesets)
    conntrack = np.concatenate([np.empty(0, CONNTRACK), *(m.conntrack for m in messages)])
    sightings = np.concatenate([observations, evaluations.sightings])
    join_outer_evaluations(sightings, observations.size, decoded.outers, evaluations)
    _borrow_flows(sightings, observations.size)
    say("aligning clocks")
    clocks = align_clocks(observations, flows_by_addresses(observations), topology)
    times_ns = _reference_times(sightings, observations.size, topology, clocks)
    say("linking connections")
    entries = _at_reference(conntrack, topology, clocks)
    connections = link_connections(sightings, times_ns, entries, evaluations, topology, clocks)
    if any(clock.basis not in ("reference", "same machine") for clock in clocks):
        # Once flows are known on both sides of translations, more packets bound the clocks.
        clocks = align_clocks(observations, connections.flows(observations.size), topology)
        times_ns = _reference_times(sightings, observations.size, topology, clocks)
        entries = _at_reference(conntrack, topology, clocks)
    join_datagrams(sightings, times_ns, connections.direction_group)
    say("matching packets")
    packets = match_packets(sightings, times_ns, connections, evaluations.rows, topology.node_numbers())
    say("ordering hops")
    separated, underlaid = separate_underlay(sightings, topology)
    seen, traced = slice(observations.size), packets.packet[observations.size :]
    point_order = order_points(
        observations, times_ns[seen], packets.packet[seen], connections.direction_group[seen], traced, topology, clocks
    )
    hops = order_hops(separated, times_ns, packets.packet, evaluations, underlaid, point_order.rank)
    del separated
    say("explaining rewrites and outcomes")
    changes = np.concatenate([m.ruleset_changes_ns for m in messages])
    book = build_rule_book(evaluations, rulesets, changes)
    rewrites = find_rewrites(hops, sightings, times_ns, connections.forward, entries, evaluations, book)
    coverage = _coverage(captures, topology, clocks)
    outcomes = judge(hops, sightings, times_ns, evaluations, book, topology, coverage)
    doubt_unanswered(outcomes, hops, sightings, times_ns, observations.size, connections, topology)
    judge_by_flow(outcomes, hops, sightings, times_ns, connections, topology, coverage)
    explain_by_icmp(outcomes, hops, sightings, times_ns, connections)
    segments = find_segments(outcomes, hops, sightings, times_ns, connections.direction_group)
    return Correlation(
        captures=captures, messages=messages, topology=topology, clocks=clocks, sightings=sightings, times_ns=times_ns,
        observed=observations.size, outers=decoded.outers, evaluations=evaluations, connections=connections,
        packets=packets, hops=hops,
        rewrites=rewrites, book=book, outcomes=outcomes, order_doubtful=point_order.doubtful,
        segments=segments,
        reach=reach, coverage=coverage,
    )  # fmt: skip


def _refuse_twice(sources: list[Source]) -> None:
    seen: set[str] = set()
    for source in sources:
        path = os.path.realpath(source.path)
        if path in seen and source.path != "-":
            raise TtraceError(f"`{source.path}` is given twice", "each packet in it would be counted as two")
        seen.add(path)


def _decode_packets(
    captures: list[CaptureFile], topology: Topology, vxlan_ports: Sequence[int]
) -> tuple[Observations, npt.NDArray[np.int64]]:
    """The packets of all files, and the reach (reach.py) with which their contents were made."""
    files = [_dissect(captures, topology, i, None, vxlan_ports) for i in range(len(captures))]
    reach = common_reach([f.kept for f in files])
    if (reach < whole_reach()).any():
        files = [_dissect(captures, topology, i, reach, vxlan_ports) for i in range(len(captures))]
    for file in files:
        adopt_first_fragment(file.rows)
    return concatenate(files), reach


def _dissect(
    captures: list[CaptureFile],
    topology: Topology,
    number: int,
    reach: npt.NDArray[np.int64] | None,
    vxlan_ports: Sequence[int],
) -> Observations:
    places, namespaces = topology.places[number], topology.file_namespaces[number]
    return dissect_packets(captures[number], number, places, namespaces, reach, vxlan_ports)


def _rulesets(topology: Topology) -> dict[int, list[Ruleset]]:
    return {
        namespace.index: [
            parse_ruleset(data, time_ns)
            for time_ns, data in topology.rulesets.get((namespace.node, namespace.label), [])
        ]
        for namespace in topology.namespaces
    }


def _to_reference(
    times_ns: npt.NDArray[np.int64],
    namespace: npt.NDArray[np.integer],
    topology: Topology,
    clocks: list[Clock],
    sightings: npt.NDArray[np.void] | None = None,
) -> npt.NDArray[np.int64]:
    """Times of the nodes' clocks on the reference clock; `sightings`: where the times come from."""
    node_of = {clock.node: number for number, clock in enumerate(clocks)}
    node = np.array([node_of[n.node] for n in topology.namespaces] or [0], np.int64)[namespace]
    converted = times_ns.copy()
    for number, clock in enumerate(clocks):
        if clock.offset_ns or clock.pieces:
            here = node == number
            epochs = None
            if clock.epochs and sightings is not None:
                found = epochs_of(sightings["frame"][here], sightings["file"][here], times_ns[here])
                # In a file with a pause there the times do not come twice, and tell by themselves.
                epochs = found if found.size and found.max() == clock.epochs else None
            converted[here] -= clock.offsets(times_ns[here], epochs)
    return converted


def _at_reference(conntrack: npt.NDArray[np.void], topology: Topology, clocks: list[Clock]) -> npt.NDArray[np.void]:
    """CONNTRACK rows with their times on the reference clock."""
    entries = conntrack.copy()
    entries["time_ns"] = _to_reference(conntrack["time_ns"], conntrack["namespace"], topology, clocks)
    return entries


def _reference_times(
    sightings: npt.NDArray[np.void], observed: int, topology: Topology, clocks: list[Clock]
) -> npt.NDArray[np.int64]:
    """When each sighting happened, on the reference clock.

    Trace messages carry no time, only that of their receipt: an evaluation takes the time of the latest frame with its
    header that its namespace had seen by then, or of the next one where it saw none before.
    """
    times = _to_reference(sightings["time_ns"], sightings["namespace"], topology, clocks, sightings)
    if observed == sightings.size or observed == 0:
        return times
    is_evaluation = np.arange(sightings.size) >= observed
    order = np.lexsort((is_evaluation, times, sightings["content"], sightings["namespace"]))
    new = np.ones(order.size, np.bool_)
    for column in ("content", "namespace"):
        values = sightings[column][order]
        new[1:] = (values[1:] != values[:-1]) | (new[1:] if column == "namespace" else False)
    group = np.cumsum(new)
    position = np.arange(order.size)
    frame = ~is_evaluation[order]
    before = np.maximum.accumulate(np.where(frame, position, -1))
    after = np.minimum.accumulate(np.where(frame, position, order.size)[::-1])[::-1]
    has_before = (before >= 0) & (group[np.maximum(before, 0)] == group)
    has_after = (after < order.size) & (group[np.minimum(after, order.size - 1)] == group)
    source = np.where(has_before, before, np.where(has_after, after, position))
    effective = times.copy()
    effective[order] = times[order][source]
    # A frame far away is another packet with the same header, not this one.
    near = np.abs(effective - times) < 1_000_000_000
    return np.where(is_evaluation & near, effective, times)


def _borrow_flows(sightings: npt.NDArray[np.void], observed: int) -> None:
    """The header copy of a trace message ends before the ports inside an ICMP error: take the flow from a frame with
    that header."""
    errors = np.flatnonzero(sightings["notes"] & NOTE_ERROR)
    from_trace = errors[errors >= observed]
    frames = errors[errors < observed]
    if from_trace.size == 0 or frames.size == 0:
        return
    key = _error_key(sightings)
    order = frames[np.argsort(key[frames], kind="stable")]
    at = np.minimum(np.searchsorted(key[order], key[from_trace]), order.size - 1)
    hit = key[order[at]] == key[from_trace]
    for column in ("flow", "flow_reverse"):
        sightings[column][from_trace[hit]] = sightings[column][order[at[hit]]]


def _error_key(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Content, namespace and the addresses the error itself carries at this point of its way."""
    key = sightings["content"] ^ (sightings["namespace"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    for column in ("source_low", "destination_low", "source_high", "destination_high"):
        key = (key ^ sightings[column]) * np.uint64(0xBF58476D1CE4E5B9)
    return key


def _coverage(captures: list[CaptureFile], topology: Topology, clocks: list[Clock]) -> Coverage:
    coverage = Coverage(start_ns={}, end_ns={}, gaps={}, files={})
    for i, capture in enumerate(captures):
        if capture.records.size == 0:
            continue
        node = topology.file_nodes[i]
        # Snapshots are taken after the last packet: they say nothing of what would have been captured then.
        snapshots = [k for k, f in enumerate(capture.interfaces) if f.facts.get("what") == "snapshot"]
        every = capture.records["time_ns"]
        times = every[~np.isin(capture.records["interface"], snapshots)]
        times = np.concatenate([every[:1], times, _covered(topology, node)])
        namespaces = topology.file_namespaces[i]
        clock = next(c for c in clocks if c.node == node)
        offset = int(clock.offsets(times[:1])[0])
        start, end = int(times.min()) - offset, int(times.max()) - offset
        coverage.start_ns[node] = min(coverage.start_ns.get(node, start), start)
        coverage.end_ns[node] = max(coverage.end_ns.get(node, end), end)
        for place in {int(topology.places[i][k]) for k, f in enumerate(capture.interfaces) if is_packet_interface(f)}:
            coverage.files.setdefault(place, []).append((start, end))
        previous: dict[int, tuple[int, int]] = {}
        for statistics in capture.statistics:
            if statistics.interface >= namespaces.size:
                continue
            lost_before, time_before = previous.get(statistics.interface, (0, start))
            now = statistics.time_ns - offset
            if statistics.lost > lost_before:
                gaps = coverage.gaps.setdefault(int(namespaces[statistics.interface]), [])
                gaps.append((time_before, now))
            previous[statistics.interface] = (statistics.lost, now)
    return coverage


def _covered(topology: Topology, node: str) -> npt.NDArray[np.int64]:
    """When a capture of this node began and stopped taking packets, where it says so."""
    facts = topology.snapshots.get((node, None, "capture", "stop")) or {}
    return np.array([t for t in (facts.get("started_ns"), facts.get("ended_ns")) if isinstance(t, int)], np.int64)
