"""Whether somebody was kept from what they wanted by packets that were dropped: no, where they were made good."""

import numpy as np

from ..outcomes.kinds import Reason
from ..protocols import TCP_ACK, TCP_FIN, TCP_SYN
from .by_icmp_errors import PROBE_TTL
from .facts import Facts, Mask, Rows


def harmless(facts: Facts, paths: Rows) -> Mask:
    """Of these paths: its connection came to its end without it; or, of TCP, the other end said later that it has all
    of it; or, of a datagram, an answer came later; or it was a probe of a traceroute."""
    connection = facts.result.connection_of_path[paths]
    probe = (facts.result.outcomes.reason[paths] == Reason.TTL) & (facts.head("ttl")[paths] <= PROBE_TTL)
    made_good = np.where(facts.tcp[paths], _is_acknowledged(facts, paths), _is_answered(facts, paths))
    return facts.complete[connection] | probe | made_good


def _is_answered(facts: Facts, paths: Rows) -> Mask:
    """Of these paths: behind a question an answer came through, behind an answer another one."""
    answers = facts.own & ~facts.forward & (facts.result.outcomes.reason != Reason.KERNEL_DROP)
    latest = np.zeros(facts.explained.size, np.int64)
    np.maximum.at(latest, facts.result.connection_of_path[answers], facts.begin_ns[answers])
    return latest[facts.result.connection_of_path[paths]] > facts.begin_ns[paths]


def _is_acknowledged(facts: Facts, paths: Rows) -> Mask:
    """Of these paths: the other end said later that it has all of it, so it was sent again; where that end is never
    heard, the same side went on behind it with what came through."""
    connection, flags = facts.result.connection_of_path, facts.head("tcp_flags")
    chosen = np.zeros(facts.explained.size, np.bool_)
    chosen[connection[paths]] = True
    said = np.flatnonzero(facts.tcp & chosen[connection] & (facts.result.outcomes.reason != Reason.KERNEL_DROP))
    said = said[np.argsort(facts.begin_ns[said], kind="stable")]
    ways = facts.forward.astype(np.int64), connection
    through_ns = np.zeros((2, chosen.size), np.int64)
    through_ns[ways[0][said], ways[1][said]] = facts.begin_ns[said]
    said = said[(flags[said] & TCP_ACK) != 0]
    number, last_ns = np.zeros((2, chosen.size), np.int64), np.zeros((2, chosen.size), np.int64)
    # Of several assignments the last one holds.
    by = ways[0][said], ways[1][said]
    number[by], last_ns[by] = facts.head("acknowledgment")[said], facts.begin_ns[said]
    own, other = (ways[0][paths], connection[paths]), (1 - ways[0][paths], connection[paths])
    end = facts.head("sequence")[paths].astype(np.int64) + facts.head("payload_length")[paths]
    end += (flags[paths] & (TCP_SYN | TCP_FIN)) != 0
    has_it = (last_ns[other] > facts.begin_ns[paths]) & ((number[other] - end) % 2**32 < 2**31)
    unheard = through_ns[other] == 0
    return np.where(unheard, facts.opened[connection[paths]] & (through_ns[own] > facts.begin_ns[paths]), has_it)
