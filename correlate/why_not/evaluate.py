"""Conditions against what is known of packets; those of which all that counts is equal are evaluated once."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from .conditions import Condition, Fact, Name, Span, Wanted
from .conntrack_facts import CONNTRACK_COLUMNS
from .looks import ABSENT, HEADER_COLUMNS, Column, Looks, Rows, Value
from .surroundings import SURROUNDING_COLUMNS

COLUMNS: Final = {**HEADER_COLUMNS, **SURROUNDING_COLUMNS, **CONNTRACK_COLUMNS}
Values = tuple[Value, ...]
Holds = Callable[[Values], bool | None]
"""Of the values of the facts of a condition; None where that is not known."""


def holds(condition: Condition) -> Holds:
    """The condition as a question."""
    if condition.unknown:
        return lambda _: None
    is_wanted = _either(condition.wanted) if condition.either else _one_of(condition.wanted)
    mask = condition.mask

    def ask(values: Values) -> bool | None:
        if any(value is ABSENT for value in values):
            return False
        if any(value is None for value in values):
            return None
        masked = values if mask is None else tuple(v & mask if isinstance(v, int) else v for v in values)
        return is_wanted(masked) != condition.negated

    return ask


def _one_of(wanted: tuple[tuple[Wanted, ...], ...]) -> Callable[[Values], bool]:
    """One of the choices. Sets may have many thousands, most of them single values or spans that follow each other."""
    if all(len(one) == 1 and isinstance(one[0], Span) for one in wanted):
        return _in_spans([one[0] for one in wanted if isinstance(one[0], Span)])
    exact = {tuple(_single(part) for part in one) for one in wanted if all(_is_single(part) for part in one)}
    rest = [one for one in wanted if not all(_is_single(part) for part in one)]
    return lambda values: values in exact or any(
        all(_fits(part, value) for part, value in zip(one, values, strict=True)) for one in rest
    )  # fmt: skip


def _in_spans(spans: Sequence[Span]) -> Callable[[Values], bool]:
    """One of the spans, which may overlap."""
    merged: list[list[int]] = []
    for span in sorted(spans, key=lambda one: one.low):
        if merged and span.low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], span.high)
        else:
            merged.append([span.low, span.high])
    lows = [low for low, _ in merged]

    def is_in(values: Values) -> bool:
        value = values[0]
        at = bisect_right(lows, value) - 1 if isinstance(value, int) else -1
        return at >= 0 and isinstance(value, int) and value <= merged[at][1]

    return is_in


def _either(wanted: tuple[tuple[Wanted, ...], ...]) -> Callable[[Values], bool]:
    return lambda values: any(_fits(one[0], value) for one in wanted for value in values)


def _is_single(part: Wanted) -> bool:
    return part.low == part.high if isinstance(part, Span) else not part.begins


def _single(part: Wanted) -> int | str:
    return part.low if isinstance(part, Span) else part.text


def _fits(part: Wanted, value: Value) -> bool:
    if isinstance(part, Name):
        return isinstance(value, str) and (value.startswith(part.text) if part.begins else value == part.text)
    return isinstance(value, int) and part.low <= value <= part.high


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """Packets against the conditions of a rule; arrays of as many as there are packets."""

    conditions: Sequence[Condition]
    group: Rows
    """Of equal packets."""
    first: Rows
    """The first condition that fails, -1 where none does."""
    failing: Rows
    """How many fail."""
    said: list[tuple[bool | None, ...]]
    """Per group: whether each condition holds; None where that cannot be evaluated."""
    values: list[dict[Fact, Value]]
    """Per group."""

    def unknown(self, group: int) -> tuple[int, ...]:
        """The conditions that cannot be evaluated."""
        return tuple(at for at, one in enumerate(self.said[group]) if one is None)

    def looked_at(self, group: int, condition: int) -> tuple[Condition, Values]:
        """The condition, or what it requires and is not so; and the values that decided."""
        one = self.conditions[condition]
        for required in one.requires:
            values = self._values(group, required)
            if holds(required)(values) is False:
                return required, values
        return one, self._values(group, one)

    def _values(self, group: int, condition: Condition) -> Values:
        return tuple(self.values[group][fact] for fact in condition.facts)


def examine(looks: Looks, conditions: Sequence[Condition]) -> Examined:
    """Which conditions these packets fail."""
    everything = [part for one in conditions for part in (one, *one.requires)]
    facts = sorted({fact for one in everything for fact in one.facts}, key=lambda fact: fact.value)
    columns = {fact: COLUMNS[fact](looks) for fact in facts}
    group, examples = _grouped(columns, looks.rows.size)
    values = [{fact: column.values[column.codes[at]] for fact, column in columns.items()} for at in examples.tolist()]
    asked = [[(part.facts, holds(part)) for part in (*one.requires, one)] for one in conditions]
    said = [tuple(_all_hold(parts, of_group) for parts in asked) for of_group in values]
    first = np.array([one.index(False) if False in one else -1 for one in said], np.int64)
    failing = np.array([one.count(False) for one in said], np.int64)
    return Examined(
        conditions=conditions, group=group, first=first[group], failing=failing[group], said=said, values=values
    )  # fmt: skip


def _all_hold(parts: list[tuple[tuple[Fact, ...], Holds]], values: dict[Fact, Value]) -> bool | None:
    """A condition with what it requires."""
    said = [ask(tuple(values[fact] for fact in facts)) for facts, ask in parts]
    return False if False in said else None if None in said else True


def _grouped(columns: dict[Fact, Column], count: int) -> tuple[Rows, Rows]:
    """(group of each packet, one packet of each group)."""
    key = np.zeros(count, np.int64)
    for column in columns.values():
        key = np.unique(key * len(column.values) + column.codes, return_inverse=True)[1].reshape(-1)
    _, examples, group = np.unique(key, return_index=True, return_inverse=True)
    return group.reshape(-1), examples
