"""Whether expectations hold, part by part: of each connection that one is about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ..findings.kinds import Kind, Severity
from ..findings.values import Finding
from ..nodes.topology import Topology
from ..outcomes.kinds import Outcome
from ..result.correlation import Correlation
from ..result.values import Connection
from ..schema import NOTE_ERROR
from ..sightings import FRAME
from .grammar import Expectation
from .matching import Mask, about, addresses_of, near

_MOST_EXAMPLES: Final = 3
_AT_ONCE: Final = 10_000
"""Connections that are values at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An expectation, and whether it holds."""

    expectation: Expectation
    holds: bool
    connections: int
    """That it is about."""
    text: str
    """What there is."""


@dataclass(slots=True)
class _Tally:
    """What was seen of one expectation."""

    connections: int = 0
    having: int = 0
    examples: list[str] = field(default_factory=list)
    """Connections that speak against it."""
    near: list[str] = field(default_factory=list)
    packets: int = 0
    lost: int = 0
    slowest_ns: int | None = None


class AllExpectations:
    """Judges them. `findings`: of all parts, with all of their connections (AllFindings)."""

    def __init__(self, expectations: Sequence[Expectation], findings: Sequence[Finding]) -> None:
        self._expectations, self._findings = expectations, findings
        self._tallies = [_Tally() for _ in expectations]
        self._topology: Topology | None = None

    def add(self, result: Correlation) -> None:
        """Look at one part."""
        self._topology = result.topology
        for expectation, tally in zip(self._expectations, self._tallies, strict=True):
            fits = about(result, expectation)
            tally.connections += int(fits.sum())
            if not fits.any() and len(tally.near) < _MOST_EXAMPLES:
                some = np.flatnonzero(near(result, expectation))[:_MOST_EXAMPLES].tolist()
                tally.near += [_said(one) for one in result.connections_at(some)]
            _measure(result, fits, tally)
            if expectation.word is not None:
                self._count(result, expectation, fits, tally)

    def _count(self, result: Correlation, expectation: Expectation, fits: Mask, tally: _Tally) -> None:
        word = expectation.word
        found = np.zeros(fits.size, np.bool_)
        for finding in self._findings:
            if word in (finding.kind, finding.severity):
                found |= np.isin(result.ids.connections, finding.connections)
        indexes = np.flatnonzero(fits)
        only_found = word in {*Kind, *Severity} and word not in ("refused", "unanswered")
        if only_found:
            against = indexes[found[indexes] == expectation.negative]
            tally.having += int(found[indexes].sum())
            some = against[: max(_MOST_EXAMPLES - len(tally.examples), 0)].tolist()
            tally.examples += [_said(one) for one in result.connections_at(some)]
            return
        for begin in range(0, indexes.size, _AT_ONCE):
            chosen = indexes[begin : begin + _AT_ONCE].tolist()
            for index, one in zip(chosen, result.connections_at(chosen), strict=True):
                has = word in (one.outcome, one.state) or bool(found[index])
                tally.having += has
                if has == expectation.negative and len(tally.examples) < _MOST_EXAMPLES:
                    tally.examples.append(_said(one))

    def told(self) -> list[Judged]:
        """What became of each, in their order."""
        return [self._judged(*both) for both in zip(self._expectations, self._tallies, strict=True)]

    def _judged(self, expectation: Expectation, tally: _Tally) -> Judged:
        unknown = [name for name in (expectation.source.name, expectation.destination.name) if name is not None]
        unknown = [name for name in unknown if self._topology and not addresses_of(self._topology, name)]
        if unknown:
            holds, text = False, f"no container or node of these captures is known as `{unknown[0]}`"
        elif expectation.is_about_all and expectation.negative and expectation.word in {*Kind, *Severity}:
            holds, text = self._by_findings(str(expectation.word))
        elif not tally.connections:
            like = f"; near it: {'; '.join(tally.near[:_MOST_EXAMPLES])}" if tally.near else ""
            holds, text = expectation.negative, f"no such connection{like}"
        else:
            holds, text = _of_connections(expectation, tally)
        return Judged(expectation=expectation, holds=holds, connections=tally.connections, text=text)

    def _by_findings(self, word: str) -> tuple[bool, str]:
        found = [one for one in self._findings if word in (one.kind, one.severity)]
        more = f"; and {len(found) - 1:,} more" if len(found) > 1 else ""
        return not found, f"{found[0].kind}: {found[0].text}{more}" if found else "no such finding"


def _said(one: Connection) -> str:
    return f"[{one.id}] {one.protocol} {one.client} -> {one.server} is {one.outcome}, {one.state}"


def _of_connections(expectation: Expectation, tally: _Tally) -> tuple[bool, str]:
    if expectation.loss_percent is not None:
        share = 100 * tally.lost / tally.packets if tally.packets else 0.0
        kept, text = share < expectation.loss_percent, f"{tally.lost:,} of {tally.packets:,} packets, {share:.3g} %"
    elif expectation.most_ns is not None:
        if tally.slowest_ns is None:
            return False, "no packet was seen at two places, by which time can be told"
        kept, text = (
            tally.slowest_ns <= expectation.most_ns,
            f"the slowest packet took {tally.slowest_ns / 1000:,.0f} us",
        )
    else:
        wanted = 0 if expectation.negative else tally.connections
        text = f"{tally.having:,} of {tally.connections:,} connections are"
        return tally.having == wanted, text + (f": {'; '.join(tally.examples)}" if tally.examples else "")
    return kept != expectation.negative, text


def _measure(result: Correlation, fits: Mask, tally: _Tally) -> None:
    """How many packets of these connections were lost, and how long the slowest took from its first frame to its
    last."""
    own = (result.sightings["notes"][result.head] & NOTE_ERROR) == 0
    mine = fits[result.connection_of_path] & own
    tally.packets += int(mine.sum())
    tally.lost += int(np.isin(result.outcomes.outcome[mine], (Outcome.DROPPED, Outcome.LOST)).sum())
    sighting = result.hops["sighting"]
    framed = result.sightings["kind"][sighting] == FRAME
    framed &= mine[result.hops["packet"]]
    path, times = result.hops["packet"][framed], result.times_ns[sighting[framed]]
    if not times.size:
        return
    first = np.full(mine.size, np.iinfo(np.int64).max)
    last = np.full(mine.size, np.iinfo(np.int64).min)
    np.minimum.at(first, path, times)
    np.maximum.at(last, path, times)
    several = np.bincount(path, minlength=mine.size) > 1
    if several.any():
        tally.slowest_ns = max(tally.slowest_ns or 0, int((last - first)[several].max()))
