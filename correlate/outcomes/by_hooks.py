"""Packets whose last sighting is a chain: dropped there, taken there, or gone behind it.

What a chain says is the verdict of that chain alone. That the packet went on is known only from what saw it later, so a
chain that accepted it proves nothing. ttrace has an empty chain behind all others in each hook: where it did not see
the packet, the packet died inside that hook.
"""

import numpy as np

from ..hops.stations import Station
from ..netfilter.numbers import NF_DROP, QUEUED, STOLEN
from .by_last_hop import lost_unless_missed, open_
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables


def dropped_by_a_chain(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets whose last hop is a chain that said drop."""
    rows, final = tables.evaluations.rows, tables.last_hops
    if rows.size == 0:
        return Verdicts.none()
    paths = np.flatnonzero(open_(so_far) & final.is_evaluation & (rows["verdict"][final.evaluation] == NF_DROP))
    dropping = rows.take(final.evaluation[paths])
    by_policy = dropping["policy"] == 1
    return Verdicts(
        paths=paths,
        outcome=Outcome.DROPPED,
        reason=np.where(by_policy, Reason.POLICY, Reason.RULE),
        rule=np.where(by_policy, -1, tables.book.of_event[dropping["last_event"] - 1]),
    )


def taken_by_a_rule(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets whose last hop is a chain that put them into a queue, or whose target took them."""
    rows, final = tables.evaluations.rows, tables.last_hops
    if rows.size == 0:
        return Verdicts.none()
    verdict = rows["verdict"][final.evaluation]
    paths = np.flatnonzero(open_(so_far) & final.is_evaluation & ((verdict == QUEUED) | (verdict == STOLEN)))
    last = rows["last_event"][final.evaluation[paths]] - 1
    return Verdicts(paths=paths, outcome=Outcome.UNKNOWN, reason=Reason.HANDED_OVER, rule=tables.book.of_event[last])


def died_inside_a_hook(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that a chain saw, and the last chain of its hook did not."""
    final = tables.last_hops
    paths = np.flatnonzero(open_(so_far) & final.is_evaluation & final.before_last_chain)
    return lost_unless_missed(tables, paths, Reason.HOOK, final.namespace[paths])


def gone_behind_a_hook(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Packets that all chains of a hook passed, and that were not seen again.

    Behind prerouting, forward and output comes another hook, which would have shown them. Behind the others, and where
    a chain is not known to be the last, nothing is proven: conntrack may have refused to confirm the packet, or nobody
    answered for its next hop. Where it leaves by an interface that is not captured, that is all there is to say.
    """
    final = tables.last_hops
    if final.evaluations.rows.size == 0:
        return Verdicts.none()
    captured = np.array([(p.namespace << 32) | p.interface_index for p in tables.topology.points], np.int64)
    output = final.evaluations.rows["output_index"][final.evaluation].astype(np.int64)
    leaves_here = (output == 0) | np.isin((final.namespace << 32) | output, captured)
    gone = open_(so_far) & final.is_evaluation
    more_hooks = ~np.isin(final.station, (Station.INPUT, Station.POSTROUTING)) & final.behind_all_chains
    proven, unproven = np.flatnonzero(gone & more_hooks), np.flatnonzero(gone & ~more_hooks & leaves_here)
    lost = lost_unless_missed(tables, proven, Reason.BEHIND_HOOK, final.namespace[proven])
    return lost.and_(Verdicts(paths=unproven, outcome=Outcome.UNKNOWN, reason=Reason.UNPROVEN))
