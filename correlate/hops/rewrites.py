"""Hops -> rewrites: where addresses or ports changed between two hops, and what changed them.

The nat chains see only the first packet of a connection; later ones are translated by conntrack. So the rule is found
once per conntrack entry, at the packet that made the binding, and every later packet of the entry inherits it.
"""

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import first_with, hashed
from ..flows.connections import Connections
from ..netfilter.evaluations import Evaluations
from ..netfilter.numbers import NF_ACCEPT, UNDECIDED, Hook
from ..netfilter.rulebook import RewriteKind, RuleBook
from ..protocols import WITH_PORTS
from ..schema import NOTE_OUTER
from ..sightings import EVALUATION, rows_in_table
from .conntrack_entries import Entries, entries_of_rewrites
from .rules_in_doubt import changed_rules, withdraw_rules


class Field(IntEnum):
    """Which end of the packet changed."""

    SOURCE = 0
    DESTINATION = 1


class Evidence(IntEnum):
    """What the cause of a rewrite rests on, strongest first."""

    TRACE = 0
    CONNTRACK = 1
    INFERRED = 2


REWRITE: Final = np.dtype(
    [
        ("packet", "i8"),
        ("before", "i8"),  # row of the hops table with the old address
        ("after", "i8"),  # row with the new one, always before + 1
        ("field", "u1"),  # Field
        ("kind", "u1"),  # RewriteKind
        ("undo", "?"),  # conntrack reverses a translation for the reply direction
        ("evidence", "u1"),  # Evidence
        ("rule_changed", "?"),  # the rule that made it is not known, for it was changed meanwhile
        ("rule", "i4"),  # index into RuleBook.rules, -1 when none is known
    ],
    align=True,
)


def find_rewrites(
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    connections: Connections,
    conntrack: npt.NDArray[np.void],
    evaluations: Evaluations,
    said: npt.NDArray[np.void],
    book: RuleBook,
    order_doubtful: npt.NDArray[np.bool_],
) -> npt.NDArray[np.void]:
    """REWRITE rows, in the order of the hops. Where nothing tells which of two hops came first, none is claimed: nobody
    knows what was translated into what.

    `hops` as from `order_hops`; `sightings`, `times_ns`, `said` as for `match_packets`; `order_doubtful` as in
    PointOrder.
    """
    forward = connections.forward
    rewrites = _changes(hops, sightings, order_doubtful)
    if rewrites.size == 0:
        return rewrites
    row = hops["sighting"]
    before, after = row[rewrites["before"]], row[rewrites["after"]]
    entries = Entries.build(conntrack)
    ct_id, reply, namespace = entries_of_rewrites(hops, rewrites, sightings, times_ns, said, entries)
    rule = _traced_rules(hops, rewrites, sightings, evaluations, book)
    by_rule = rule >= 0
    known = ct_id >= 0
    rewrites["evidence"] = np.where(by_rule, Evidence.TRACE, np.where(known, Evidence.CONNTRACK, Evidence.INFERRED))
    rewrites["undo"] = ~by_rule & np.where(known, reply, ~forward[before] & ~forward[after])
    # Undoing a source translation changes the destination of the reply, and the other way round.
    made = rewrites["field"] ^ rewrites["undo"]
    inherited = _bound_rules(connections.connection[before], namespace, ct_id, made, rule)
    rewrites["rule"] = np.where(by_rule, rule, inherited)
    named = rewrites["rule"] >= 0
    status = np.where(made == Field.SOURCE, RewriteKind.SNAT, RewriteKind.DNAT)
    rewrites["kind"] = np.where(named, book.kinds[np.maximum(rewrites["rule"], 0)], status)
    withdraw_rules(rewrites, hops, sightings, book, status)
    return rewrites


def _changes(
    hops: npt.NDArray[np.void], sightings: npt.NDArray[np.void], order_doubtful: npt.NDArray[np.bool_]
) -> npt.NDArray[np.void]:
    """Every change of an end between consecutive hops of a packet whose order is known, its cause still open."""
    changed = np.zeros(hops.size, np.uint8)
    rewrites = np.zeros(_find_changes(hops, sightings, order_doubtful, changed), REWRITE)
    _fill_changes(hops, changed, rewrites)
    return rewrites


