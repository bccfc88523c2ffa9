"""What messages of the kernel take from the frames they are about: when it was, the flow of an ICMP error whose ports
they do not show, and the packet inside a tunnel, of which they show the outer header only."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import Runs, hashed
from ..decode.fragments import pieces_of
from ..protocols import FRAGMENT_OFFSET, UDP
from ..schema import NOTE_ERROR, NOTE_NO_FLOW, NOTE_OUTER
from ..sightings import DROP, FRAME, frames, told
from .numbers import ABSENT

_FAR_NS: Final = 1_000_000_000
"""A frame so far away is another packet with the same header."""
_KEPT_NS: Final = 10_000_000_000
"""So long the kernel may have kept a packet before it dropped it: for a neighbour it asks three times, a second each
(net.ipv4.neigh.*.ucast_solicit, retrans_time_ms)."""
_OPEN: Final = -(2**63)
"""No frame near in time had its header yet."""


def times_by_frames(
    times_ns: npt.NDArray[np.int64], sightings: npt.NDArray[np.void], contents: Runs
) -> npt.NDArray[np.int64]:
    """`times_ns` of sightings, with those that the kernel told of taken from the frames with their header.

    That is the latest one that their namespace had seen by then, or the next one where it saw none just before.
    `sightings`: SIGHTING rows; `contents`: those with equal content.
    """
    behind = told(sightings)
    if behind.start in (0, sightings.size):
        return times_ns
    found = times_ns.copy()
    namespace = np.ascontiguousarray(sightings["namespace"])
    # Of equal time, frames first: they have the smaller rows.
    runs = contents.sorted_by(times_ns, namespace)
    kind = np.ascontiguousarray(sightings["kind"])
    _take_times(runs.rows, runs.start, namespace, times_ns, kind, found)
    return found


@njit(cache=True, nogil=True)
def _take_times(rows, start, namespace, times, kind, found):
    for g in range(start.size - 1):
        before = np.int64(-1)  # the latest frame, where it is of this namespace
        for k in range(start[g], start[g + 1]):
            i = rows[k]
            if before >= 0 and namespace[before] != namespace[i]:
                before = np.int64(-1)
            if kind[i] == FRAME:
                before = i
            elif before >= 0 and times[i] - times[before] < (_KEPT_NS if kind[i] == DROP else _FAR_NS):
                found[i] = times[before]
            else:
                found[i] = _OPEN
        after = np.int64(-1)
        for k in range(start[g + 1] - 1, start[g] - 1, -1):
            i = rows[k]
            if after >= 0 and namespace[after] != namespace[i]:
                after = np.int64(-1)
            if kind[i] == FRAME:
                after = i
            elif found[i] == _OPEN:
                near = after >= 0 and times[after] - times[i] < _FAR_NS
                found[i] = times[after] if near else times[i]


def join_outer_headers(
    sightings: npt.NDArray[np.void], outers: npt.NDArray[np.void], said: npt.NDArray[np.void]
) -> None:
    """Give what was told of outer headers the flow and content of the packet inside (`sightings` and `said` are changed
    in place).

    `sightings`: SIGHTING rows; `outers`: OUTER rows they refer to; `said`: TOLD rows of those that are no frames. The
    conntrack entry of such a row is that of the tunnel, which many connections share: it is taken away, or it would
    join them.
    """
    inside = np.flatnonzero(frames(sightings)["outer"])
    behind = told(sightings)
    if inside.size == 0 or said.size == 0:
        return
    rows, source = _frames_with_outer(sightings, outers, inside, np.arange(behind.start, behind.stop))
    for name in ("flow", "flow_reverse", "content", "outer"):
        sightings[name][rows] = sightings[name][source]
    sightings["notes"][rows] |= NOTE_OUTER
    # A chain sees the packet twice, as itself and in its tunnel: two places, or it would be taken for two packets.
    sightings["place"][rows] += sightings["place"][behind].max() + 1
    of = rows - behind.start
    said["conntrack_id"][of] = 0
    said["conntrack_direction"][of] = ABSENT
    said["conntrack_status"][of] = 0


def _frames_with_outer(
    sightings: npt.NDArray[np.void],
    outers: npt.NDArray[np.void],
    inside: npt.NDArray[np.int64],
    messages: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(messages that show the outer header of a frame, that frame of each): the last before it, else the next.

    `inside`, `messages`: rows of frames in a tunnel, and of what was told.
    """
    around = outers.take(sightings["outer"][inside].astype(np.int64) - 1)
    candidates = np.concatenate([inside, messages])
    flow = np.concatenate([around["flow"], sightings["flow"][messages]])
    content = np.concatenate([around["content"], sightings["content"][messages]])
    namespace = sightings["namespace"][candidates]
    is_message = sightings["kind"][candidates] != FRAME
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
    return candidates[order[found]], source


