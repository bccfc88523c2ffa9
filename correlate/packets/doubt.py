"""Equal packets of which some were not seen everywhere, or that may have overtaken each other: which of them it was,
where neither order nor time says it."""

import numpy as np

from ...kernels.njit import njit
from ..decode.payload import contradict
from ..schema import ONE_PACKET_NS
from .apart import apart, turned
from .slots import NEIGHBOURS


@njit(cache=True)
def doubt_lone(run, packet, base, ambiguous):
    """Mark each packet of the run (from `base` on) that one point alone saw, together with what it may have been
    exchanged for: another that this point saw as well, and whose sightings elsewhere could be its own."""
    seen = np.zeros(ambiguous.size, np.int64)
    for row in run.rows:
        seen[packet[row] - base] += 1
    for i in range(run.rows.size):
        lone = packet[run.rows[i]] - base
        if seen[lone] != 1:
            continue
        for j in range(max(i - NEIGHBOURS, 0), min(i + NEIGHBOURS, run.rows.size)):
            other = packet[run.rows[j]] - base
            if run.slots[j] == run.slots[i] and seen[other] > 1 and _may_be_its(run, packet, base, i, other):
                ambiguous[lone] = True
                ambiguous[other] = True


@njit(cache=True)
def _may_be_its(run, packet, base, i, other):
    """Whether all that other points saw of another packet could be of the one that sighting number `i` is of."""
    row = run.sightings[run.rows[i]]
    for k in range(max(i - NEIGHBOURS, 0), min(i + NEIGHBOURS, run.rows.size)):
        if packet[run.rows[k]] - base != other or run.slots[k] == run.slots[i]:
            continue
        one = run.sightings[run.rows[k]]
        early, late = (k, i) if k < i else (i, k)
        now, then = run.times[run.rows[late]], run.times[run.rows[early]]
        if now - then > ONE_PACKET_NS or contradict(row.payload, row.residue, one.payload, one.residue):
            return False
        if apart(run, k, i) or turned(
            run.sightings[run.rows[early]], run.sightings[run.rows[late]], then, now, run.where, run.falls
        ):  # fmt: skip
            return False
    return True


@njit(cache=True)
def doubt_overtaking(run, occurrence, each, ambiguous):
    """Mark neighbours of equal packets that were between nodes at the same time."""
    first = np.full(each, np.int64(2**62))
    last = np.full(each, np.int64(-(2**62)))
    node = np.full(each, np.int64(-1))
    crossing = np.zeros(each, np.bool_)
    for i in range(occurrence.size):
        k = occurrence[i]
        here = run.where[run.sightings[run.rows[i]].place].node
        crossing[k] |= node[k] >= 0 and node[k] != here
        node[k] = here
        first[k] = min(first[k], run.times[run.rows[i]])
        last[k] = max(last[k], run.times[run.rows[i]])
    for k in range(1, each):
        if crossing[k] and crossing[k - 1] and first[k] <= last[k - 1]:
            ambiguous[k - 1] = True
            ambiguous[k] = True
