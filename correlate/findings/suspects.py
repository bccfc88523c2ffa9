"""Packets whose checksum may be wrong, for somebody acts as if they had not come; and such as were taken, to compare.

A checksum is added up only of them: their frames are read once more, from the files, when all parts are known. What
offloading leaves in a capture looks just like a wrong sum, so one that nobody minded is not even looked for.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import hashed
from ..decode.checksums import MOST_BYTES, SUMMED
from ..decode.link_scope import is_link_chatter
from ..outcomes.kinds import Outcome, Reason
from ..protocols import ICMP, ICMP_ECHO, ICMPV6, ICMPV6_ECHO, TCP, TCP_ACK
from ..schema import NOTE_CUT, NOTE_ERROR
from .by_invalid import asks_for_invalid
from .common import CONTROL, FRAMES, MOST, SUSPECT, Fails, earliest
from .facts import Facts, Mask, Rows

_WAIT_NS: Final = 1_000_000_000
"""Who has not answered by then does not."""
_OF_EACH: Final = 8
"""Packets of a connection that fail alike and are looked at: a SYN is not sent more often."""
_CONTROLS: Final = 4
"""Frames of a sender that were taken, at each place."""
_HALF: Final = FRAMES // 2
_SHARED: Final = ("place", "direction", "protocol", "source_high", "source_low")
"""What frames have in common that one of them can be a control of another."""


def suspects(facts: Facts) -> npt.NDArray[np.void]:
    """SUSPECT rows of one part: the earliest."""
    connection = facts.result.connection_of_path
    # Most packets failed in no way: what takes long is asked only of those that did.
    failing = (
        (Fails.SILENT, np.flatnonzero(facts.forward & facts.own & _silent(facts)[connection])),
        (Fails.HANDSHAKE, np.flatnonzero(facts.syn_ack & _unheard(facts)[connection])),
        (Fails.STUCK, _stuck(facts)),
    )
    paths = np.concatenate([one for _, one in failing])
    fails = np.repeat([int(one) for one, _ in failing], [one.size for _, one in failing])
    order = np.lexsort((paths, facts.begin_ns[paths]))
    paths, fails = paths[order], fails[order]
    size, most = 4 * MOST[SUSPECT], MOST[SUSPECT]
    # In a flood all of them fail, and the first do.
    while (found := _first(facts, paths[:size], fails[:size])).size < most and size < paths.size:
        size *= 4
    return _rows(facts, paths[found[:most]], fails[found[:most]])


def _first(facts: Facts, paths: Rows, fails: Rows) -> Rows:
    """Which of these, in order of time, are to be looked at."""
    kept = np.flatnonzero(_is_usable(facts, paths) & ((fails != Fails.SILENT) | _asks(facts, paths)))
    keys = hashed(facts.result.connection_of_path[paths[kept]], fails[kept])
    return kept[_number_in(keys) < _OF_EACH]


def _is_usable(facts: Facts, paths: Rows) -> Mask:
    """Of these paths: its checksum can be added up, it goes to somebody, and nothing else is known to have ended it."""
    heads = facts.result.sightings.take(facts.result.head[paths])
    found = _is_summed(facts, paths, heads) & ~facts.reset[paths] & _is_open(facts, paths)
    return found & ~facts.stay_on_link(heads) & ~is_link_chatter(heads)


def _is_summed(facts: Facts, paths: Rows, heads: npt.NDArray[np.void]) -> Mask:
    whole = (heads["fragment"] == 0) & ((heads["notes"] & (NOTE_CUT | NOTE_ERROR)) == 0)
    whole &= (heads["length"] <= MOST_BYTES) & (facts.last_frame[paths] >= 0)
    return whole & np.isin(heads["protocol"], SUMMED) & (heads["ip_version"] > 0)


def _is_open(facts: Facts, paths: Rows) -> Mask:
    """A rule that drops what is INVALID may have done so for the checksum: conntrack looks at it
    (net.netfilter.nf_conntrack_checksum)."""
    outcomes, rules = facts.result.outcomes, facts.result.book.rules
    by_rule, rule = outcomes.reason[paths] == Reason.RULE, outcomes.rule[paths]
    used = np.unique(rule[by_rule]).tolist()
    asking = [one for one in used if one >= 0 and asks_for_invalid(rules[one].text)]
    return (outcomes.outcome[paths] != Outcome.DROPPED) | (by_rule & np.isin(rule, asking))


def _number_in(keys: npt.NDArray[np.uint64]) -> Rows:
    """Per key: how many equal ones stand before it."""
    order = np.argsort(keys, kind="stable")
    new = np.append(True, keys[order][1:] != keys[order][:-1])[: keys.size]
    at = np.arange(keys.size)
    found = np.empty(keys.size, np.int64)
    found[order] = at - np.maximum.accumulate(np.where(new, at, 0))
    return found


def _asks(facts: Facts, paths: Rows) -> Mask:
    """Of these paths, from clients: it wants an answer."""
    protocol, kind = facts.head("protocol")[paths], facts.head("icmp_type")[paths]
    is_icmp = np.isin(protocol, (ICMP, ICMPV6))
    echo = np.where(protocol == ICMP, kind == ICMP_ECHO, kind == ICMPV6_ECHO)
    return np.where(protocol == TCP, facts.syn[paths], ~is_icmp | echo)


def _silent(facts: Facts) -> Mask:
    """Per connection: nobody answered it, though somebody asked again or an answer would have come."""
    asked = facts.count(facts.own & facts.forward)
    found = (facts.replies == 0) & (facts.count(~facts.own) == 0) & ~facts.opened
    return found & ((asked > 1) | (facts.watched_ns >= _WAIT_NS))


def _unheard(facts: Facts) -> Mask:
    """Per connection: accepted, and the client did not go on, or the server said so again."""
    again = (facts.count(facts.syn) > 1) | (facts.count(facts.syn_ack) > 1)
    return again & ~facts.opened


def _stuck(facts: Facts) -> Rows:
    """Paths: data that was sent more than once, and that the other side, which is heard, never acknowledged."""
    tcp, count = facts.tcp, 2 * facts.result.connections.count
    way = 2 * facts.result.connection_of_path.astype(np.int64) + facts.forward
    data = np.flatnonzero(tcp & (facts.head("payload_length") > 0) & ~facts.syn)
    acknowledging = np.flatnonzero(tcp & ((facts.head("tcp_flags") & TCP_ACK) != 0))
    # Paths stand in the order in which they were first seen: of several assignments the last one holds.
    sent, heard = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    sent[way[data]] = data
    heard[way[acknowledging] ^ 1] = acknowledging
    both = np.flatnonzero((sent >= 0) & (heard >= 0))
    waiting = np.zeros(count, np.bool_)
    acknowledged = facts.head("acknowledgment")
    waiting[both] = _is_behind(_end(facts, sent[both]), acknowledged[heard[both]].astype(np.int64))
    left = data[waiting[way[data]]]
    left = left[_is_behind(_end(facts, left), acknowledged[heard[way[left]]].astype(np.int64))]
    if left.size == 0:
        return left
    sequence = facts.head("sequence")[left]
    _, which, times = np.unique(hashed(way[left], sequence), return_inverse=True, return_counts=True)
    return left[times[which.reshape(-1)] > 1]


def _end(facts: Facts, paths: Rows) -> Rows:
    """The sequence number behind the data of these paths."""
    return facts.head("sequence")[paths].astype(np.int64) + facts.head("payload_length")[paths]


def _is_behind(one: Rows, other: Rows) -> Mask:
    """Per pair of sequence numbers, which begin again at 2^32: the first is the later."""
    return ((one - other) & 0xFFFFFFFF).astype(np.uint32).view(np.int32) > 0


def _rows(facts: Facts, paths: Rows, fails: Rows) -> npt.NDArray[np.void]:
    result, connection = facts.result, facts.result.connection_of_path
    rows = np.zeros(paths.size, SUSPECT)
    rows["time_ns"], rows["path"], rows["connection"] = facts.begin_ns[paths], paths, connection[paths]
    rows["key"], rows["fails"] = facts.asked[connection[paths]], fails
    of_path = np.full(facts.own.size, -1, np.int64)
    of_path[paths] = np.arange(paths.size)
    hop = facts.frame_hops[of_path[result.hops["packet"][facts.frame_hops]] >= 0]
    row, sighting = of_path[result.hops["packet"][hop]], result.hops["sighting"][hop]
    number, size = _number_in(row.astype(np.uint64)), np.bincount(row, minlength=paths.size)
    kept = (number < _HALF) | (number >= size[row] - _HALF)
    slot = np.where(number < _HALF, number, number - np.maximum(size[row] - FRAMES, 0))
    rows["count"] = np.minimum(size, FRAMES)
    rows["seen"][row[kept], slot[kept]] = result.sightings.take(sighting[kept])
    rows["doubtful"][row[kept], slot[kept]] = result.order_doubtful[sighting[kept]]
    return rows


def taken(facts: Facts, wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.void]:
    """CONTROL rows of one part: frames of packets that were taken, by who is meant by `wanted` (place_keys)."""
    result, connection = facts.result, facts.result.connection_of_path
    accepted = facts.syn & (facts.count(facts.syn_ack) > 0)[connection]
    accepted |= facts.syn_ack & facts.opened[connection]
    accepted |= facts.tcp & facts.complete[connection] & ~facts.reset
    accepted |= (facts.head("protocol") != TCP) & facts.forward & (facts.replies > 0)[connection]
    paths = np.flatnonzero(accepted & facts.own)
    heads = result.sightings.take(result.head[paths])
    accepted[:] = False
    accepted[paths[_is_summed(facts, paths, heads) & ((heads["protocol"] == TCP) | _asks(facts, paths))]] = True
    hop = facts.frame_hops[accepted[result.hops["packet"][facts.frame_hops]]]
    sighting = result.hops["sighting"][hop]
    here = np.isin(place_keys(result.sightings, sighting), wanted)
    hop, sighting = hop[here], sighting[here]
    rows = np.zeros(hop.size, CONTROL)
    path = result.hops["packet"][hop]
    rows["time_ns"], rows["path"], rows["seen"] = (
        facts.begin_ns[path],
        result.ids.paths[path],
        result.sightings.take(sighting),
    )
    return bounded_controls(rows)


def place_keys(sightings: npt.NDArray[np.void], rows: Rows) -> npt.NDArray[np.uint64]:
    """Per row of `sightings`: one number for where it is and its protocol."""
    return hashed(*(sightings[name][rows] for name in _SHARED[:3]))


def sender_keys(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Per SIGHTING row: one number for where it is, its protocol and who sent it."""
    return hashed(*(rows[name] for name in _SHARED))


def bounded_controls(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The first of each sender at each place; of all of them the earliest."""
    rows = rows.take(np.lexsort((rows["seen"]["frame"], rows["path"], rows["time_ns"])))
    return earliest(rows.take(np.flatnonzero(_number_in(sender_keys(rows["seen"])) < _CONTROLS)))
