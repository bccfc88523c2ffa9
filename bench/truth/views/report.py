"""The results of the views as text and Markdown."""

import json

from ..table import percent
from .judge import Score
from .kinds import KINDS

COLUMNS = (
    "view", "views", "pairs", "precision", "wrong", "recall", "missed", "alike", "order", "rewrites", "lost",
    "false lost", "delivered", "accepted", "translation", "unanswered", "0.99 wrong",
)  # fmt: skip
WIDTHS = (12, 6, 10, 10, 7, 8, 8, 18, 6, 18, 12, 18, 9, 8, 11, 10, 16)


def line(cells):
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def row(name, score):
    """The cells of one kind of view, or of all."""
    told = score.claims
    return (
        name, f"{score.views:,}", f"{score.true_pairs:,}", percent(score.precision), f"{score.wrong:,}",
        percent(score.recall), f"{score.true_pairs - score.found:,}",
        f"{score.alike:,} ({score.alike_wrong:,} wrong)", f"{score.misordered:,}",
        f"{score.rewrites_found:,}/{score.rewrites_true:,}", f"{score.lost_found:,}/{score.lost_true:,}",
        f"{told.false_lost:,} ({told.false_lost_unsigned:,} unsigned)", f"{told.false_delivered:,}",
        f"{told.false_accepted:,}", f"{told.false_translations:,}", f"{told.unanswered_delivered:,}",
        f"{told.sure_wrong:,} of {told.sure:,}",
    )  # fmt: skip


class Totals:
    """Sums over the captures, by kind of view."""

    def __init__(self):
        self.by_kind = {kind.name: Score() for kind in KINDS}
        self.failures, self.captures, self.left_out = [], 0, 0

    def add(self, outcome):
        """Count what came of a capture."""
        self.captures += 1
        self.left_out += outcome.left_out
        if outcome.failure:
            self.failures.append((str(outcome.path), outcome.failure))
        for name, _, score in outcome.scores:
            self.by_kind[name].add(score)

    @property
    def overall(self):
        """One Score of all."""
        score = Score()
        for one in self.by_kind.values():
            score.add(one)
        return score

    def lines(self):
        """The table, and what could not be measured."""
        yield line(COLUMNS)
        for name, score in self.by_kind.items():
            if score.views:
                yield line(row(name, score))
        yield line(row("all", self.overall))
        yield ""
        yield from self.sums()

    def sums(self):
        """In words."""
        score = self.overall
        told = score.claims
        yield (
            f"{self.captures:,} captures, {score.views:,} views, {score.frames:,} frames ({score.uncounted:,} not "
            f"counted), {score.packets:,} packets, {score.alike:,} of them nothing can tell apart"
        )
        per = f"{told.false / told.made * 1e5:.1f} in 100,000" if told.made else "none"
        yield (
            f"false claims: {told.false:,} of {told.made:,} ({per}): {told.false_lost:,} lost, "
            f"{told.false_delivered:,} delivered, {told.false_accepted:,} accepted, "
            f"{told.false_translations:,} translations; {told.alike:,} more of what nothing can tell apart"
        )
        yield f"confidence 0.99 or more: {told.sure_wrong:,} of {told.sure:,} claims wrong"
        if self.failures:
            yield f"{len(self.failures):,} captures could not be measured:"
            yield from (f"  {path}: {what}" for path, what in sorted(self.failures))


def view_lines(outcome, explain):
    """One line for each view of a capture, and `explain` mistakes of each kind."""
    for name, seed, score in outcome.scores:
        yield f"{line(row(name, score))}  {seed}"
        for kind, samples in score.samples.items():
            yield from (f"    {kind}: {sample}" for sample in samples[:explain])


def as_json(outcome):
    """One line for a program to read."""
    views = [
        {
            "view": name,
            "seed": seed,
            "counts": {key: value for key, value in vars(score).items() if isinstance(value, int)},
            "claims": vars(score.claims),
            "samples": dict(score.samples),
        }
        for name, seed, score in outcome.scores
    ]
    failure, path = outcome.failure, str(outcome.path)
    return json.dumps({"file": path, "failure": failure, "seconds": round(outcome.seconds, 1), "views": views})
