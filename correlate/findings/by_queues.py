"""Packets that went on to an interface and were not seen there, by what the kernel counted and by who takes packets
before netfilter; where the kernel itself says what it dropped, that is said already (by_kernel.py)."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from ...pcapng.blocks import Direction
from ..netfilter.numbers import Hook
from ..nodes.namespace_facts import LinkSettings, NamespaceFacts
from ..nodes.topology import CapturePoint
from ..outcomes.kinds import Outcome, Reason
from ..sightings import FRAME
from .facts import Facts, Mask, Rows
from .grouping import groups
from .harm import harmless
from .kinds import Kind
from .seen import Extent, Seen, many
from .values import Evidence
from .words import frames_of, node_of, snapshot_evidence, subject_of, where

_BEHIND: Final = (Reason.INSIDE, Reason.WIRE, Reason.BEHIND_HOOK, Reason.UNPROVEN)
"""It was on its way out."""
_BEHIND_VETH: Final = (*_BEHIND, Reason.UNANSWERED, Reason.NOT_CAPTURED)
_BEFORE: Final = (Reason.INSIDE, Reason.ARRIVED, Reason.UNANSWERED)
"""It came in."""
_SENT: Final = ("qdisc.{}.dropped", "link.{}.tx_dropped", "link.{}.tx_errors")
"""What is dropped on the way out of an interface: before a capture there sees it (dev_queue_xmit of net/core/dev.c), or
behind it, by the device."""
_SURE, _PROBABLY = 0.9, 0.7
_SHOWN: Final = 2
"""Filters that a sentence names."""


def dropped_by_queues(facts: Facts) -> Iterator[Seen]:
    """`queue_drop`: on their way out of an interface whose queue or device dropped packets meanwhile."""
    namespaces = facts.result.sightings["namespace"]
    paths = np.flatnonzero(_gone(facts, _BEHIND) & facts.last_is_told)
    said = facts.said_at(facts.last[paths])
    leaving = np.isin(namespaces[facts.last[paths]].astype(np.int64) << 32 | said["output_index"], _captured(facts))
    leaving &= said["hook"] == Hook.POSTROUTING
    paths, output = paths[leaving], said["output_index"][leaving]
    for one in groups(facts, paths, namespaces[facts.last[paths]], output, harmless(facts, paths)):
        index = int(facts.said_at(facts.last[one[:1]])["output_index"][0])
        yield from _queue(facts, one, int(namespaces[facts.last[one[0]]]), index)
    for point, one in _at_points(facts, _last_frames(facts, _gone(facts, _BEHIND_VETH), Direction.OUT)):
        if _peer(facts, point) is not None:
            yield from _queue(facts, one, point.namespace, point.interface_index)


def taken_before_netfilter(facts: Facts) -> Iterator[Seen]:
    """`before_netfilter`: filters at the ingress of an interface dropped packets meanwhile; or an XDP program is at the
    other end of a veth pair, where a capture would have seen them behind it."""
    unseen = _last_frames(facts, _gone(facts, _BEFORE), Direction.IN)
    for point, one in _at_points(facts, unseen[_are_missed(facts, unseen)]):
        yield from _filtered(facts, point, one)
    for point, one in _at_points(facts, _last_frames(facts, _gone(facts, _BEHIND_VETH), Direction.OUT)):
        yield from _by_xdp(facts, point, one)


def evidence_of_queue(facts: Facts, namespace: int, interface: str) -> tuple[Evidence, ...]:
    """By how much the counters of drops on the way out of an interface grew, where they did."""
    there = facts.result.topology.namespaces[namespace]
    known = facts.result.surroundings.of(there.node, there.label, at_stop=True)
    return _counters(facts, known, _dropped(known, interface))


def _dropped(known: NamespaceFacts, interface: str) -> dict[str, int]:
    names = [name.format(interface) for name in _SENT]
    return {name: count for name in names if (count := known.counted(name))}


def _gone(facts: Facts, reasons: tuple[Reason, ...]) -> Mask:
    """Per path: not delivered, and no cause of it is known."""
    outcomes = facts.result.outcomes
    open_ = (outcomes.outcome != Outcome.DELIVERED) & np.isin(outcomes.reason, reasons)
    return open_ & facts.own & ~facts.on_link & ~facts.explained[facts.result.connection_of_path]


def _are_missed(facts: Facts, paths: Rows) -> Mask:
    """Of these paths: rules would have been seen, or TCP itself missed an answer. Without either, what takes its
    packets and says nothing, as a log does, looks the same."""
    repeated = facts.count(facts.syn) > 1
    namespace = facts.result.sightings["namespace"][facts.last[paths]]
    return facts.traced[namespace] | repeated[facts.result.connection_of_path[paths]]


def _captured(facts: Facts) -> Rows:
    return np.array([p.namespace << 32 | p.interface_index for p in facts.result.topology.points], np.int64)


def _at_points(facts: Facts, paths: Rows) -> Iterator[tuple[CapturePoint, Rows]]:
    """Paths by the capture point where a frame was the last of them."""
    for one in groups(facts, paths, facts.result.sightings["place"][facts.last[paths]], harmless(facts, paths)):
        yield facts.result.topology.points[int(facts.result.sightings["place"][facts.last[one[0]]])], one


def _last_frames(facts: Facts, chosen: Mask, direction: Direction) -> Rows:
    """Those of the chosen paths of which a frame in this direction was the last."""
    paths, sightings = np.flatnonzero(chosen), facts.result.sightings
    last = facts.last[paths]
    return paths[(sightings["kind"][last] == FRAME) & (sightings["direction"][last] == direction)]


def _peer(facts: Facts, point: CapturePoint) -> CapturePoint | None:
    """The capture point at the other end of a veth pair, if nothing that came in there was missed."""
    topology = facts.result.topology
    link = topology.namespaces[point.namespace].links.get(point.interface_index, {})
    for other in topology.points:
        there = topology.namespaces[other.namespace]
        if (there.node, there.label, other.interface_index) == (
            point.node, link.get("peer_netns"), link.get("peer_index"),
        ):  # fmt: skip
            coverage = facts.result.coverage
            missed = other.namespace in coverage.gaps or other.index in coverage.uncounted or other.filter
            return None if missed else other
    return None


def _known(facts: Facts, namespace: int, index: int) -> tuple[str, NamespaceFacts, LinkSettings] | None:
    """(Where it is, what is known there when the capture ended, the interface)."""
    there = facts.result.topology.namespaces[namespace]
    known = facts.result.surroundings.of(there.node, there.label, at_stop=True)
    link = known.links.get(index)
    return (where(there.node, there.label), known, link) if link is not None else None


def _queue(facts: Facts, paths: Rows, namespace: int, index: int) -> Iterator[Seen]:
    found = _known(facts, namespace, index)
    if found is None:
        return
    at, known, link = found
    counted = _dropped(known, link.name)
    if not counted:
        return
    queue = f" ({link.qdisc})" if link.qdisc and _SENT[0].format(link.name) in counted else ""
    words = " and ".join(f"{name} by {count:,}" for name, count in counted.items())
    most = sum(counted.values())

    def say(extent: Extent) -> str:
        died = "" if extent.packets <= most else f"were not seen to; {most:,} of them at most "
        return (
            f"{at}: {extent.counted} of {extent.flow} would have to leave by {link.name} and {died}died in its "
            f"queue{queue} or device; meanwhile grew {words}"
        )

    evidence = _counters(facts, known, counted)
    yield _seen(facts, Kind.QUEUE_DROP, paths, (at, link.name), say, evidence, confidence=_SURE)


def _filtered(facts: Facts, point: CapturePoint, paths: Rows) -> Iterator[Seen]:
    found = _known(facts, point.namespace, point.interface_index)
    if found is None:
        return
    at, known, link = found
    name = f"qdisc.{link.name}.ingress_dropped"
    if not (count := known.counted(name)):
        return
    filters = f" ({', '.join(link.filters[:_SHOWN])})" if link.filters else ""

    def say(extent: Extent) -> str:
        return (
            f"{at}: {extent.counted} of {extent.flow} came in by {link.name} and reached no rule; a tc filter at its "
            f"ingress{filters} dropped {many(count, 'packet')} meanwhile"
        )

    evidence = _counters(facts, known, {name: count})
    yield _seen(facts, Kind.BEFORE_NETFILTER, paths, (at, link.name, "tc"), say, evidence, confidence=_PROBABLY)


def _by_xdp(facts: Facts, point: CapturePoint, paths: Rows) -> Iterator[Seen]:
    peer = _peer(facts, point)
    found = _known(facts, peer.namespace, peer.interface_index) if peer is not None else None
    if found is None or not found[2].xdp:
        return
    at, known, link = found
    program = ", ".join(map(str, link.xdp))

    def say(extent: Extent) -> str:
        return (
            f"{at}: {extent.counted} of {extent.flow} left {point.interface} and did not come in by {link.name}: its "
            f"XDP program ({program}) is before all rules and captures there"
        )

    evidence = snapshot_evidence(facts, "link", f"{link.name}: XDP program {program}", known, link.line)
    yield _seen(facts, Kind.BEFORE_NETFILTER, paths, (at, link.name, "xdp"), say, (evidence,), confidence=_PROBABLY)


def _counters(facts: Facts, known: NamespaceFacts, counted: dict[str, int]) -> tuple[Evidence, ...]:
    return tuple(
        snapshot_evidence(facts, "counter", f"{name} grew by {count:,}", known) for name, count in counted.items()
    )


def _seen(
    facts: Facts, kind: Kind, paths: Rows, key: tuple[object, ...], say: Callable[[Extent], str],
    evidence: tuple[Evidence, ...], *, confidence: float,
) -> Seen:  # fmt: skip
    first = int(paths[0])
    return Seen(
        kind=kind, key=key, say=say, paths=paths, subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]),
        node=node_of(facts, first), confidence=confidence, harmless=bool(harmless(facts, paths[:1])[0]),
        evidence=evidence + frames_of(facts, first),
    )  # fmt: skip
