"""What a good run and a bad one differ in, as text: the cause first, then the place where they part."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from ...correlate.compare.comparison import Comparison, PairTold
from ...correlate.compare.grouping import RoleKey
from ...correlate.compare.pairing import PairCompared
from ...correlate.compare.parting import Difference
from ...correlate.compare.runs import Run, Side
from ...correlate.compare.settings import RecordedOtherwise
from ...correlate.findings.values import Finding
from ...escaping import safe
from .findings import sentence, severity_word
from .layout import first_of
from .units import plural

_WIDTH: Final = 100
"""As of the findings: of a terminal at night."""
_MOST_FILES: Final = 4
_MOST_PAIRS: Final = 20
_MOST_LINES: Final = 12
_MOST_FINDINGS: Final = 3
_MOST_DIFFERENCES: Final = 3
_MOST_NAMES: Final = 2
_MOST_PLACES: Final = 3


def comparison_pieces(comparison: Comparison) -> Iterator[str]:
    """The comparison in pieces of whole lines."""
    pairs, equal = comparison.pairs, comparison.equal
    yield from _summary(comparison)
    for number, one in enumerate(pairs[:_MOST_PAIRS], 1):
        yield "\n"
        yield from _pair(number, one)
    if len(pairs) > _MOST_PAIRS:
        yield f"\n  … and {len(pairs) - _MOST_PAIRS:,} more: `--format json` has them\n"
    yield from _list("Recorded otherwise", [_recorded(one) for one in comparison.recorded])
    yield from _list("Findings about connections that only the bad run has", map(_finding, comparison.findings))
    for name, sides in (("good", comparison.only_good), ("bad", comparison.only_bad)):
        yield from _list(f"Only in the {name} run", [f"{_role(key, side)}   {_count(side)}" for key, side in sides])
    yield from _list("The same in both runs", [f"{_ends(one)}   {_counts(one)}" for one in equal])


def _summary(comparison: Comparison) -> Iterator[str]:
    pairs, equal = comparison.pairs, comparison.equal
    both = len(pairs) + len(equal)
    if pairs:
        verb = "differs" if len(pairs) == 1 else "differ"
        yield f"{len(pairs)} of {plural(both, 'role')} that both runs have {verb}\n"
    elif both:
        yield f"No difference is seen in the {plural(both, 'role')} that both runs have\n"
    else:
        yield "The runs have no role in common\n"
    for name, run in (("good", comparison.good), ("bad", comparison.bad)):
        yield from _wrapped(_run(run), f"  {name + ':':<6}", 8)
    for note in comparison.notes[:_MOST_LINES]:
        yield f"  {safe(note)}\n"


def _run(run: Run) -> str:
    lost = f"; LOST {run.lost:,}, so ways may end early" if run.lost else ""
    files = first_of([safe(file) for file in run.files], _MOST_FILES)
    return f"{plural(run.connections, 'connection')} with {plural(run.packets, 'path')} in {files}{lost}"


def _pair(number: int, told: PairTold) -> Iterator[str]:
    yield from _wrapped(f"{_ends(told.pair)}   {_counts(told.pair)}", f"{number:>3} ", 6)
    for finding in told.findings[:_MOST_FINDINGS]:
        yield from _wrapped(_finding(finding), "    cause  ", 11)
    if len(told.findings) > _MOST_FINDINGS:
        yield f"           … and {plural(len(told.findings) - _MOST_FINDINGS, 'more finding')} of the bad run\n"
    for at, one in enumerate(told.differences[:_MOST_DIFFERENCES]):
        yield from _wrapped(_difference(one), "    then   " if at else "    place  ", 11)
    if len(told.differences) > _MOST_DIFFERENCES:
        more = len(told.differences) - _MOST_DIFFERENCES
        yield f"           … and {plural(more, 'more difference')}: `--format json` has them\n"


def _finding(finding: Finding) -> str:
    finding = safe(finding)
    return f"{severity_word(finding)} {finding.kind}: {sentence(finding)}"


def _difference(one: Difference) -> str:
    one = safe(one)
    if one.kind in ("delay", "answer"):
        return f"{one.what}, {one.place}: the good ones {one.good}, the bad ones {one.bad}{_paths(one)}"
    common = f"both pass {_places(one.common)}; " if one.common else ""
    verb = {"rule": "meet ", "rewrite": "have ", "way": "are next at "}.get(one.kind, "")
    at = f"at {one.place}" if one.kind == "rule" else one.place
    return f"{one.what}: {common}{at} the good ones {verb}{one.good}, the bad ones {verb}{one.bad}{_paths(one)}"


def _places(places: Sequence[str]) -> str:
    """The last of them."""
    shown = ", ".join(places[-_MOST_PLACES:])
    return f"{plural(len(places) - _MOST_PLACES, 'place')}, then {shown}" if len(places) > _MOST_PLACES else shown


def _paths(one: Difference) -> str:
    if one.kind == "delay":
        return ""
    of = f"{one.bad_packets:,} of {plural(one.bad_of, 'packet')}"
    example = f"; path #{one.bad_path} of the bad run" if one.bad_path is not None else ""
    beside = f", #{one.good_path} of the good one" if one.good_path is not None else ""
    return f" ({of}{example}{beside})"


def _ends(pair: PairCompared) -> str:
    client, server = (
        _both(sorted(getattr(pair.good, end)), sorted(getattr(pair.bad, end))) for end in ("clients", "servers")
    )
    ports = _both([str(port) for port in sorted(pair.good.ports)], [str(port) for port in sorted(pair.bad.ports)])
    return safe(f"{pair.protocol} {client} -> {server}{f' port {ports}' if ports else ''}")


def _both(good: list[str], bad: list[str]) -> str:
    """The names of one end; those of the bad run too, where they are others."""
    if good == bad:
        return first_of(good, _MOST_NAMES)
    return f"{first_of(good, _MOST_NAMES)} (bad: {first_of(bad, _MOST_NAMES)})"


def _role(key: RoleKey, side: Side) -> str:
    port = f" port {key.port}" if key.port is not None else ""
    client, server = (first_of(sorted(names), _MOST_NAMES) for names in (side.clients, side.servers))
    return safe(f"{key.protocol} {client} -> {server}{port}")


def _counts(pair: PairCompared) -> str:
    return f"good: {_count(pair.good)}; bad: {_count(pair.bad)}"


def _count(side: Side) -> str:
    states = ", ".join(
        f"{count:,} {state}" if len(side.states) > 1 else state for state, count in side.states.most_common()
    )
    return f"{plural(side.connections, 'connection')}, {states}"


def _recorded(one: RecordedOtherwise) -> str:
    one = safe(one)
    if one.good is None or one.bad is None:
        run, text = ("bad", one.bad) if one.good is None else ("good", one.good)
        return f"{one.place}: {one.what} only in the {run} run: {text}"
    return f"{one.place}: {one.what} {one.good}, in the bad run {one.bad}"


def _list(title: str, lines: "Iterator[str] | Sequence[str] | map[str]") -> Iterator[str]:
    texts = list(lines)
    if not texts:
        return
    yield f"\n{title}\n"
    for text in texts[:_MOST_LINES]:
        yield from _wrapped(text, "  ", 6)
    if len(texts) > _MOST_LINES:
        yield f"  … and {len(texts) - _MOST_LINES:,} more: `--format json` has them\n"


def _wrapped(text: str, first: str, indent: int) -> Iterator[str]:
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip
    return (f"{line}\n" for line in lines)
