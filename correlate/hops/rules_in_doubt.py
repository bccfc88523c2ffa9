"""Rules whose words cannot be those that a packet met: withdrawn, rather than quoted."""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..netfilter.rulebook import RuleBook
from ..netfilter.translation_targets import is_outside, translation_targets
from ..protocols import WITH_PORTS
from ..schema import NOTE_ERROR


def changed_rules(book: RuleBook) -> npt.NDArray[np.bool_]:
    """Per rule: whether it was changed meanwhile, so that its words are not known."""
    return np.array([rule.changed for rule in book.rules] or [False], np.bool_)


def withdraw_rules(
    rewrites: npt.NDArray[np.void],
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    book: RuleBook,
    kinds: npt.NDArray[np.integer],
) -> None:
    """Take the rule from rewrites that its words do not explain (in place).

    `kinds`: RewriteKind of each rewrite, as far as it is known without the rule.
    """
    changed, targets = changed_rules(book), translation_targets(book.rules)
    if not (changed.any() or targets["with_addresses"].any() or targets["with_ports"].any()):
        return
    doubtful = np.zeros(rewrites.size, np.uint8)
    _find_doubtful(rewrites, hops, sightings, targets, changed, doubtful)
    rewrites["rule"][doubtful > 0] = -1
    rewrites["kind"][doubtful > 0] = kinds[doubtful > 0]
    rewrites["rule_changed"] = doubtful == _CHANGED


_ELSEWHERE, _CHANGED = 1, 2
"""In another namespace more may have been translated; within one, the rule was another."""


@njit(cache=True, nogil=True)
def _find_doubtful(rewrites, hops, sightings, targets, changed, doubtful):
    for i in range(rewrites.size):
        row = rewrites[i]
        if row.rule < 0:
            continue
        if changed[row.rule]:
            doubtful[i] = _CHANGED
            continue
        target = targets[row.rule]
        if not target.with_addresses and not target.with_ports:
            continue
        before, after = sightings[hops[row.before].sighting], sightings[hops[row.after].sighting]
        # An ICMP error takes the addresses of the connection, wherever it comes from.
        if (before.notes | after.notes) & np.uint8(NOTE_ERROR):
            continue
        # Undone, it is the old end that the rule had made.
        made = before if row.undo else after
        has_port = made.protocol in WITH_PORTS
        if row.field == 0:
            outside = is_outside(target, made.source_high, made.source_low, made.source_port, has_port)
        else:
            outside = is_outside(target, made.destination_high, made.destination_low, made.destination_port, has_port)
        if outside:
            doubtful[i] = _CHANGED if before.namespace == after.namespace else _ELSEWHERE
