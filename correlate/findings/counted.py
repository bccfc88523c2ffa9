"""What was only counted of the kernel's drops, as a clue at findings that it may explain.

It is a number of a whole machine, and proves nothing of one packet: no finding is made of it, and none becomes a fault.
"""

from dataclasses import replace
from typing import Final

from ..nodes.counted_drops import CountedDrops, counted_drops
from ..outcomes.by_kernel_drop import NO_LOSS
from .facts import Facts
from .kernel_reasons import is_made_good_by_tcp, told_by
from .kinds import Kind
from .seen import Extent, Seen, many
from .words import snapshot_evidence

_SILENT: Final = frozenset((Kind.UNANSWERED, Kind.HALF_OPEN, Kind.WIRE_LOSS))
"""Kinds that do not say where their packets ended."""
_PROTOCOLS: Final = ("TCP", "UDP", "ICMP")
"""What reasons of one protocol alone begin with."""
_MOST: Final = 3
"""Reasons that are named."""


def with_counted_drops(facts: Facts, seen: Seen) -> Seen:
    """The finding with what was counted on its node and fits it: as evidence, and where it says no cause, in words."""
    if seen.node is None:
        return seen
    known = facts.result.surroundings.of(seen.node, None, at_stop=True)
    fitting = [one for one in counted_drops(known.counters or {}) if _fits(one, seen)]
    # What is told of its protocol alone is the better clue, however little there is of it.
    fitting = sorted(fitting, key=lambda one: not _protocol(one))[:_MOST]
    if not fitting:
        return seen
    said = [f"{many(one.packets, 'packet')} for {one.words}" for one in fitting]
    evidence = tuple(
        snapshot_evidence(facts, "counter", f"{seen.node}: the kernel dropped {text}, on the whole machine", known)
        for text in said
    )
    clue = f"meanwhile the kernel of {seen.node} dropped {' and '.join(said)}, on the whole machine"

    def say(extent: Extent) -> str:
        return f"{seen.say(extent)}; {clue}"

    return replace(seen, evidence=seen.evidence + evidence, say=say if seen.kind in _SILENT else seen.say)


def _fits(one: CountedDrops, seen: Seen) -> bool:
    told = told_by(one.reason, one.function.partition(".")[0]) if one.reason else None
    if told is None:
        return False
    if told.kind == seen.kind:
        return True
    is_loss = one.reason.encode() not in NO_LOSS and not is_made_good_by_tcp(one.reason)
    is_of_it = any(name.startswith(_protocol(one)) for name in seen.subject.protocols)
    return seen.kind in _SILENT and is_loss and is_of_it


def _protocol(one: CountedDrops) -> str:
    """`tcp`, of a reason that is told of TCP alone; empty of one that is told of any protocol."""
    return next((name for name in _PROTOCOLS if one.reason.startswith(f"{name}_")), "").lower()
