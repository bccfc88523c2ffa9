"""What became of the packets that came into the chain of a rule: one group for each answer."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ..netfilter.numbers import NF_ACCEPT, NF_DROP, NF_QUEUE, NF_VERDICT_MASK, NFT_GOTO, NFT_RETURN
from ..netfilter.rulebook import statement_of
from ..netfilter.rules import Rule
from .conditions import Condition
from .evaluate import Examined, examine
from .groups import NO_EXAMPLE, Example, Group, Kind, of_looks
from .iptables_conditions import iptables_conditions
from .looks import Rows
from .nft_conditions import nft_conditions
from .nft_sets import Elements, listed
from .targets import Then
from .translations import translations
from .visits import Visits, Way
from .words import chain_place, rule_number, rule_place, value_words, was_words

_MATCHED_CLOSENESS: Final = 1.5
_UNSURE_CLOSENESS: Final = 0.5
_NOR_OTHERWISE: Final = "it would not have matched, and the chain ended before it:"
_DID: Final = {
    NF_DROP: "dropped", NF_ACCEPT: "accepted", NF_QUEUE: "handed to a queue", NFT_RETURN: "returned",
    NFT_GOTO: "sent on (goto)",
}  # fmt: skip
_STATEMENT_DID: Final = {
    "reject": "rejected", "dnat": "translated", "snat": "translated", "masquerade": "translated",
    "redirect": "translated", "netmap": "translated",
}  # fmt: skip


def conditions_of(rule: Rule, then: Then) -> list[Condition]:
    """What the rule asks, with the sets as they were."""
    if rule.text.startswith("-A "):
        return iptables_conditions(rule.text)

    def named(name: str) -> Elements | None:
        block = then.ruleset.sets.get((rule.family, rule.table, name))
        return listed(block) if block else None

    return nft_conditions(rule.text, named)


def answers_in_chain(visits: Visits) -> Iterator[Group]:
    """All groups of the packets that came into the chain."""
    for number, then in enumerate(visits.then):
        here = visits.when == number
        if not here.any():
            continue
        conditions = conditions_of(then.rule, then) if then.rule is not None and then.rule.text else None
        for way, tell in _TELL.items():
            which = np.flatnonzero(here & (visits.way == way))
            if which.size:
                yield from tell(visits, then, conditions, which)


def _passed(visits: Visits, then: Then, conditions: Sequence[Condition] | None, which: Rows) -> Iterator[Group]:
    """It was looked at and did not match."""
    if conditions is None:
        yield _group(visits, which, then, Kind.UNKNOWN, "which words the rule had then is not known", 4)
        return
    looks = visits.looks.of(which)
    examined = examine(looks, conditions)
    for first in np.unique(examined.first).tolist():
        of_first = np.flatnonzero(examined.first == first)
        if first < 0:
            yield from _nothing_fails(visits, which, then, examined, of_first)
            continue
        for asked, here in _by_what_decided(examined, first, of_first):
            for translated, rows in translations(looks.of(here), asked):
                some = here[rows]
                group = _failed(visits, which[some], then, examined, some)
                if translated is not None:
                    group.tail, group.cause = translated.text, translated.rule
                    group.closeness -= 1
                yield group


def _by_what_decided(examined: Examined, first: int, some: Rows) -> Iterator[tuple[Condition, Rows]]:
    """The condition itself, or what it requires: UDP fails `tcp dport 80` by another thing than port 90 does."""
    groups, inverse = np.unique(examined.group[some], return_inverse=True)
    asked = [examined.looked_at(group, first)[0] for group in groups.tolist()]
    for one in dict.fromkeys(map(id, asked)):
        number = next(at for at, other in enumerate(asked) if id(other) == one)
        same = np.array([id(other) == one for other in asked])
        yield asked[number], some[same[inverse.reshape(-1)]]


def _failed(visits: Visits, which: Rows, then: Then, examined: Examined, some: Rows) -> Group:
    """`some`: rows of `examined` of these visits, which fail at the same condition first."""
    first = int(examined.first[some[0]])
    condition = examined.conditions[first]
    was: Counter[str] = Counter()
    phrase = ""
    groups, counts = np.unique(examined.group[some], return_counts=True)
    for group, count in zip(groups.tolist(), counts.tolist(), strict=True):
        phrase, value = was_words(*examined.looked_at(group, first))
        was[value] += count
    found = _group(
        visits, which, then, Kind.FAILED, f"wants {condition.text}; {phrase}", float(examined.failing[some].min()),
        lines=condition_lines(examined, _of_first(visits, which, examined, some)),
    )  # fmt: skip
    found.was = was
    return found


def _of_first(visits: Visits, which: Rows, examined: Examined, some: Rows) -> int:
    """The group of the packet that comes first, which is the example. `some`: rows of `examined` of these visits."""
    return int(examined.group[some[np.argmin(visits.looks.of(which).packets)]])


def _nothing_fails(visits: Visits, which: Rows, then: Then, examined: Examined, some: Rows) -> Iterator[Group]:
    sets = [examined.unknown(group) for group in range(len(examined.said))]
    kinds = list(dict.fromkeys(sets))
    unknown = np.array([kinds.index(one) for one in sets], np.int64)[examined.group[some]]
    for one in np.unique(unknown).tolist():
        rows = some[unknown == one]
        group = _of_first(visits, which[rows], examined, rows)
        cannot = [_why_not_evaluated(examined, group, at) for at in examined.unknown(group)]
        text = (
            f"what can be evaluated of it holds; what cannot be: {'; '.join(cannot)}"
            if cannot
            else "all that it wants holds by what was recorded, and yet it did not match: was it another then?"
        )
        lines = condition_lines(examined, group)
        yield _group(visits, which[rows], then, Kind.UNKNOWN, text, _UNSURE_CLOSENESS, lines=lines)


def _why_not_evaluated(examined: Examined, group: int, at: int) -> str:
    condition = examined.conditions[at]
    if condition.unknown:
        return f"{condition.text} ({condition.unknown})"
    phrase, _ = was_words(*examined.looked_at(group, at))
    return f"{condition.text} ({phrase.removesuffix(' was').removesuffix(' were')}: not recorded)"


def condition_lines(examined: Examined, group: int) -> tuple[str, ...]:
    """What became of every condition for one packet."""
    lines = []
    for at, condition in enumerate(examined.conditions):
        if at in examined.unknown(group):
            lines.append(f"{_why_not_evaluated(examined, group, at)}: cannot be evaluated")
            continue
        one, values = examined.looked_at(group, at)
        said = ", ".join(value_words(fact, value) for fact, value in zip(one.facts, values, strict=True))
        lines.append(f"{condition.text}: {'fails' if examined.said[group][at] is False else 'holds'} ({said})")
    return tuple(lines)


def _matched(visits: Visits, then: Then, _: object, which: Rows) -> Iterator[Group]:
    yield _group(visits, which, then, Kind.MATCHED, "matched it", _MATCHED_CLOSENESS)


def _left_before(visits: Visits, then: Then, conditions: Sequence[Condition] | None, which: Rows) -> Iterator[Group]:
    """Another rule was first; said too whether this one would have matched."""
    looks = visits.looks.of(which)
    fails = examine(looks, conditions).failing if conditions is not None else np.full(which.size, 1)
    book = looks.part.book.of_event
    keys = np.stack([book[visits.by[which]], book[visits.last[which]], fails > 0], axis=1)
    others: Group | None = None
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    for number in range(len(unique)):
        rows = np.flatnonzero(inverse.reshape(-1) == number)
        who, words, rule = _who_ended(visits, int(which[rows[0]]))
        if unique[number, 2]:
            group = _group(visits, which[rows], then, Kind.LEFT_BEFORE, _NOR_OTHERWISE, 1.0 + float(fails[rows].min()))
            group.was[who] = group.packets
            if others is None:
                others = group
            else:
                others.add(group)
            continue
        group = _group(visits, which[rows], then, Kind.LEFT_BEFORE, words, 0.5)
        group.cause = rule
        yield group
    if others is not None:
        yield others


def _who_ended(visits: Visits, at: int) -> tuple[str, str, Rule | None]:
    """(`rule 2 had accepted it`, `rule 2 had accepted it before: -A FORWARD …`, that rule), or who did below the rule
    that jumped."""
    part = visits.looks.part
    by, last = int(visits.by[at]), int(visits.last[at])
    events, book = part.evaluations.events, part.book
    rule = book.rules[book.of_event[by]] if book.of_event[by] >= 0 else None
    place = rule_number(rule) if rule else "a rule"
    verdict = int(events["verdict"][by])
    if by == last or verdict in (NFT_RETURN, NFT_GOTO, NF_DROP, NF_ACCEPT):
        who = f"{place} had {_did(verdict, rule)} it"
        return who, f"{who} before{_text_of(rule)}", rule
    below = book.rules[book.of_event[last]] if book.of_event[last] >= 0 else None
    where = rule_place(below) if below else f"a chain that {place} jumps to"
    who = f"{where} had {_did(int(events['verdict'][last]), below)} it"
    return who, f"{place} jumped before it, and {who}{_text_of(below)}", below


def _text_of(rule: Rule | None) -> str:
    return f": {rule.text}" if rule and rule.text else ""


def _did(verdict: int, rule: Rule | None) -> str:
    statement = _STATEMENT_DID.get(statement_of(rule.text)) if rule else None
    if rule and verdict not in (NF_DROP, NF_ACCEPT) and rule.text.endswith("-j RETURN"):
        return _DID[NFT_RETURN]
    return statement or _DID.get(verdict & NF_VERDICT_MASK if verdict > 0 else verdict, "ended the chain for")


def _unclear(visits: Visits, then: Then, _: object, which: Rows) -> Iterator[Group]:
    chain = chain_place(*visits.target.key)
    text = f"whether it came so far is not known: the trace of {chain} is not whole, or its rules were others then"
    yield _group(visits, which, then, Kind.UNKNOWN, text, 4)


def _no_rule(visits: Visits, then: Then, _: object, which: Rows) -> Iterator[Group]:
    count = len(then.order)
    text = f"there was no such rule then: {chain_place(*visits.target.key)} had {count} rule{'' if count == 1 else 's'}"
    yield _group(visits, which, then, Kind.UNKNOWN, text, 3)


def _group(
    visits: Visits, which: Rows, then: Then, kind: Kind, head: str, closeness: float, lines: tuple[str, ...] = ()
) -> Group:
    looks = visits.looks
    event = looks.part.evaluations.rows["first_event"][looks.rows[which]]
    shown = np.where(
        visits.by[which] >= 0, visits.by[which], np.where(looks.after[which] >= 0, looks.after[which], event)
    )
    example: Example = replace(NO_EXAMPLE, conditions=lines)
    group = Group(kind=kind, head=head, closeness=closeness, rule=then.rule, example=example)
    return of_looks(looks, which, shown, group)


_Tell = Callable[[Visits, Then, Sequence[Condition] | None, Rows], Iterator[Group]]
_TELL: Final[dict[Way, _Tell]] = {
    Way.PASSED: _passed, Way.MATCHED: _matched, Way.LEFT_BEFORE: _left_before, Way.UNCLEAR: _unclear,
    Way.NO_RULE: _no_rule,
}  # fmt: skip
