"""Addresses and ports that a rule looked for, and that the packet had before or gets only later."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..hops.rewrites import Field
from ..netfilter.rulebook import RewriteKind
from ..netfilter.rules import Rule
from .conditions import Condition, Fact
from .evaluate import holds
from .looks import Looks, Rows, Value
from .words import rule_place, value_words

_OF: Final = {
    Fact.SOURCE: (Field.SOURCE, False), Fact.SOURCE_PORT: (Field.SOURCE, True),
    Fact.DESTINATION: (Field.DESTINATION, False), Fact.DESTINATION_PORT: (Field.DESTINATION, True),
}  # fmt: skip
_KINDS: Final = {
    RewriteKind.UNKNOWN: "a translation", RewriteKind.SNAT: "SNAT", RewriteKind.MASQUERADE: "MASQUERADE",
    RewriteKind.DNAT: "DNAT", RewriteKind.REDIRECT: "REDIRECT",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Translated:
    """What was asked for was there, before or behind the chain."""

    text: str
    rule: Rule | None


def translations(looks: Looks, condition: Condition) -> list[tuple[Translated | None, Rows]]:
    """The packets by what changed what the condition looked at, if it would have held for that; None: nothing did."""
    if len(condition.facts) != 1 or condition.facts[0] not in _OF:
        return [(None, np.arange(looks.rows.size))]
    fact = condition.facts[0]
    field, is_port = _OF[fact]
    part, ask = looks.part, holds(condition)
    packets, hop = looks.packets, looks.hop
    first, end = part.first_rewrite[packets], part.first_rewrite[packets + 1]
    answers: list[Translated | None] = [None]
    answer = np.zeros(packets.size, np.int64)
    for number in range(int((end - first).max(initial=0))):
        which = np.flatnonzero(first + number < end)
        which = which[part.rewrites["field"][first[which] + number] == field]
        row = first[which] + number
        # The last one before the chain counts, else the first behind it.
        open_ = (part.rewrites["after"][row] <= hop[which]) | (answer[which] == 0)
        which, row = which[open_], row[open_]
        table = _table(looks, row, hop[which], field, is_port=is_port)
        unique, example, inverse = np.unique(table, return_index=True, return_inverse=True)
        codes = []
        for step, of in zip(unique, row[example].tolist(), strict=True):
            value = int(step["port"]) if is_port else (int(step["high"]) << 64) | int(step["low"])
            said = _words(looks, of, fact, value, behind=bool(step["behind"])) if ask((value,)) else None
            if said not in answers:
                answers.append(said)
            codes.append(answers.index(said))
        if which.size:
            found = np.array(codes, np.int64)[inverse.reshape(-1)]
            answer[which[found > 0]] = found[found > 0]
    return [(answers[code], np.flatnonzero(answer == code)) for code in np.unique(answer).tolist()]


def _table(looks: Looks, row: Rows, hop: Rows, field: Field, *, is_port: bool) -> npt.NDArray[np.void]:
    """Of each translation all that its words depend on."""
    part, end = looks.part, field.name.lower()
    steps = part.rewrites.take(row)
    behind = steps["after"] > hop
    seen = part.sightings.take(part.hops["sighting"][np.where(behind, steps["after"], steps["before"])])
    table = np.zeros(
        row.size, [("behind", "?"), ("undo", "?"), ("kind", "u1"), ("rule", "i4"), ("high", "u8"), ("low", "u8"),
                   ("port", "u2")]
    )  # fmt: skip
    table["behind"] = behind
    for name in ("undo", "kind", "rule"):
        table[name] = steps[name]
    for name in ("port",) if is_port else ("high", "low"):
        table[name] = seen[f"{end}_{name}"]
    return table


def _words(looks: Looks, row: int, fact: Fact, value: Value, *, behind: bool) -> Translated:
    step = looks.part.rewrites[row]
    rule = looks.part.book.rules[int(step["rule"])] if step["rule"] >= 0 else None
    kind = _KINDS[RewriteKind(int(step["kind"]))]
    by = f"{kind} by {rule_place(rule)}" if rule else kind
    if step["undo"]:
        by = f"conntrack, which undoes {by} for replies,"
    text = value_words(fact, value)
    if behind:
        return Translated(f": {by} changes it to {text} only behind this chain", rule)
    return Translated(f" there: {by} had changed it from {text}", rule)
