"""What the captures themselves lost, where that leaves open what became of packets."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from ...pcapng.blocks import Direction
from ...pcapng.read import is_for_drops
from ..nodes.topology import Role
from ..outcomes.coverage import lost_where
from ..outcomes.kinds import Reason
from ..sightings import FRAME
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen, many
from .values import Evidence
from .words import frames_of, last_place, node_of, subject_of, where

_SHOWN: Final = 3
"""Places that a sentence names."""


def lost_by_the_capture(facts: Facts) -> Iterator[Seen]:
    """`capture_lost`: last seen before a place at which the capture lost something, by its own count."""
    paths = np.flatnonzero((facts.result.outcomes.reason == Reason.CAPTURE_LOST) & facts.own & ~facts.on_link)
    losses = _losses(facts) if paths.size else []
    if not losses:
        return
    spaces = sorted({one.namespace for one in losses})
    bears = _bearing(facts, paths, spaces)
    _, which = np.unique(bears, axis=0, return_inverse=True)
    for one in groups(facts, paths, which.reshape(-1)):
        here = bears[np.searchsorted(paths, one[0])]
        own = [space for space, does in zip(spaces, here.tolist(), strict=True) if does]
        yield _seen(facts, one, [loss.evidence for loss in losses if loss.namespace in own])


def _bearing(facts: Facts, paths: Rows, spaces: list[int]) -> Mask:
    """(paths, namespaces): its captures lost something when the packet would have come by there. What left a namespace
    would have come by another one next, anything else by its own."""
    result, last = facts.result, facts.result.sightings.take(facts.last[paths])
    gone_ns = result.times_ns[facts.last[paths]]
    bears = np.stack([lost_where(result.coverage, space, gone_ns) for space in spaces], axis=1)
    device = np.array([point.role == Role.DEVICE for point in result.topology.points] or [False], np.bool_)
    leaves = (last["kind"] == FRAME) & (last["direction"] == Direction.OUT)
    leaves[leaves] = device[last["place"][leaves]]
    own = last["namespace"][:, None] == np.array(spaces)
    likely = bears & np.where(leaves[:, None], ~own, own)
    found: Mask = np.where(np.any(likely, axis=1, keepdims=True), likely, bears)
    # Nothing was lost just then: it is not known which of them it was.
    return found | ~np.any(found, axis=1, keepdims=True)


def _seen(facts: Facts, paths: Rows, losses: list[Evidence]) -> Seen:
    first, words = int(paths[0]), " and ".join(one.text for one in losses[:_SHOWN])
    more = f" and at {len(losses) - _SHOWN} more places" if len(losses) > _SHOWN else ""
    at = last_place(facts, first)

    def say(extent: Extent) -> str:
        others = ", as the first of them" if extent.packets > 1 else ""
        return (
            f"the capture, not the network, lost {words}{more}: what became of {extent.counted} of {extent.flow} is "
            f"not known, last seen at {at}{others}"
        )

    return Seen(
        kind=Kind.CAPTURE_LOST, key=tuple(one.text for one in losses), say=say, paths=paths,
        subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        evidence=(*losses, *frames_of(facts, first)),
    )  # fmt: skip


class _Loss(NamedTuple):
    namespace: int
    lost: int
    evidence: Evidence


def _losses(facts: Facts) -> list[_Loss]:
    """What each file says that it lost, where most was lost first."""
    found: list[_Loss] = []
    topology = facts.result.topology
    for number, file in enumerate(facts.result.files):
        for interface, lost in {one.interface: one.lost for one in file.statistics}.items():
            if not lost or interface >= len(file.interfaces) or is_for_drops(file.interfaces[interface]):
                continue
            space = int(topology.file_namespaces[number][interface])
            if file.captures_packets[interface]:
                point = topology.points[int(topology.places[number][interface])]
                space = point.namespace
                text = f"{many(lost, 'packet')} at {_where(facts, space)} {point.interface}"
            else:
                text = f"{many(lost, 'kernel message')} of {_where(facts, space)}"
            found.append(_Loss(space, lost, Evidence(what="counter", text=text, file=file.path)))
    return sorted(found, key=lambda one: -one.lost)


def _where(facts: Facts, namespace: int) -> str:
    known = facts.result.topology.namespaces[namespace]
    return where(known.node, known.label)
