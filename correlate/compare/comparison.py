"""A good run and a bad one: what only the bad one shows, and where the connections of each role part."""

from dataclasses import dataclass

from ..findings.kinds import Severity
from ..findings.values import Finding
from .common_names import common_names, known_names
from .grouping import RoleKey
from .pairing import PairCompared, pair
from .parting import Difference, differences
from .points import common_places, not_captured_there
from .runs import Run, RunOfParts, Side
from .settings import RecordedOtherwise, Settings, recorded_otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTold:
    """Connections that both runs have, where they part."""

    pair: PairCompared
    findings: tuple[Finding, ...]
    """About them, that only the bad run has: the cause."""
    differences: tuple[Difference, ...]
    """The first place first; empty where nothing but a finding tells them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What became of a good run in the bad one."""

    good: Run
    bad: Run
    notes: tuple[str, ...]
    """What was taken for the same though it is called otherwise."""
    pairs: tuple[PairTold, ...]
    """Those that differ: with a fault that only the bad run has first, then by their first packets."""
    equal: tuple[PairCompared, ...]
    only_good: tuple[tuple[RoleKey, Side], ...]
    only_bad: tuple[tuple[RoleKey, Side], ...]
    findings: tuple[Finding, ...]
    """About connections that only the bad run has; and about what has no role, where none of the good run says the
    same."""
    recorded: tuple[RecordedOtherwise, ...]
    """What was recorded of the same namespaces otherwise."""


def compare_runs(good: RunOfParts, bad: RunOfParts) -> Comparison:
    """Two results of any size."""
    names = common_names(good.topology, bad.topology)
    known = known_names(good.topology, names[0]) & known_names(bad.topology, names[1])
    runs, settings = [], []
    for (mine, my_names), (its, its_names) in (
        ((good, names[0]), (bad, names[1])), ((bad, names[1]), (good, names[0])),
    ):  # fmt: skip
        places = common_places(mine.topology, my_names, its.topology, its_names)
        others = common_places(its.topology, its_names, mine.topology, my_names)
        hidden = not_captured_there(places, its.topology, its_names, others)
        runs.append(Run(mine, my_names, known, places, hidden).add_all(mine.each()))
        settings.append(Settings(mine.topology, mine.surroundings, my_names, runs[-1].words))
    return _compared(runs[0], runs[1], known, names[1].notes, recorded_otherwise(settings[0], settings[1]))


def _compared(
    good: Run, bad: Run, names: set[str], notes: tuple[str, ...], recorded: list[RecordedOtherwise]
) -> Comparison:
    found = pair(good.sides, bad.sides, names)
    known: dict[tuple[object, ...], set[RoleKey]] = {}
    for finding, roles in good.findings:
        known.setdefault(good.identity(finding), set()).update(roles)
    about = _findings_by_role(bad)
    told, equal = [], []
    for one in found.pairs:
        findings = {finding.id: finding for key in one.bad_keys for finding in about.get(key, ())}
        new = [findings[number] for number in sorted(findings)]
        new = [finding for finding in new if not known.get(bad.identity(finding), set()) & set(one.good_keys)]
        apart = tuple(differences(one.good, one.bad))
        # A notice that one run makes alone is no difference by itself: many depend on how busy it was.
        if apart or any(finding.severity == Severity.FAULT for finding in new):
            told.append(PairTold(pair=one, findings=tuple(new), differences=apart))
        else:
            equal.append(one)
    told.sort(key=_urgency)
    paired = {key for one in found.pairs for key in one.bad_keys}
    beside = (
        finding
        for finding, roles in bad.findings
        if (not roles & paired if roles else bad.identity(finding) not in known)
    )
    return Comparison(
        good=good, bad=bad, notes=notes, pairs=tuple(told), equal=tuple(equal),
        only_good=tuple(found.only_good), only_bad=tuple(found.only_bad),
        findings=tuple(beside), recorded=tuple(recorded),
    )  # fmt: skip


def _findings_by_role(run: Run) -> dict[RoleKey, list[Finding]]:
    found: dict[RoleKey, list[Finding]] = {}
    for finding, roles in run.findings:
        for key in roles:
            found.setdefault(key, []).append(finding)
    return found


def _urgency(one: PairTold) -> tuple[bool, bool, int]:
    fault = any(finding.severity == Severity.FAULT for finding in one.findings)
    harmless = all(difference.kind in ("delay", "rule") for difference in one.differences)
    return not fault, harmless, one.pair.bad.first_connection
