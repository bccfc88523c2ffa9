"""What the captures themselves lost, where that leaves open what became of packets."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..outcomes.kinds import Reason
from .facts import Facts
from .kinds import Kind
from .seen import Extent, Seen, many
from .values import Evidence
from .words import frames_of, last_place, node_of, subject_of, where

_SHOWN: Final = 3
"""Places that a sentence names."""


def lost_by_the_capture(facts: Facts) -> Iterator[Seen]:
    """`capture_lost`: last seen before a place at which the capture lost something, by its own count."""
    paths = np.flatnonzero((facts.result.outcomes.reason == Reason.CAPTURE_LOST) & facts.own & ~facts.on_link)
    losses = _losses(facts) if paths.size else ()
    if not losses:
        return
    paths = paths[np.argsort(facts.begin_ns[paths], kind="stable")]
    first, words = int(paths[0]), " and ".join(one.text for one in losses[:_SHOWN])
    more = f" and at {len(losses) - _SHOWN} more places" if len(losses) > _SHOWN else ""
    at = last_place(facts, first)

    def say(extent: Extent) -> str:
        others = ", as the first of them" if extent.packets > 1 else ""
        return (
            f"the capture, not the network, lost {words}{more}: what became of {extent.counted} of {extent.flow} is "
            f"not known, last seen at {at}{others}"
        )

    yield Seen(
        kind=Kind.CAPTURE_LOST, key=(), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        evidence=(*losses, *frames_of(facts, first)),
    )  # fmt: skip


def _losses(facts: Facts) -> tuple[Evidence, ...]:
    """What each file says that it lost, where most was lost first."""
    found: list[tuple[int, Evidence]] = []
    topology = facts.result.topology
    for number, file in enumerate(facts.result.files):
        for interface, lost in {one.interface: one.lost for one in file.statistics}.items():
            if not lost or interface >= len(file.interfaces):
                continue
            if file.captures_packets[interface]:
                point = topology.points[int(topology.places[number][interface])]
                namespace = topology.namespaces[point.namespace]
                text = f"{many(lost, 'packet')} at {where(namespace.node, namespace.label)} {point.interface}"
            else:
                namespace = topology.namespaces[int(topology.file_namespaces[number][interface])]
                text = f"{many(lost, 'kernel message')} of {where(namespace.node, namespace.label)}"
            found.append((lost, Evidence(what="counter", text=text, file=file.path)))
    return tuple(one for _, one in sorted(found, key=lambda pair: -pair[0]))
