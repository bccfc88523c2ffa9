"""Why a rule did not match: one value for each rule that was asked for, with the answers for all packets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..netfilter.rules import Rule
from ..nodes.topology import Topology
from ..result.correlation import Correlation
from .answers import answers_in_chain
from .asked import Asked, read_asked
from .elsewhere import answers_elsewhere, untraced
from .groups import Group, Kind, merged
from .looks import Scene
from .targets import Target, find_targets, moments_of
from .visits import evaluations_of_table, find_visits
from .words import counted, rule_place

_UNRELATED: Final = 6.0
"""Groups as far as this are told where nothing is nearer, or few paths are asked for."""
_FEW: Final = 3
_CONFIDENCE: Final = {Kind.UNKNOWN: 0.5, Kind.UNTRACED: 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLine:
    """What an answer rests on."""

    what: str
    """`trace` or `rule`."""
    text: str
    file: str | None
    frame: int | None
    """Wireshark's frame number in the file."""
    line: int | None = None
    """Of the snapshot that the frame holds, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of some packets at the rule."""

    kind: Kind
    text: str
    """A sentence, with the number of packets: `31 packets: wants --dport 8080; the destination port was 80`."""
    packets: int
    paths: tuple[int, ...]
    """Ids, of the first thousand."""
    connections: tuple[int, ...]
    evidence: tuple[EvidenceLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """A rule that was asked for, and why it did not match."""

    asked: str
    """As it was written."""
    node: str
    netns: str
    rule: Rule
    """As the last snapshot has it, or as it was for the packets."""
    text: str
    """One sentence that stands alone: node, rule, and the answer that is nearest to what it wants."""
    answers: tuple[Answer, ...]
    """The nearest first."""
    more: int
    """Answers that are left out: of packets that have nothing to do with the rule."""
    packets: int
    """Of the first answer, which `text` tells."""
    paths: tuple[int, ...]
    connections: tuple[int, ...]
    connection_count: int
    """`connections` has the first of them."""
    evidence: tuple[EvidenceLine, ...]
    """Of all answers."""
    confidence: float
    time_ns: int
    """Of the first packet of the first answer, on the reference clock."""


class AllWhyNots:
    """Finds them part by part."""

    def __init__(self, rules: Sequence[str]) -> None:
        """`rules`: as people write them (asked.py). Raises UsageError for one that cannot be read."""
        self._asked = [read_asked(rule) for rule in rules]
        self._targets: dict[tuple[int, Target], list[Group]] | None = None
        self._topology: Topology | None = None
        self._files: list[str] = []
        self._every = True

    def add(self, part: Correlation, wanted: npt.NDArray[np.bool_]) -> None:
        """The packets of one part. `wanted`: per path, that it is asked for. Raises TtraceError for a rule that is
        nowhere."""
        if self._targets is None:
            self._topology, self._files = part.topology, [file.path for file in part.files]
            self._targets = {
                (number, target): []
                for number, one in enumerate(self._asked)
                for target in find_targets(one, part.topology, part.histories)
            }
        self._every &= int(wanted.sum()) <= _FEW
        for (_, target), groups in self._targets.items():
            groups[:] = merged([*groups, *_in_part(part, target, wanted)])

    def told(self) -> list[WhyNot]:
        """One for each rule that fits what was asked for, in that order, and of which packets tell."""
        if self._topology is None or self._targets is None:
            return []
        told, asked = [], []
        for (number, target), groups in self._targets.items():
            asked.append(self._asked[number])
            named_by = _Named(target, self._topology, self._files)
            told.append(_told(self._asked[number], named_by, groups, every=self._every))
        return _with_packets(told, asked)


def why_not(
    result: Correlation | Iterable[Correlation], rules: Sequence[str], paths: Sequence[int] = ()
) -> list[WhyNot]:
    """For each of `rules`, as people write them (asked.py), why the packets of these paths, or of all, did not
    match it.

    `result` may come in parts. Raises UsageError for a rule that cannot be read, TtraceError for one that is nowhere.
    """
    found = AllWhyNots(rules)
    for part in [result] if isinstance(result, Correlation) else result:
        found.add(part, np.isin(part.ids.paths, list(paths)) if paths else np.ones(part.packets.count, np.bool_))
    return found.told()


def _in_part(part: Correlation, target: Target, wanted: npt.NDArray[np.bool_]) -> list[Group]:
    """The answers for the packets of one part."""
    scene = Scene(part, target.namespace)
    rows = evaluations_of_table(scene, target.family, target.table, legacy=target.legacy)
    rows = rows[wanted[part.hops["packet"][scene.hop_of_evaluation[rows]]]]
    visits = find_visits(scene, target, rows)
    reached = np.zeros(part.packets.count, np.bool_)
    reached[visits.looks.packets] = True
    not_traced = untraced(scene, wanted)
    return [
        *answers_in_chain(visits),
        *answers_elsewhere(scene, target, reached, wanted),
        *([not_traced] if not_traced else []),
    ]


class _Named(NamedTuple):
    """A rule that was asked for, and what its answer names."""

    target: Target
    topology: Topology
    files: list[str]
    """The path of each."""

    def evidence(self, rule: Rule, text: str) -> EvidenceLine:
        """A rule in the same namespace, with the snapshot or message that has its words."""
        at, line = self.target.history.told_at(rule) or (None, None)
        file, frame = (self.files[at.file], at.frame) if at is not None else (None, None)
        return EvidenceLine(what="rule", text=text, file=file, frame=frame, line=line)


def _told(asked: Asked, named_by: _Named, groups: list[Group], *, every: bool) -> WhyNot:
    target = named_by.target
    space = named_by.topology.namespaces[target.namespace]
    rule = next((group.rule for group in groups if group.rule is not None), None) or _rule_now(target)
    where = space.node if space.label == "root" else f"{space.label} on {space.node}"
    near = [group for group in groups if every or group.closeness < _UNRELATED] or groups
    answers = tuple(_answer(group, rule, named_by) for group in near)
    named = f"{where}: {rule_place(rule)}"
    if near:
        text = f"{named} {_verb(near[0])} {counted(near[0].packets)}: {near[0].sentence}"
        if near[0].kind == Kind.MATCHED:
            text = f"{named} matched {counted(near[0].packets)}"
    else:
        text = f"{named}: no packet that was traced there, so nothing is known of it"
    evidence = list(dict.fromkeys(chain.from_iterable(answer.evidence for answer in answers)))
    return WhyNot(
        asked=asked.text, node=space.node, netns=space.label, rule=rule, text=text, answers=answers,
        more=len(groups) - len(near), packets=near[0].packets if near else 0,
        paths=answers[0].paths if answers else (), connections=answers[0].connections if answers else (),
        connection_count=near[0].connection_count if near else 0,
        evidence=(named_by.evidence(rule, rule.text), *evidence),
        confidence=_CONFIDENCE.get(near[0].kind, 1.0) if near else 0.5,
        time_ns=near[0].example.time_ns if near else 0,
    )  # fmt: skip


def _verb(group: Group) -> str:
    """How the sentence about a rule begins."""
    return "says nothing of" if group.kind == Kind.UNTRACED else "did not match"


def _rule_now(target: Target) -> Rule:
    """As the last snapshot that has it shows it."""
    times = np.array([np.iinfo(np.int64).max // 2], np.int64)
    for then in moments_of(target, times)[0]:
        if then.rule is not None:
            return then.rule
    for ruleset in reversed(target.rulesets()):
        for rule in (*ruleset.rules.values(), *ruleset.legacy.values()):
            same = (rule.family, rule.table, rule.chain) == target.key
            if same and target.number in (None, rule.number) and target.handle in (None, rule.handle):
                return rule
    raise AssertionError("a target is of a snapshot")


def _answer(group: Group, rule: Rule, named_by: _Named) -> Answer:
    example = group.example
    text = f"{counted(group.packets)}: {group.sentence}"
    if group.rule is not None and group.rule.text not in ("", rule.text):
        text += f"; the rule was then {group.rule.text}"
    evidence = [EvidenceLine(what="trace", text=text, file=example.file, frame=example.frame)]
    evidence += [EvidenceLine(what="rule", text=line, file=None, frame=None) for line in example.conditions]
    if group.cause is not None and group.cause.text:
        evidence.append(named_by.evidence(group.cause, f"{rule_place(group.cause)}: {group.cause.text}"))
    return Answer(
        kind=group.kind, text=text, packets=group.packets, paths=tuple(sorted(group.paths)),
        connections=tuple(sorted(group.connections)), evidence=tuple(evidence),
    )  # fmt: skip


def _with_packets(told: list[WhyNot], asked: list[Asked]) -> list[WhyNot]:
    """Where several rules fit what was asked for, those of which packets tell."""
    kept = []
    for one, of in zip(told, asked, strict=True):
        related = [other for other, also in zip(told, asked, strict=True) if also is of and _tells(other)]
        if _tells(one) or not related:
            kept.append(one)
    return kept


def _tells(one: WhyNot) -> bool:
    """Packets came to its chain, or might have."""
    return any(answer.kind not in (Kind.UNTRACED, Kind.ELSEWHERE) for answer in one.answers)
