"""Which routes are told first: what proves findings, what did not arrive, what was translated; in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...correlate.findings.values import Finding
from ...correlate.outcomes.kinds import OUTCOMES, Outcome
from ...correlate.result.correlation import Correlation
from ...correlate.result.values import InterfaceHop, Path
from ...correlate.summaries.routes import find_routes

_MOST: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTold:
    """One route."""

    paths: int
    """That took it."""
    example: Path
    """The first of them."""
    finding: int | None
    """Number of the first finding that it is about."""
    like: int | None
    """Id of an example told before it, if both arrived, passed the same points and were translated alike: their chains
    differ, as those of the first packet of a connection and of a later one do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesTold:
    """The first of the routes, and how many there are."""

    count: int
    paths: int
    """That took them, all together."""
    first: tuple[RouteTold, ...]

    @property
    def more(self) -> int:
        """Routes that are left out."""
        return self.count - len(self.first)

    @property
    def more_paths(self) -> int:
        """That took those."""
        return self.paths - sum(route.paths for route in self.first)


@dataclass(slots=True, kw_only=True)
class _Found:
    """One route in the parts that were looked at."""

    rank: tuple[int, bool, int]
    """The least is told first; the last of it is the id of its first path."""
    paths: int
    example: Path | None
    """Its first path; None where it is none of the first routes of that part, and so none of all."""


class FirstRoutes:
    """Finds them part by part."""

    def __init__(self) -> None:
        self._found: dict[int, _Found] = {}
        """By the key of the route."""

    def add(self, result: Correlation, told: npt.NDArray[np.bool_]) -> None:
        """Those of one part. `told`: per path of the part."""
        for number, route in enumerate(find_routes(result, told)):
            one = _Found(
                rank=(route.urgency, route.untranslated, int(result.ids.paths[route.example])),
                paths=route.paths,
                example=result.path_at(route.example) if number < _MOST else None,
            )
            same = self._found.setdefault(route.key, one)
            if same is not one:
                same.paths += one.paths
                if one.rank < same.rank:
                    same.rank, same.example = one.rank, one.example

    def told(self, findings: Sequence[Finding]) -> RoutesTold:
        """Those of all parts that were added; `findings`: what is told before them."""
        proves = {path: finding.id for finding in reversed(findings) for path in finding.paths}
        found = sorted(self._found.values(), key=lambda one: one.rank)
        # Of these alone every part has the example.
        of = [(proves.get(one.rank[-1], len(findings) + 1), one) for one in found[:_MOST]]
        of.sort(key=lambda pair: (pair[0], pair[1].rank))
        first: list[RouteTold] = []
        healthy: dict[tuple[object, ...], int] = {}
        for finding, one in of:
            if one.example is not None:
                proof = finding if finding <= len(findings) else None
                like = None if proof else healthy.get(_way(one.example))
                first.append(RouteTold(paths=one.paths, example=one.example, finding=proof, like=like))
                if one.example.outcome == OUTCOMES[Outcome.DELIVERED]:
                    healthy.setdefault(_way(one.example), one.example.id)
        return RoutesTold(count=len(found), paths=sum(one.paths for one in found), first=tuple(first))


def _way(path: Path) -> tuple[object, ...]:
    """The points that a path passed, what it was translated by, and whether it arrived."""
    points = [(h.node, h.netns, h.interface, h.direction) for h in path.hops if isinstance(h, InterfaceHop)]
    rewrites = [(r.field, r.kind, r.undo, r.rule) for r in path.rewrites]
    return path.outcome, path.protocol, tuple(points), tuple(rewrites)
