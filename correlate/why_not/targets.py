"""The rule that was asked for, in the rules that were recorded; and where it stood at each moment."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final

import numpy as np

from ...errors import TtraceError
from ..netfilter.evaluations import OWN_TABLE
from ..netfilter.rule_history import Moment, RuleHistory
from ..netfilter.rules import Rule, Ruleset
from ..nodes.topology import Topology
from .asked import Asked
from .looks import Rows

_MOST_NEAR: Final = 5
ChainKey = tuple[str, str, str]
"""(family, table, chain)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A rule of one namespace."""

    namespace: int
    family: str
    table: str
    chain: str
    legacy: bool
    number: int | None = None
    """As asked for; None where it was by the handle."""
    handle: int | None = None
    history: RuleHistory = field(repr=False, compare=False, hash=False)

    @property
    def key(self) -> ChainKey:
        """Of its chain."""
        return self.family, self.table, self.chain

    def rulesets(self) -> list[Ruleset]:
        """All snapshots, earliest first."""
        return [held.ruleset for held in self.history.snapshots]


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """The chain as it was at a moment."""

    rule: Rule | None
    """The rule that was asked for; None where there was none."""
    order: tuple[Rule, ...]
    """All rules of the chain."""
    ruleset: Ruleset
    """The snapshot it is from."""

    @property
    def positions(self) -> dict[int, int]:
        """Handle to number; of iptables-legacy the number itself."""
        return {rule.handle or rule.number: rule.number for rule in self.order}


def rules_of(ruleset: Ruleset, *, legacy: bool) -> dict[tuple[str, str, str, int], Rule]:
    """Those of nft, or of iptables-legacy."""
    return ruleset.legacy if legacy else ruleset.rules


def chain_of(ruleset: Ruleset, key: ChainKey, *, legacy: bool) -> tuple[Rule, ...]:
    """The rules of a chain in their order."""
    found = [rule for at, rule in rules_of(ruleset, legacy=legacy).items() if at[:3] == key]
    return tuple(sorted(found, key=lambda rule: rule.number))


def find_targets(asked: Asked, topology: Topology, histories: dict[int, RuleHistory]) -> list[Target]:
    """All rules that fit what was asked for, of every node. Raises TtraceError where there is none."""
    spaces = [space for space in topology.namespaces if _is_there(asked.where, space.node, space.label)]
    if not spaces:
        known = ", ".join(f"`{name}`" for name in dict.fromkeys(space.node for space in topology.namespaces))
        raise TtraceError(
            f"there is no node or namespace `{asked.where}` of the rule `{asked.text}`", f"nodes: {known}"
        )
    found: dict[Target, None] = {}
    for space in spaces:
        history = histories.get(space.index)
        for target in _in_namespace(asked, space.index, history) if history else ():
            found.setdefault(target)
    if not found:
        raise _none_there(asked, [histories[space.index] for space in spaces if space.index in histories])
    return _by_default(asked, list(found))


def _is_there(where: str, node: str, label: str) -> bool:
    return where in ("", node, label, f"{node}/{label}", f"{label} on {node}")


def _in_namespace(asked: Asked, namespace: int, history: RuleHistory) -> Iterator[Target]:
    for held in history.snapshots:
        for legacy in (False, True):
            for (family, table, chain, _), rule in rules_of(held.ruleset, legacy=legacy).items():
                if (family, table) != OWN_TABLE and _fits(asked, rule):
                    yield Target(
                        namespace=namespace, family=family, table=table, chain=chain, legacy=legacy,
                        number=asked.number, handle=asked.handle, history=history,
                    )  # fmt: skip


def _fits(asked: Asked, rule: Rule) -> bool:
    if asked.number is not None and rule.number != asked.number:
        return False
    if asked.handle is not None and rule.handle != asked.handle:
        return False
    return all(
        said in ("", is_)
        for said, is_ in ((asked.family, rule.family), (asked.table, rule.table), (asked.chain, rule.chain))
    )


def _by_default(asked: Asked, found: list[Target]) -> list[Target]:
    """Without a table, iptables means that of `filter`. A handle alone has to be of one rule."""
    if not asked.chain and len(found) > 1:
        some = ", ".join(f"`{' '.join(one.key)} handle {one.handle}`" for one in found[:_MOST_NEAR])
        raise TtraceError(f"several rules fit `{asked.text}`", f"name its chain: {some}")
    if asked.table:
        return found
    of_filter = [one for one in found if one.table == "filter"]
    return of_filter or found


def _none_there(asked: Asked, histories: Iterable[RuleHistory]) -> TtraceError:
    """Names what is near: chains of such a name, or how many rules the chain has."""
    rules = [
        rule
        for history in histories
        for held in history.snapshots
        for rule in (*held.ruleset.rules.values(), *held.ruleset.legacy.values())
        if (rule.family, rule.table) != OWN_TABLE
    ]
    missing = f"there is no rule `{asked.text}` in the snapshots"
    if not rules:
        return TtraceError(f"{missing}: they hold no rules", "capture with `ttrace capture`, which records them")
    chains: dict[ChainKey, int] = {}
    for rule in rules:
        key = (rule.family, rule.table, rule.chain)
        chains[key] = max(chains.get(key, 0), rule.number)
    of_name = [key for key in chains if key[2] == asked.chain]
    if not of_name:
        names = list(dict.fromkeys(key[2] for key in chains))
        lower = {name.lower(): name for name in names}
        close = get_close_matches(asked.chain.lower(), lower, n=_MOST_NEAR, cutoff=0.5)
        near = [lower[name] for name in close] or names[:_MOST_NEAR]
        of_name = [key for key in chains if key[2] in near]
    some = [f"`{' '.join(key)}` (rules 1 to {chains[key]})" for key in of_name[: 2 * _MOST_NEAR]]
    return TtraceError(missing, f"near it: {', '.join(some)}")


def moments_of(target: Target, times_ns: Rows) -> tuple[list[Then], Rows]:
    """(the chain as it was, which of these holds at each time)."""
    rows, which = np.unique(target.history.moments(times_ns), axis=0, return_inverse=True)
    return [then(target, Moment(*row)) for row in rows.tolist()], which.reshape(-1)


def then(target: Target, moment: Moment) -> Then:
    """The chain at a moment, with the words that its rules had."""
    ruleset = target.history.ruleset_near(moment)
    if ruleset is None:
        return Then(rule=None, order=(), ruleset=Ruleset())
    order = chain_of(ruleset, target.key, legacy=target.legacy)
    rule = next(
        (one for one in order if target.handle in (None, one.handle) and target.number in (None, one.number)), None
    )
    if rule is not None:
        said = _said_then(target, rule, moment)
        rule = replace(said, number=rule.number)
    return Then(rule=rule, order=order, ruleset=ruleset)


def _said_then(target: Target, rule: Rule, moment: Moment) -> Rule:
    key = (*target.key, rule.number if target.legacy else rule.handle)
    return target.history.legacy_rule(key, moment) if target.legacy else target.history.rule(key, moment)


def callers(then_: Ruleset, target: Target) -> Sequence[Rule]:
    """The rules that jump or go to the chain."""
    words = (f"-j {target.chain}", f"-g {target.chain}", f"jump {target.chain}", f"goto {target.chain}")
    found = []
    for (family, table, _, _), rule in rules_of(then_, legacy=target.legacy).items():
        if (family, table) == target.key[:2] and any(_says(rule.text, one) for one in words):
            found.append(rule)
    return found


def _says(text: str, words: str) -> bool:
    """The words, and not the beginning of longer ones."""
    at = text.find(words)
    return at >= 0 and text[at + len(words) : at + len(words) + 1] in ("", " ", ",", "}")
