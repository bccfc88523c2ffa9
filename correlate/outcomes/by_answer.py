"""Packets that came in at their destination but were not traced there: an answer tells whether they were taken.

A frame on the uplink is seen before the rules. Without a trace of the input hook, only what the destination sent back
shows that no rule dropped it.
"""

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import first_with, group_ids
from ..flows.connections import Connections
from ..hops.order import path_bounds
from ..nodes.topology import Topology
from .kinds import OUTCOMES, Outcome, Outcomes, Reason


def doubt_unanswered(
    outcomes: Outcomes,
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    observed: int,
    connections: Connections,
    topology: Topology,
) -> None:
    """Turn `delivered` into `unknown` where a frame at a node's own interface is all there is (changed in place)."""
    if hops.size == 0:
        return
    first, last = (hops["sighting"][rows] for rows in path_bounds(hops))
    root = np.array([n.label == "root" and n.known for n in topology.namespaces] or [False], np.bool_)
    unicast = sightings["ip_version"][last] > 0
    bare = (
        (outcomes.outcome == OUTCOMES.index(Outcome.DELIVERED))
        & (outcomes.location >= 0)
        & (last < observed)
        & root[sightings["namespace"][last]]
        & (sightings["direction"][last] == 1)
        & unicast
    )
    if not bare.any():
        return
    namespaces = len(topology.namespaces)
    # The last time that each connection's packets began in each namespace, per direction.
    sent = (connections.connection[first] * 2 + connections.forward[first]) * namespaces + sightings["namespace"][first]
    which, example = group_ids(sent.astype(np.uint64))
    keys = sent[example].astype(np.uint64)
    latest = np.full(keys.size, np.iinfo(np.int64).min)
    np.maximum.at(latest, which, times_ns[first])
    wanted = (connections.connection[last] * 2 + ~connections.forward[last]) * namespaces + sightings["namespace"][last]
    at = first_with(keys, wanted.astype(np.uint64))
    answered = (at >= 0) & (latest[np.maximum(at, 0)] >= times_ns[last])
    doubtful = bare & ~answered
    outcomes.outcome[doubtful] = OUTCOMES.index(Outcome.UNKNOWN)
    outcomes.reason[doubtful] = Reason.ARRIVED
    outcomes.location[doubtful] = -1
