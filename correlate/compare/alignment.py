"""Two ways side by side: where they part."""

from collections.abc import Sequence
from dataclasses import dataclass

from .ways import RuleSeen, Step, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """Where the way of a packet of the bad run parts from one of the good run."""

    kind: str
    """`rule`, `rewrite`, `way` or `outcome`."""
    common: tuple[str, ...]
    """The places that both pass before."""
    place: str
    good: str
    bad: str

    is_hard: bool = True
    """Behind it they are not the same any more: two rules that both accept are no such thing."""


def part(good: Way, bad: Way) -> list[Parting]:
    """Where they part: nothing; or a rule by which they differ while they go on together, and where they do no more.

    What only one of the runs recorded parts nobody: chains where the other was not traced, nat chains, which later
    packets do not pass, points before the first and behind the last one seen.
    """
    walk = _Walk(good, bad)
    walk.go()
    return walk.found


class _Walk:
    """Both ways, step by step."""

    def __init__(self, good: Way, bad: Way) -> None:
        self.good, self.bad = good, bad
        self.at_good, self.at_bad = 0, 0
        self.common: list[str] = []
        self.found: list[Parting] = []
        self.traced_good, self.traced_bad = _traced(good), _traced(bad)

    def go(self) -> None:
        if not self._begin():
            return
        good, bad = self.good.steps, self.bad.steps
        while self.at_good < len(good) and self.at_bad < len(bad):
            old, new = good[self.at_good], bad[self.at_bad]
            if old.key == new.key:
                if old.kind == "chain" and not self._same_rules(old, new):
                    return
                if old.kind in ("point", "chain"):
                    self.common.append(new.place)
                self.at_good, self.at_bad = self.at_good + 1, self.at_bad + 1
            elif self._is_skipped(old, self.traced_bad):
                self.at_good += 1
            elif self._is_skipped(new, self.traced_good):
                self.at_bad += 1
            else:
                self._part_at(old, new)
                return
        self._end()

    def _part_at(self, old: Step, new: Step) -> None:
        """Two steps that are not the same."""
        if "kernel" in (old.kind, new.kind):  # what it says of a packet is what became of it
            self._end()
        elif "rewrite" in (old.kind, new.kind):
            texts = [_step_words(step) if step.kind == "rewrite" else "no translation" for step in (old, new)]
            self._part("rewrite", self._here(), *texts)
        else:
            self._part("way", self._here(), _step_words(old), _step_words(new))

    def _begin(self) -> bool:
        """Find the first step that both have; what is before it was not seen of the other."""
        good, bad = self.good.steps, self.bad.steps
        if not good or not bad:
            return False
        first_of_good = next((at for at, step in enumerate(good) if step.key == bad[0].key), None)
        first_of_bad = next((at for at, step in enumerate(bad) if step.key == good[0].key), None)
        if first_of_good is None and first_of_bad is None:
            self._part("way", "where they are first seen", _step_words(good[0]), _step_words(bad[0]))
            return False
        if first_of_good is not None:
            self.at_good = first_of_good
        else:
            self.at_bad = first_of_bad or 0
        return True

    def _is_skipped(self, step: Step, traced: set[tuple[str, str]]) -> bool:
        """The other may have passed it, and nobody said so. `traced`: where chains of the other were."""
        if step.kind == "kernel":  # of a packet that went on, it tells of a copy
            return step not in (self.good.steps[-1], self.bad.steps[-1])
        return step.kind == "chain" and (step.is_nat or step.space not in traced)

    def _same_rules(self, old: Step, new: Step) -> bool:
        """Whether they go on together behind a chain that both passed; notes where its rules part."""
        number = 0
        for one, other in zip(old.rules, new.rules, strict=False):
            if not one.fits(other):
                break
            number += 1
        ends = number == len(old.rules) or number == len(new.rules)
        if ends and (len(old.rules) == len(new.rules) or not (old.is_whole and new.is_whole)):
            return True
        together = _verdict(old) == _verdict(new)
        if not together:  # what decided says most
            self._part("rule", new.place, _rule_words(old, -1), _rule_words(new, -1))
        elif not self.found:
            self._part("rule", new.place, _rule_words(old, number), _rule_words(new, number), is_hard=False)
        return together

    def _end(self) -> None:
        """One of them ends here, or both."""
        good = self._left(self.good.steps[self.at_good :], self.traced_bad)
        bad = self._left(self.bad.steps[self.at_bad :], self.traced_good)
        ends_good, ends_bad = self.good.end, self.bad.end
        if good and not bad and ends_bad is not None:
            self._part("outcome", self._here(), f"go on to {_step_words(good[0])}", self.bad.end_text)
        elif bad and not good and ends_good is not None:
            self._part("outcome", self._here(), self.good.end_text, f"go on to {_step_words(bad[0])}")
        elif not good and not bad and ends_good is not None and ends_bad is not None and ends_good != ends_bad:
            self._part("outcome", self._here(), self.good.end_text, self.bad.end_text)

    def _left(self, steps: Sequence[Step], traced: set[tuple[str, str]]) -> list[Step]:
        """Those that the other would show, had it passed them. Translations need a later point, or a trace."""
        left = [step for step in steps if step.kind != "kernel" and not self._is_skipped(step, traced)]
        if any(step.kind == "point" for step in left):
            return left
        return [step for step in left if step.kind != "rewrite" or step.space in traced]

    def _here(self) -> str:
        return f"behind {self.common[-1]}" if self.common else "at the beginning"

    def _part(self, kind: str, place: str, good: str, bad: str, *, is_hard: bool = True) -> None:
        self.found.append(
            Parting(kind=kind, common=tuple(self.common), place=place, good=good, bad=bad, is_hard=is_hard)
        )


def _traced(way: Way) -> set[tuple[str, str]]:
    return {step.space for step in way.steps if step.kind == "chain"}


def _verdict(step: Step) -> str:
    return step.rules[-1].verdict if step.rules else ""


def _rule_words(step: Step, number: int) -> str:
    rules: Sequence[RuleSeen] = step.rules
    return rules[number].text if number < len(rules) and rules else "no further rule"


def _step_words(step: Step) -> str:
    if step.kind == "rewrite":
        return f"{step.place}: {step.text}"
    return f"{step.place}: {step.text}" if step.kind == "kernel" else step.place