def borrow_flows(sightings: npt.NDArray[np.void]) -> None:
    """The header copy of an nftrace message ends before the ports inside an ICMP error: take the flow from what shows
    more of that header, a frame or a message of iptables-legacy."""
    errors = np.flatnonzero(sightings["notes"] & NOTE_ERROR)
    lacks = (sightings["notes"][errors] & NOTE_NO_FLOW) != 0
    from_trace, seen = errors[lacks & (sightings["kind"][errors] != FRAME)], errors[~lacks]
    if from_trace.size == 0 or seen.size == 0:
        return
    key = error_key(sightings)
    order = seen[np.argsort(key[seen], kind="stable")]
    at = np.minimum(np.searchsorted(key[order], key[from_trace]), order.size - 1)
    hit = key[order[at]] == key[from_trace]
    for column in ("flow", "flow_reverse"):
        sightings[column][from_trace[hit]] = sightings[column][order[at[hit]]]


def lend_ports_to_fragments(sightings: npt.NDArray[np.void]) -> None:
    """A namespace without conntrack passes fragments through its hooks one by one: those behind the first take their
    ports, and with them their flow, from a sighting of their datagram there that has them."""
    rows = pieces_of(sightings)
    lacks = (sightings["notes"][rows] & NOTE_NO_FLOW) != 0
    lacks &= (sightings["fragment"][rows] & FRAGMENT_OFFSET) != 0
    from_trace, seen = rows[lacks & (sightings["kind"][rows] != FRAME)], rows[~lacks]
    if from_trace.size == 0 or seen.size == 0:
        return
    lenders = fragment_key(sightings.take(seen))
    order = np.lexsort((sightings["time_ns"][seen], lenders))
    seen, lenders = seen[order], lenders[order]
    key, when = fragment_key(sightings.take(from_trace)), sightings["time_ns"][from_trace]
    # An IP id comes again: the last before it counts, a message comes behind its frame.
    begin, finish = np.searchsorted(lenders, key), np.searchsorted(lenders, key, side="right")
    source = np.full(key.size, -1, np.int64)
    _latest(begin, finish, when, sightings["time_ns"][seen], source)
    borrowers, source = from_trace[source >= 0], seen[source[source >= 0]]
    for column in ("source_port", "destination_port", "flow", "flow_reverse"):
        sightings[column][borrowers] = sightings[column][source]
    sightings["notes"][borrowers] &= 0xFF ^ NOTE_NO_FLOW
    six = (sightings["ip_version"][borrowers] == 6) & (sightings["protocol"][borrowers] == UDP)
    sightings["content"][borrowers[six]] = sightings["content"][source[six]]


@njit(cache=True)
def _latest(begin, finish, when, lent_ns, source):
    """Of rows [begin, finish), in order of time, the last that is not behind `when`, else the first."""
    for i in range(begin.size):
        for k in range(begin[i], finish[i]):
            if source[i] < 0 or lent_ns[k] <= when[i]:
                source[i] = k


def fragment_key(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Namespace, addresses, protocol and id of a datagram."""
    columns = (
        "namespace", "protocol", "ip_id", "source_low", "destination_low", "source_high", "destination_high",
    )  # fmt: skip
    return hashed(*(sightings[column] for column in columns))


def error_key(sightings: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Content, namespace and the addresses the error itself carries at this point of its way."""
    columns = ("content", "namespace", "source_low", "destination_low", "source_high", "destination_high")
    return hashed(*(sightings[column] for column in columns))
