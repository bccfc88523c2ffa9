"""How rules changed while the capture ran: the words that a handle or number had at a time.

A snapshot holds for a generation of the ruleset, and the kernel's messages say what each commit changed in it. So the
history of a namespace is a row of *epochs*, one between two commits, and every snapshot and every change belongs to
one. What was true in an epoch is known from a snapshot of it, or from one with nothing in between that is about the
rule, or from the message that added it or took it away. Where messages were lost in between, nothing follows from
their absence, and the words are quoted only if the snapshots before and after agree.
"""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..nodes.namespace_facts import Where
from .evaluations import OWN_TABLE
from .rule_words import words_of
from .rules import Rule, Ruleset
from .ruleset_message import NEW_GENERATION, RULE_ADDED, RULE_REMOVED, RulesetMessage

Key = tuple[str, str, str, int]
"""(family, table, chain, handle), or the number in the chain with iptables-legacy."""
_RACE_NS: Final = 1_000_000
"""So near to a commit a packet can still have met the old rules, or already the new ones: its messages are sent behind
it, and other processors trace meanwhile."""
_PER_MESSAGE_NS: Final = 5_000
"""A commit makes all its messages before it sends the first."""


class _Change(NamedTuple):
    epoch: int
    """The first in which it is in force."""
    adds: bool
    text: str
    """Of the rule; "" when its table or chain went."""
    at: Where
    """The message that says so."""


class _Held(NamedTuple):
    epoch: int
    known: bool
    """Whether all of it is of one generation."""
    ruleset: Ruleset


class Moment(NamedTuple):
    """When a rule matched, as far as the history tells times apart."""

    epoch: int
    snapshots: int
    """How many were taken before."""
    near: int
    """-1 or 1: so near to the epoch before or behind that it may have been in that; else 0."""


