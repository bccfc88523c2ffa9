"""The rules of which was asked why they did not match, before all else."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from .layout import first_of
from .units import plural

if TYPE_CHECKING:
    from ...correlate.why_not.why_not import WhyNot

_WIDTH: Final = 100
_MOST: Final = 6
_MOST_IDS: Final = 3


def why_not_text(asked: "Sequence[WhyNot]") -> Iterator[str]:
    """A section for each rule; nothing where none was asked for."""
    for one in asked:
        where = one.node if one.netns == "root" else f"{one.netns} on {one.node}"
        yield f"Why not {one.asked}\n"
        rule = f"{where}: {one.rule.family} {one.rule.table} {one.rule.chain}"
        number = f"rule {one.rule.number}" if one.rule.number else f"handle {one.rule.handle}"
        yield from _wrapped(f"{rule} {number}: {one.rule.text or 'its words are not known'}", "  ")
        for answer in one.answers[:_MOST]:
            shown = first_of([f"#{number}" for number in answer.paths], _MOST_IDS)
            yield from _wrapped(f"{answer.text} ({shown})", "  - ")
        if not one.answers:
            yield from _wrapped("no packet was traced there, so nothing is known of it", "  - ")
        more = len(one.answers) - _MOST if len(one.answers) > _MOST else 0
        if more + one.more:
            yield from _wrapped(
                f"and {plural(more + one.more, 'more answer')}, for packets that are further from it: `--path N`",
                "  - ",
            )
        yield "\n"


def _wrapped(text: str, first: str) -> Iterator[str]:
    indent = " " * (len(first) + 2)
    for line in textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False):
        yield f"{line}\n"
