"""Paths as JSON text, from columns: the same text as that of `path_object`, many paths at a time."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from ...correlate.outcomes.kinds import OUTCOMES
from ...correlate.result.correlation import Correlation
from ...correlate.result.show import location_name
from ...correlate.result.words import packet_info, protocol_name
from ..telling import Texts
from .contract import confidence_told, direction_name, path_object
from .hops import HopTexts
from .infos import info_columns
from .objects import Objects, begins_of
from .path_slice import PathSlice, ranges, slices
from .pieces import Column, Numbers, Pool, Rows, numbers, only_at, texts
from .reasons import ReasonTexts
from .rewrites import RewriteTexts
from .said_columns import SaidColumns
from .templates import BLANK, Templates, cut, laid_out

_LISTS: Final = ("rivals", "goes_on_as", "comes_from", "hops", "rewrites")
"""Fields of a path that are rows of their own; what is between two of them is one row."""
_HOP_BIT: Final = 2
"""Below it, in the key of a hop: which part of it."""


class PathTexts:
    """Writes paths of one result."""

    def __init__(self, result: Correlation, *, before: str, behind: str) -> None:
        """`before`, `behind`: what stands around each."""
        self._result, self._pool, self._around = result, Pool(), {"before": before, "behind": behind}
        said = SaidColumns(result)
        self._hops, self._rewrites = HopTexts(result, self._pool, said), RewriteTexts(result, self._pool)
        self._reasons = ReasonTexts(result, self._pool, said)
        self._words: dict[str, Templates] = {}

    def of(self, paths: Numbers) -> Iterator[Texts]:
        """The texts of some paths, by their indexes, ascending."""
        if paths.size == 0:
            return
        fields = list(path_object(self._result.path_at(int(paths[0]))))
        objects = Objects(self._pool, fields, _LISTS, **self._around)
        for some in slices(self._result, paths):
            rows = Rows(self._pool)
            objects.add(rows, some.paths.size, self._values(some), partial(self._add_list, objects, rows, some))
            written = rows.written()
            start = begins_of(written, some.paths.size)
            yield Texts(ids=self._result.ids.paths[some.paths], data=written.data.data, start=start)

    def _add_list(self, objects: Objects, rows: Rows, paths: PathSlice, name: str, keys: Numbers) -> None:
        if name == "hops":
            self._hops.add(rows, paths, keys[paths.path] + (np.arange(paths.path.size) << _HOP_BIT))
        elif name == "rewrites":
            self._rewrites.add(rows, paths, keys)
        else:
            of, others = _RELATED[name](self._result, paths.paths)
            objects.add_numbers(rows, keys, of, self._result.ids.paths[others])

    def _values(self, paths: PathSlice) -> dict[str, list[Column]]:
        """What stands behind the name of each field that is no list."""
        result, index = self._result, paths.paths
        heads = result.sightings.take(result.head[index])
        forward, outcome, ambiguous = (
            column[index] for column in (result.forward_of_path, result.outcomes.outcome, result.packets.ambiguous)
        )
        location, confidence, rewritten = result.outcomes.location[index], result.confidence[index], _rewritten(paths)
        protocol, link = heads["protocol"], heads["ethertype"]
        word = self._word
        return {
            "id": numbers(result.ids.paths[index]),
            "connection": numbers(result.ids.connections[result.connection_of_path[index]]),
            "protocol": word("protocol", lambda row: protocol_name(int(protocol[row]), int(link[row])), protocol, link),
            "info": word("info", lambda row: packet_info(heads[row]), *info_columns(heads)),
            "direction": word("direction", lambda row: direction_name(bool(forward[row])), forward),
            "outcome": word("outcome", lambda row: OUTCOMES[outcome[row]], outcome),
            "delivered_to": word("delivered_to", lambda row: location_name(result, int(location[row])), location),
            "reason": self._reasons.columns(paths),
            "confidence": word("confidence", lambda row: confidence_told(confidence[row]), confidence.view(np.uint64)),
            "ambiguous": word("ambiguous", lambda row: bool(ambiguous[row]), ambiguous),
            "payload_rewritten": word("payload_rewritten", lambda row: bool(rewritten[row]), rewritten),
            "sequence_shifted": self._shifts(paths),
        }

    def _word(self, name: str, make: Callable[[int], object], *columns: npt.NDArray[np.generic]) -> list[Column]:
        """The values of a field, each of which few paths differ in; of one that is new `make` gives it."""
        return texts(self._words.setdefault(name, Templates(self._pool)).around(columns, make)[0])

    def _shifts(self, paths: PathSlice) -> list[Column]:
        """Of TCP segments, by how much their numbers were shifted; null of all others."""
        found = self._result.shifts.of(paths.sightings)
        change = found[paths.first[1:] - 1] - found[paths.first[:-1]]
        differs = (found != found[paths.first[:-1]][paths.path]).any(axis=1)
        shifted = np.flatnonzero(np.logical_or.reduceat(differs, paths.first[:-1]))
        around = [self._pool.number(text) for text in cut({"sequence": BLANK, "acknowledgment": BLANK})]
        told = laid_out(around, *(numbers(change[shifted, number]) for number in range(2)))
        return only_at(shifted, paths.paths.size, told, self._pool.number("null"))


def _rewritten(paths: PathSlice) -> npt.NDArray[np.bool_]:
    """Per path: a helper changed its payload on the way."""
    if paths.result.shifts.rewritten.size == 0:
        return np.zeros(paths.paths.size, np.bool_)
    changed = np.isin(paths.sightings, paths.result.shifts.rewritten)
    return np.bincount(paths.path[changed], minlength=paths.paths.size) > 1


def _goes_on_as(result: Correlation, paths: Numbers) -> tuple[Numbers, Numbers]:
    return _behind(paths, result.segments.packet, result.segments.piece)


def _comes_from(result: Correlation, paths: Numbers) -> tuple[Numbers, Numbers]:
    return _behind(paths, *result.segments.by_piece)


def _behind(paths: Numbers, known: Numbers, others: Numbers) -> tuple[Numbers, Numbers]:
    """(which of the paths, another path) for each row whose `known` (ascending) is one of the paths."""
    rows, of, _ = ranges(np.searchsorted(known, paths), np.searchsorted(known, paths, side="right"))
    return of, others[rows]


_RELATED: Final[dict[str, Callable[[Correlation, Numbers], tuple[Numbers, Numbers]]]] = {
    "rivals": lambda result, paths: result.exchangeable.rivals_of(paths),
    "goes_on_as": _goes_on_as,
    "comes_from": _comes_from,
}
"""Lists of other paths: (which of the paths, the other), from 0."""
