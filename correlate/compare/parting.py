"""Where the connections of one role part: the first place first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from .alignment import Parting, part
from .classes import PacketClass
from .delays import LegKey, Samples
from .runs import Side, WaySeen

_LEAST_SAMPLES: Final = 5
"""Delays of the good run from which its spread is known."""
_LEAST_NS: Final = 1_000_000
"""Less is what a busy machine does to a packet."""
_TIMES: Final = 2
"""So many times the median of the good run, at least."""
_SIGMA: Final = 4
_LEAST_FAILED: Final = 5
"""Packets that failed, of more than in the good run, from which that is no chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """The delays of one leg in both runs, in ns."""

    good_median_ns: int
    good_largest_ns: int
    """99th percentile, or the largest of less than 100."""
    good_count: int
    bad_median_ns: int
    bad_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A place where the connections of one role part."""

    kind: str
    """`rule`, `rewrite`, `way`, `outcome`, `answer` or `delay`."""
    what: str
    """Of which packets: `SYN, client to server`."""
    common: tuple[str, ...]
    """Places that both pass before."""
    place: str
    good: str
    bad: str
    good_packets: int
    """That took the way it is compared with; of a delay, the delays that were measured."""
    bad_packets: int
    bad_of: int
    """All packets of this kind in the bad run."""
    good_path: int | None
    """Id of an example."""
    bad_path: int | None
    delay: Delay | None = None


class _Placed(NamedTuple):
    """A difference with its place among the others."""

    is_harmless: bool
    """They go on together behind it."""
    kind: int
    """PacketClass."""
    is_reply: bool
    at: int
    """How far on the way."""
    difference: Difference


def differences(good: Side, bad: Side) -> list[Difference]:
    """All of them, in the order in which packets come, and then of the way; behind what they part for good by, what
    they only differ in."""
    found: list[_Placed] = []
    for kind in sorted({*good.ways, *bad.ways}):
        if kind in good.ways and kind in bad.ways:
            found += _ways(good, bad, kind)
        else:
            new = _missing(good, bad, kind) if kind in good.ways else _new(bad, kind)
            found += [_Placed(False, int(kind[0]), not kind[1], 0, one) for one in new]
    found.sort(key=lambda one: one[:4])
    return [one.difference for one in found] + list(_delays(good, bad))


def _ways(good: Side, bad: Side, kind: tuple[PacketClass, bool]) -> Iterator[_Placed]:
    """The differences of the packets of one kind."""
    good_ways = sorted(good.ways[kind].values(), key=lambda one: (-one.packets, one.path))
    merged: dict[tuple[bool, str, str, str], tuple[int, list[Difference]]] = {}
    for seen in sorted(bad.ways[kind].values(), key=lambda one: one.path):
        partings, nearest = _nearest(good_ways, seen)
        harmless = not any(parting.is_hard for parting in partings)
        for parting in partings:
            one = _difference(parting, kind, nearest, seen, bad.packets_of[kind])
            key = harmless, one.kind, one.place, one.bad
            merged.setdefault(key, (len(parting.common), []))[1].append(one)
    for (harmless, *_), (at, several) in merged.items():
        packets = sum(one.bad_packets for one in several)
        # Of packets that are sent again, conntrack knows more, and they meet other rules.
        if not harmless or 2 * packets >= bad.packets_of[kind]:
            yield _Placed(harmless, int(kind[0]), not kind[1], at, replace(several[0], bad_packets=packets))
    for at, one in _more_often(good, bad, kind):
        yield _Placed(False, int(kind[0]), not kind[1], at, one)


def _nearest(good_ways: list[WaySeen], seen: WaySeen) -> tuple[list[Parting], WaySeen]:
    """The way of the good run that this one goes along with most: where they part, and that way."""
    best: tuple[tuple[int, int], list[Parting], WaySeen] | None = None
    for way in good_ways:
        partings = part(way.way, seen.way)
        if not partings:
            return [], way
        far = max(len(parting.common) for parting in partings)
        # A failure of the good run tells less than what it does as a rule.
        rank = (sum(parting.is_hard for parting in partings) * 1000 + len(partings) - far * 10, way.way.failed)
        if best is None or rank < best[0]:
            best = rank, partings, way
    if best is None:
        raise ValueError("a kind of packets has a way")
    return best[1], best[2]


def _difference(
    parting: Parting, kind: tuple[PacketClass, bool], good: WaySeen, bad: WaySeen, total: int
) -> Difference:
    return Difference(
        kind=parting.kind, what=_what(kind, bad), common=parting.common, place=parting.place, good=parting.good,
        bad=parting.bad, good_packets=good.packets, bad_packets=bad.packets, bad_of=total, good_path=good.path,
        bad_path=bad.path,
    )  # fmt: skip


def _more_often(good: Side, bad: Side, kind: tuple[PacketClass, bool]) -> Iterator[tuple[int, Difference]]:
    """Failures that the good run has too, and the bad one more often than chance makes them."""
    of_good, of_bad = good.packets_of[kind], bad.packets_of[kind]
    both = [(good.ways[kind][key], other) for key, other in bad.ways[kind].items() if key in good.ways[kind]]
    for one, other in sorted(both, key=lambda pair: pair[1].path):
        if not other.way.failed or other.packets < _LEAST_FAILED:
            continue
        share, before = other.packets / of_bad, one.packets / of_good
        pooled = (one.packets + other.packets) / (of_good + of_bad)
        if share - before > _SIGMA * sqrt(pooled * (1 - pooled) * (1 / of_good + 1 / of_bad)):
            text = other.way.end_text
            yield (
                len(other.way.steps),
                Difference(
                    kind="outcome", what=_what(kind, other), common=tuple(step.place for step in other.way.steps),
                    place="there", good=f"{text} ({one.packets:,} of {of_good:,})",
                    bad=f"do so more often ({other.packets:,} of {of_bad:,})", good_packets=one.packets,
                    bad_packets=other.packets, bad_of=of_bad, good_path=one.path, bad_path=other.path,
                ),
            )  # fmt: skip


def _missing(good: Side, bad: Side, kind: tuple[PacketClass, bool]) -> Iterator[Difference]:
    """Answers that never come in the bad run, though somebody asks."""
    asks = bad.packets_of[PacketClass.FIRST, True]
    if kind[0] != PacketClass.FIRST_ANSWER or not asks:
        return
    first = _first(good, kind)
    yield Difference(
        kind="answer", what=_what(kind, first), common=(), place=_begin(first), good="are answered",
        bad="are never answered", good_packets=good.packets_of[kind], bad_packets=asks, bad_of=asks,
        good_path=first.path, bad_path=None,
    )  # fmt: skip


def _new(bad: Side, kind: tuple[PacketClass, bool]) -> Iterator[Difference]:
    """Refusals and errors that only the bad run has."""
    if kind[0] not in (PacketClass.REFUSAL, PacketClass.ERROR):
        return
    first = _first(bad, kind)
    yield Difference(
        kind="answer", what=_what(kind, first), common=(), place=_begin(first), good="have none of that",
        bad=f"meet {first.info}", good_packets=0, bad_packets=bad.packets_of[kind], bad_of=bad.packets_of[kind],
        good_path=None, bad_path=first.path,
    )  # fmt: skip


def _first(side: Side, kind: tuple[PacketClass, bool]) -> WaySeen:
    return min(side.ways[kind].values(), key=lambda one: one.path)


def _begin(seen: WaySeen) -> str:
    return f"first seen at {seen.way.steps[0].place}" if seen.way.steps else "nowhere"


def _what(kind: tuple[PacketClass, bool], seen: WaySeen) -> str:
    way = "client to server" if kind[1] else "server to client"
    if kind[0] in (PacketClass.OTHER, PacketClass.OTHER_ANSWER):
        return f"later packets, {way}"
    return f"{seen.info.split(' seq ')[0]}, {way}"


def _delays(good: Side, bad: Side) -> Iterator[Difference]:
    """Legs on which the bad run is slower than the good one ever was, in the order of the way."""
    for leg, samples in sorted(bad.delays.items(), key=lambda one: (not one[0].forward, one[1].order)):
        known = good.delays.get(leg)
        if known is None or known.count < _LEAST_SAMPLES or known.error_ns is None or samples.error_ns is None:
            continue
        middle, now = (int(one.values[one.values.size // 2]) for one in (known, samples))  # sorted
        largest = int(np.percentile(known.values, 99, method="higher")) if known.count >= 100 else int(known.values[-1])
        more = now - max(largest, _TIMES * middle)
        if more > 0 and now - middle >= _LEAST_NS and more > known.error_ns + samples.error_ns:
            yield _delay(leg, known, samples, Delay(
                good_median_ns=middle, good_largest_ns=largest, good_count=known.count, bad_median_ns=now,
                bad_count=samples.count,
            ))  # fmt: skip


def _delay(leg: LegKey, known: Samples, samples: Samples, delay: Delay) -> Difference:
    way = "client to server" if leg.forward else "server to client"
    what, place = way, f"from {leg.start} to {leg.end}"
    if leg.is_answer:
        what, place = "answers of the server", f"between {leg.start} and {leg.end}"
    return Difference(
        kind="delay", what=what, common=(), place=place, good=f"took {_ms(delay.good_median_ns)} ms (median of "
        f"{known.count:,}, at most {_ms(delay.good_largest_ns)} ms)", bad=f"took {_ms(delay.bad_median_ns)} ms (median "
        f"of {samples.count:,})", good_packets=known.count, bad_packets=samples.count, bad_of=samples.count,
        good_path=None, bad_path=None, delay=delay,
    )  # fmt: skip


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:,.2f}"
