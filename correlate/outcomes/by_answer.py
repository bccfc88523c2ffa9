"""Packets that came in at their destination but were not traced there: an answer tells whether they were taken.

A frame on the uplink is seen before the rules. Without a trace of the input hook, only what the destination sent back
shows that no rule dropped it.
"""

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..arrays.grouping import first_with, group_ids
from ..sightings import FRAME
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables


def came_in_unanswered(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Turns `delivered` into `unknown` where a frame at a node's own interface is all there is."""
    last, sightings = tables.last, tables.sightings
    root = np.array([n.label == "root" and n.known for n in tables.topology.namespaces] or [False], np.bool_)
    bare = np.flatnonzero(
        (so_far.outcome == Outcome.DELIVERED)
        & (so_far.location >= 0)
        & (sightings["kind"][last] == FRAME)
        & root[sightings["namespace"][last]]
        & (sightings["direction"][last] == Direction.IN)
        & (sightings["ip_version"][last] > 0)
    )
    if bare.size == 0:
        return Verdicts.none()
    return Verdicts(paths=bare[~_answered(tables, bare)], outcome=Outcome.UNKNOWN, reason=Reason.ARRIVED)


def _answered(tables: Tables, paths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Of these paths: the other way of its connection began in the namespace where it ends, later than it."""
    first, last, times_ns = tables.first, tables.last[paths], tables.times_ns
    # The last time that each connection's packets began in each namespace, per way.
    sent = _way_in_namespace(tables, first, tables.connections.forward[first])
    which, example = group_ids(sent)
    latest = np.full(example.size, np.iinfo(np.int64).min)
    np.maximum.at(latest, which, times_ns[first])
    at = first_with(sent[example], _way_in_namespace(tables, last, ~tables.connections.forward[last]))
    return (at >= 0) & (latest[np.maximum(at, 0)] >= times_ns[last])


def _way_in_namespace(
    tables: Tables, sightings: npt.NDArray[np.int64], forward: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint64]:
    """Connection, way and namespace of sightings (rows) in one number."""
    way = tables.connections.connection[sightings] * 2 + forward
    number = way * len(tables.topology.namespaces) + tables.sightings["namespace"][sightings]
    return number.astype(np.uint64)
