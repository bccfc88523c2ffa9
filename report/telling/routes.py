"""Which routes are told first: what did not arrive, then what was translated, each in order of time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...correlate.result.correlation import Correlation
from ...correlate.result.values import Path
from ...correlate.summaries.routes import find_routes

_MOST: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTold:
    """One route."""

    paths: int
    """That took it."""
    example: Path
    """The first of them."""


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

    def told(self) -> RoutesTold:
        """Those of all parts that were added."""
        found = sorted(self._found.values(), key=lambda one: one.rank)
        first = [RouteTold(paths=one.paths, example=one.example) for one in found[:_MOST] if one.example is not None]
        return RoutesTold(count=len(found), paths=sum(one.paths for one in found), first=tuple(first))