@njit(cache=True, nogil=True)
def _find_changes(hops, sightings, order_doubtful, changed):
    """Per hop: bit 0 when the source, bit 1 when the destination changes behind it; returns how many do."""
    count = 0
    for k in range(hops.size - 1):
        if hops[k].packet != hops[k + 1].packet:
            continue
        a, b = sightings[hops[k].sighting], sightings[hops[k + 1].sighting]
        # An outer header in a trace against the packet inside it: other addresses, and nothing was rewritten.
        if a.ip_version == 0 or (a.notes ^ b.notes) & np.uint8(NOTE_OUTER):
            continue
        # The identifier of an ICMP echo is shared by both ends: its change comes with the one that NAT changed.
        ports = a.protocol in WITH_PORTS
        source = a.source_high != b.source_high or a.source_low != b.source_low
        source |= ports and a.source_port != b.source_port
        destination = a.destination_high != b.destination_high or a.destination_low != b.destination_low
        destination |= ports and a.destination_port != b.destination_port
        behind = hops[k + 1].sighting
        if (source or destination) and behind < order_doubtful.size and order_doubtful[behind]:
            continue
        changed[k] = np.int64(source) | np.int64(destination) << 1
        count += int(source) + int(destination)
    return count


@njit(cache=True, nogil=True)
def _fill_changes(hops, changed, rewrites):
    at = 0
    for k in range(changed.size):
        for field in range(2):
            if (changed[k] >> field) & 1:
                row = rewrites[at]
                row.packet = hops[k].packet
                row.before = k
                row.after = k + 1
                row.field = field
                row.rule = -1
                at += 1


def _traced_rules(
    hops: npt.NDArray[np.void],
    rewrites: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    evaluations: Evaluations,
    book: RuleBook,
) -> npt.NDArray[np.int64]:
    """Per rewrite: the rule of a nat chain, at the hop before it or earlier in the same hook, that translates this
    end; -1 when there is none."""
    rows = evaluations.rows
    found = np.full(rewrites.size, -1, np.int64)
    if rows.size:
        nat = np.array([chain.base.kind == "nat" for chain in evaluations.chains], np.bool_)
        last = book.of_event[rows["last_event"] - 1]
        kind = book.kinds[np.maximum(last, 0)]
        known = kind != RewriteKind.UNKNOWN
        # What a rule without words did is known from its hook: the kernel translates one end in each.
        wordless = (
            changed_rules(book)[np.maximum(last, 0)]
            & np.isin(rows["verdict"], (NF_ACCEPT, UNDECIDED))
            & ~rows["policy"]
        )
        applies = nat[rows["chain"]] & (last >= 0) & (known | wordless)
        by_kind = (kind == RewriteKind.SNAT) | (kind == RewriteKind.MASQUERADE)
        by_hook = np.isin(rows["hook"], (Hook.POSTROUTING, Hook.INPUT))
        end = np.where(np.where(known, by_kind, by_hook), Field.SOURCE, Field.DESTINATION)
        evaluation_of = rows_in_table(sightings, EVALUATION)
        _rules_before(hops, rewrites, evaluation_of, np.where(applies, last, -1), end, found)
    return found


@njit(cache=True, nogil=True)
def _rules_before(hops, rewrites, evaluation_of, rule, end, found):
    """`rule`, `end`: per evaluation, the rule that translates and which end."""
    for i in range(rewrites.size):
        row = rewrites[i]
        k = row.before
        at = hops[k]
        while k >= 0 and hops[k].packet == at.packet and hops[k].visit == at.visit and hops[k].station == at.station:
            evaluation = evaluation_of[hops[k].sighting]
            if evaluation >= 0 and rule[evaluation] >= 0 and end[evaluation] == row.field:
                found[i] = rule[evaluation]
                break
            k -= 1


def _bound_rules(
    connection: npt.NDArray[np.int64],
    namespace: npt.NDArray[np.int64],
    ct_id: npt.NDArray[np.int64],
    made: npt.NDArray[np.uint8],
    rule: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """For each rewrite the rule that made the binding of its conntrack entry, wherever in the capture that was
    traced. An id is a hash over the address of the entry in the kernel: another connection may have had it before."""
    key = hashed((namespace << 34) | (np.maximum(ct_id, 0) << 1) | made, connection)
    makers = (rule >= 0) & (ct_id >= 0)
    made_by = np.flatnonzero(makers)
    at = first_with(key[made_by], key)
    if made_by.size == 0:
        return at
    return np.where((at >= 0) & (ct_id >= 0), rule[made_by[np.maximum(at, 0)]], -1)
