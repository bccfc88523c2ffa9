"""Encapsulated packets after decoding: the trace of their outer headers, and where they pass a namespace again.

The hooks of a node see a packet that leaves by a tunnel twice: as itself, then as the datagram around it, of which the
trace shows the outer header only. The captured frame shows both, so it says whose outer header that is.
"""

from copy import copy

import numpy as np
import numpy.typing as npt

from ..netfilter.evaluations import Evaluations
from ..nodes.topology import Topology
from ..schema import NOTE_OUTER


def join_outer_evaluations(
    sightings: npt.NDArray[np.void], observed: int, outers: npt.NDArray[np.void], evaluations: Evaluations
) -> None:
    """Give the evaluations of outer headers the flow and content of the packet inside (`sightings` and `evaluations`
    are changed in place).

    `sightings`: SIGHTING rows, `observed` captured ones first; `outers`: OUTER rows they refer to. The conntrack entry
    of such an evaluation is that of the tunnel, which many connections share: it is taken away, or it would join them.
    """
    frames = np.flatnonzero(sightings["outer"][:observed])
    if frames.size == 0 or observed == sightings.size:
        return
    around = outers[sightings["outer"][frames].astype(np.int64) - 1]
    messages = np.arange(observed, sightings.size)
    candidates = np.concatenate([frames, messages])
    flow = np.concatenate([around["flow"], sightings["flow"][messages]])
    content = np.concatenate([around["content"], sightings["content"][messages]])
    namespace = sightings["namespace"][candidates]
    is_message = candidates >= observed
    # A message comes after the frame it is about, or shortly before: headers without an IP id repeat.
    order = np.lexsort((is_message, sightings["time_ns"][candidates], content, flow, namespace))
    new = np.ones(order.size, np.bool_)
    for column in (content, flow, namespace):
        values = column[order]
        new[1:] = (values[1:] != values[:-1]) if column is content else new[1:] | (values[1:] != values[:-1])
    group = np.cumsum(new)
    position = np.arange(order.size)
    frame = ~is_message[order]
    before = np.maximum.accumulate(np.where(frame, position, -1))
    after = np.minimum.accumulate(np.where(frame, position, order.size)[::-1])[::-1]
    has_before = (before >= 0) & (group[np.maximum(before, 0)] == group)
    has_after = (after < order.size) & (group[np.minimum(after, order.size - 1)] == group)
    found = ~frame & (has_before | has_after)
    source = candidates[order[np.where(has_before, before, np.minimum(after, order.size - 1))[found]]]
    rows = candidates[order[found]]
    for name in ("flow", "flow_reverse", "content", "outer"):
        sightings[name][rows] = sightings[name][source]
    sightings["notes"][rows] |= NOTE_OUTER
    # A chain sees the packet twice, as itself and in its tunnel: two places, or it would be taken for two packets.
    sightings["place"][rows] += len(evaluations.chains)
    evaluations.rows["conntrack_id"][rows - observed] = 0
    evaluations.rows["conntrack_direction"][rows - observed] = 255
    evaluations.rows["conntrack_status"][rows - observed] = 0


def separate_underlay(sightings: npt.NDArray[np.void], topology: Topology) -> tuple[npt.NDArray[np.void], Topology]:
    """The same, with what shows an outer header in namespaces of its own: the underlay of each.

    There a packet passes the hooks once more, so its way through a namespace and that through the underlay are two
    visits. For the order of hops only.
    """
    outer = sightings["outer"] > 0
    if not outer.any():
        return sightings, topology
    separated = sightings.copy()
    separated["namespace"][outer] += len(topology.namespaces)
    doubled = copy(topology)
    doubled.namespaces = topology.namespaces * 2
    return separated, doubled
