"""Which connections are told first: those of which something was dropped or lost, then by their ids."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ...correlate.outcomes.kinds import Outcome
from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from ...correlate.result.values import Connection
from ...correlate.summaries.connections import ConnectionSummary, summarise_connections

_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTold:
    """One connection."""

    connection: Connection
    summary: ConnectionSummary
    """What it met on its way."""
    in_full: bool
    """Each of its paths is asked for, and so is what it met from point to point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionsTold:
    """The first of the connections, and how many there are."""

    count: int
    paths: int
    """Of all of them."""
    outcomes: tuple[int, ...]
    """How many of those came to each Outcome."""
    first: tuple[ConnectionTold, ...]
    """Without the ids of their paths, of which one connection may have millions."""

    @property
    def more(self) -> int:
        """Connections that are left out."""
        return self.count - len(self.first)


class FirstConnections:
    """Finds them part by part."""

    def __init__(self) -> None:
        self._count = self._paths = 0
        self._outcomes = np.zeros(len(Outcome), np.int64)
        self._first: list[tuple[bool, int, ConnectionTold]] = []
        """(nothing of it failed, id, it), least first."""

    def add(self, result: Correlation, selection: Selection, told: npt.NDArray[np.bool_]) -> None:
        """Those of one part. `told`: per path of the part."""
        wanted = np.unique(result.connection_of_path[told])
        wanted = wanted[selection.connections[wanted]]
        paths = np.bincount(result.connection_of_path, minlength=result.connections.count)
        self._count += wanted.size
        self._paths += int(paths[wanted].sum())
        of_wanted = np.isin(result.connection_of_path, wanted)
        self._outcomes += np.bincount(result.outcomes.outcome[of_wanted], minlength=len(Outcome))
        failed = _failed(result)
        first = wanted[np.lexsort((wanted, ~failed[wanted]))][:_MOST]
        found = tell_connections(result, selection, first)
        arrived = ~failed[first]
        self._first += [
            (bool(well), one.connection.id, replace(one, connection=replace(one.connection, paths=())))
            for well, one in zip(arrived, found, strict=True)
        ]
        self._first = sorted(self._first, key=lambda one: one[:2])[:_MOST]

    def told(self) -> ConnectionsTold:
        """Those of all parts that were added."""
        return ConnectionsTold(
            count=self._count, paths=self._paths, outcomes=tuple(self._outcomes.tolist()),
            first=tuple(one for _, _, one in self._first),
        )  # fmt: skip


def tell_connections(
    result: Correlation, selection: Selection, indexes: npt.NDArray[np.int64]
) -> Iterator[ConnectionTold]:
    """Connections by their indexes, from 0, in that order."""
    wanted = np.zeros(result.connections.count, np.bool_)
    wanted[indexes] = True
    summaries = summarise_connections(result, wanted)
    whole = np.full(result.connections.count, selection.in_full)
    whole[result.connection_of_path[~selection.paths]] = False
    for index, connection in zip(indexes.tolist(), result.connections_at(indexes.tolist()), strict=True):
        yield ConnectionTold(connection=connection, summary=summaries.of(index), in_full=bool(whole[index]))


def _failed(result: Correlation) -> npt.NDArray[np.bool_]:
    """Per connection: one of its paths was dropped or lost."""
    failed = np.zeros(result.connections.count, np.bool_)
    bad = np.isin(result.outcomes.outcome, (Outcome.DROPPED, Outcome.LOST))
    failed[result.connection_of_path[bad]] = True
    return failed