@dataclass(slots=True, kw_only=True)
class RuleHistory:
    """The history of one namespace."""

    commits_ns: npt.NDArray[np.int64]
    """When the first message of each commit came; epoch i lies before commit i."""
    early_ns: npt.NDArray[np.int64]
    """From when on each may have been in force."""
    taken_ns: npt.NDArray[np.int64]
    """Of each snapshot."""
    snapshots: list[_Held]
    lost: list[int] = field(default_factory=list)
    """Epochs that begin where commits are missing."""
    changes: dict[Key, list[_Change]] = field(default_factory=lambda: defaultdict(list))
    """By rule; of a chain that went, with handle 0, of a table, with chain "" too."""

    def moments(self, times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(n, 3): the columns of Moment for each time."""
        epoch = np.searchsorted(self.commits_ns, times_ns, side="right")
        before = np.searchsorted(self.taken_ns, times_ns, side="right")
        near = np.zeros(times_ns.size, np.int64)
        if self.commits_ns.size:
            last = self.commits_ns[np.maximum(epoch - 1, 0)]
            near[(epoch > 0) & (times_ns - last < _RACE_NS)] = -1
            following = np.minimum(epoch, self.commits_ns.size - 1)
            near[(epoch < self.commits_ns.size) & (times_ns >= self.early_ns[following])] = 1
        return np.stack([epoch, before, near], axis=1)

    def rule(self, key: Key, moment: Moment) -> Rule:
        """The rule with this handle at that moment; without text where that is not known."""
        if key[:2] == OWN_TABLE:
            return next((one.ruleset.rules[key] for one in self.snapshots if key in one.ruleset.rules), _nameless(key))
        found = self._rule(key, moment)
        if moment.near == 0:
            return found
        other = self._rule(key, moment._replace(epoch=moment.epoch + moment.near))
        if found.text and other.text and found.text != other.text:
            return _nameless(key, changed=True)
        return found if found.text else other

    def ruleset_near(self, moment: Moment) -> Ruleset | None:
        """The snapshot that says most of a moment: one of its epoch, else the last before it, else the first behind.
        None where there is none."""
        before, behind = self.snapshots[: moment.snapshots][::-1], self.snapshots[moment.snapshots :]
        nearest = [*before, *behind]
        same = [one for one in nearest if one.known and one.epoch == moment.epoch]
        return (same or nearest)[0].ruleset if nearest else None

    def told_at(self, rule: Rule) -> tuple[Where, int | None] | None:
        """What has the words of a rule: the first snapshot and its line there, or the message that told of it. None
        where its words are not known."""
        key = rule.family, rule.table, rule.chain, rule.handle or rule.number
        for one in self.snapshots if rule.text else ():
            shown = (one.ruleset.rules if rule.handle else one.ruleset.legacy).get(key)
            if shown == rule and one.ruleset.at is not None:
                return one.ruleset.at, shown.line
        told = (change for change in self.changes.get(key, ()) if rule.text and change.text == rule.text)
        return next(((change.at, None) for change in told), None)

    def policy_at(self, chain: tuple[str, str, str], policy: str) -> Where | None:
        """The first snapshot that shows a base chain with this policy."""
        for one in self.snapshots:
            known = one.ruleset.chains.get(chain)
            if policy in (known.policy if known is not None else None, one.ruleset.legacy_policies.get(chain)):
                return one.ruleset.at
        return None

    def _rule(self, key: Key, moment: Moment) -> Rule:
        changes = self._changes_of(key)
        before = [change for change in changes if change.epoch <= moment.epoch]
        after = [change for change in changes if change.epoch > moment.epoch]
        shown = self._shown(key, moment.epoch, before[-1].epoch if before else 0, after[0].epoch if after else None)
        if shown is not None and (not before or before[-1].adds):
            return shown
        if before and before[-1].adds and self._told(before[-1].epoch, moment.epoch):
            return _nameless(key, text=before[-1].text)
        if after and not after[0].adds and after[0].text and self._told(moment.epoch, after[0].epoch):
            return _nameless(key, text=after[0].text)
        return self._agreed(key, moment, known=bool(changes))

    def _changes_of(self, key: Key) -> list[_Change]:
        """In order; of one commit, which replaces a rule under its handle, what it adds comes last."""
        family, table, chain, _ = key
        wider = (key, (family, table, chain, 0), (family, table, "", 0))
        return sorted(
            (change for one in wider for change in self.changes.get(one, ())), key=lambda change: change[:2]
        )  # fmt: skip

    def _shown(self, key: Key, epoch: int, since: int, until: int | None) -> Rule | None:
        """From the nearest snapshot that holds, between the changes of the rule before and behind the epoch."""
        held = [
            one
            for one in self.snapshots
            if one.known and since <= one.epoch and (until is None or one.epoch < until)
            and self._told(*sorted((one.epoch, epoch))) and key in one.ruleset.rules
        ]  # fmt: skip
        nearest = min(held, key=lambda one: (abs(one.epoch - epoch), one.epoch > epoch), default=None)
        return nearest.ruleset.rules[key] if nearest else None

    def _told(self, first: int, last: int) -> bool:
        """Whether the messages of all commits between two epochs are there."""
        return bisect_right(self.lost, first) == bisect_right(self.lost, last)

    def _agreed(self, key: Key, moment: Moment, *, known: bool) -> Rule:
        """Where messages do not tell: what the snapshots before and after both say. `known`: messages are about it."""
        at = moment.snapshots
        around = [one.ruleset.rules.get(key) for one in self.snapshots[max(at - 1, 0) : at + 1]]
        if len(around) == 2 and None not in around and around[0].text == around[1].text:  # type: ignore[union-attr]
            return around[0]  # type: ignore[return-value]
        return _nameless(key, changed=known or any(key in one.ruleset.rules for one in self.snapshots))

    def legacy_rule(self, key: Key, moment: Moment) -> Rule:
        """The rule of iptables-legacy at a number. No message tells of its changes: the snapshots before and after
        have to agree."""
        at = moment.snapshots
        around = [one.ruleset.legacy.get(key) for one in self.snapshots[max(at - 1, 0) : at + 1]]
        texts = {rule.text if rule else None for rule in around}
        if len(texts) == 1 and around[0] is not None:
            return around[0]
        changed = any(key in one.ruleset.legacy for one in self.snapshots)
        return _nameless((*key[:3], 0), changed=changed, number=key[3])


def _nameless(key: Key, *, changed: bool = False, number: int = 0, text: str = "") -> Rule:
    """A rule of which no snapshot tells."""
    family, table, chain, handle = key
    return Rule(family=family, table=table, chain=chain, handle=handle, number=number, text=text, changed=changed)


def build_histories(messages: list[RulesetMessage], rulesets: dict[int, list[Ruleset]]) -> dict[int, RuleHistory]:
    """The history of each namespace that has snapshots or messages.

    `messages` of all files; `rulesets`: namespace index to its snapshots, earliest first.
    """
    of_namespace: dict[int, list[RulesetMessage]] = {namespace: [] for namespace in rulesets}
    for message in sorted(messages, key=attrgetter("time_ns")):
        of_namespace.setdefault(message.namespace, []).append(message)
    return {namespace: _history(said, rulesets.get(namespace, [])) for namespace, said in of_namespace.items()}


class _Commit(NamedTuple):
    begin_ns: int
    """When its first message came."""
    messages: list[RulesetMessage]
    generation: int | None
    lost: bool = False
    """What happened between the epochs on both sides is not all told."""


def _commits(said: list[RulesetMessage]) -> list[_Commit]:
    """The messages by commits; one that several files tell of is one."""
    commits: list[_Commit] = []
    begun: list[RulesetMessage] = []
    for message in said:
        begun.append(message)
        if message.kind != NEW_GENERATION:
            continue
        generation = message.generation
        if not (commits and generation is not None and commits[-1].generation == generation):
            commits.append(_Commit(begun[0].time_ns, begun, generation))
        begun = []
    return [*commits, _Commit(begun[0].time_ns, begun, None)] if begun else commits


def _with_untold(commits: list[_Commit], rulesets: list[Ruleset]) -> list[_Commit]:
    """Generations are counted one by one: where messages of some are missing, those commits were at any time between
    the last sign of the generation before and the first of the one behind. That time becomes an epoch of its own."""
    if any(commit.generation is None for commit in commits):
        return commits
    made = {commit.generation: commit for commit in commits}
    signs = [(commit.generation, commit.begin_ns) for commit in commits]
    signs += [(ruleset.generation, ruleset.time_ns) for ruleset in rulesets if ruleset.consistent]
    found: dict[int, list[int]] = defaultdict(list)
    for generation, time_ns in signs:
        if generation is not None:
            found[generation].append(time_ns)
    more: list[_Commit] = []
    for earlier, later in pairwise(sorted(found)):
        if later == earlier + 1 and later in made:
            continue
        end = min(found[later])
        more.append(_Commit(min(max(found[earlier]) + 1, end), [], None, lost=True))
        made[later] = made.get(later, _Commit(end, [], later))._replace(lost=True)
    return sorted([*more, *made.values()], key=attrgetter("begin_ns"))


def _history(said: list[RulesetMessage], rulesets: list[Ruleset]) -> RuleHistory:
    commits = _with_untold(_commits(said), rulesets)
    begin = np.array([commit.begin_ns for commit in commits], np.int64)
    size = np.array([len(commit.messages) for commit in commits], np.int64)
    history = RuleHistory(
        commits_ns=begin, early_ns=begin - _RACE_NS - size * _PER_MESSAGE_NS,
        taken_ns=np.array([ruleset.time_ns for ruleset in rulesets], np.int64),
        snapshots=_held(commits, begin, rulesets),
    )  # fmt: skip
    native = {at[:2]: not rule.text.startswith("-A ") for one in rulesets for at, rule in one.rules.items()}
    for epoch, commit in enumerate(commits, 1):
        if commit.lost:
            history.lost.append(epoch)
        for message in commit.messages:
            if message.kind != NEW_GENERATION and (key := message.of)[:2] != OWN_TABLE:
                of_rule = message.kind in (RULE_ADDED, RULE_REMOVED)
                text = words_of(*key[:3], message.data, native=native.get(key[:2])) if of_rule else ""
                at = Where(message.file, message.frame, message.time_ns)
                history.changes[key].append(_Change(epoch, message.kind == RULE_ADDED, text, at))
    return history


def _held(commits: list[_Commit], begin: npt.NDArray[np.int64], rulesets: list[Ruleset]) -> list[_Held]:
    """Which epoch each snapshot is of: by its generation, else by its time."""
    epochs = {commit.generation: epoch for epoch, commit in enumerate(commits, 1) if commit.generation is not None}
    if epochs and commits[0].generation is not None:
        epochs.setdefault(commits[0].generation - 1, 0)
    held = []
    for ruleset in rulesets:
        by_time = int(np.searchsorted(begin, ruleset.time_ns, side="right"))
        epoch = by_time if ruleset.generation is None else epochs.get(ruleset.generation, by_time)
        held.append(_Held(epoch, ruleset.consistent, ruleset))
    return held
