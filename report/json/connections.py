"""Connections as JSON text, from columns: the same text as that of their objects, many connections at a time."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from ...correlate.outcomes.kinds import OUTCOMES
from ...correlate.result.connection_ending import connection_endings
from ...correlate.result.connection_state import STATES, connection_states
from ...correlate.result.correlation import Correlation
from ...correlate.result.members import Members
from ...correlate.result.select import Selection
from ...correlate.result.show_connections import views_of
from ...correlate.result.values import View
from ...correlate.result.words import protocol_name
from ...correlate.summaries.connections import summarise_connections
from ...correlate.summaries.legs import leg_values
from ...correlate.summaries.timeline import PLACES, Timeline
from ..telling import Texts
from .connection_ends import EndTexts, ending_columns
from .contract import connection_object, view_object
from .legs import leg_object, summary_object, timeline_object, ways_object
from .objects import Objects, begins_of
from .path_slice import PathSlice, cuts, either_end, ranges
from .pieces import Column, Numbers, Pool, Rows, numbers, only_at, texts
from .reasons import ReasonTexts
from .said_columns import SaidColumns
from .templates import BLANK, Templates, cut, laid_out

_LISTS: Final = ("views", "paths", "rivals", "legs")
_PATHS: Final = 1 << 15
"""In a slice; of more of a single connection, just this connection."""
_TIMES: Final = ("total", *PLACES)
_LATENCIES: Final = ("minimum_ns", "median_ns", "p99_ns")


class ConnectionTexts:
    """Writes the chosen connections of one result."""

    def __init__(self, result: Correlation, selection: Selection, *, before: str, behind: str) -> None:
        """`before`, `behind`: what stands around each."""
        self._result, self._pool, self._around = result, Pool(), {"before": before, "behind": behind}
        self._chosen = np.flatnonzero(selection.connections)
        self._summaries = summarise_connections(result, selection.connections)
        self._views = views_of(result, selection.connections)
        self._ends = EndTexts(result, self._pool)
        self._reasons = ReasonTexts(result, self._pool, SaidColumns(result))
        self._templates: dict[str, Templates] = {}

    def texts(self) -> Iterator[Texts]:
        """Their texts, by their ids."""
        if self._chosen.size == 0:
            return
        result, chosen = self._result, self._chosen
        (example,) = result.connections_at([int(chosen[0])])
        fields = connection_object(example) | summary_object(self._summaries.of(int(chosen[0])))
        objects = Objects(self._pool, list(fields), _LISTS, **self._around)
        sizes = np.diff(result.paths_by_connection[1])[chosen]
        for begin, end in cuts(sizes, _PATHS):
            members = Members.of_connections(result, chosen[begin:end])
            rows = Rows(self._pool)
            objects.add(rows, end - begin, self._values(members), partial(self._add_list, objects, rows, members))
            written = rows.written()
            ids = result.ids.connections[members.connections]
            yield Texts(ids=ids, data=written.data.data, start=begins_of(written, end - begin))

    def _values(self, members: Members) -> dict[str, list[Column]]:
        """What stands behind the name of each field that is no list."""
        result, index = self._result, members.connections
        heads = members.heads.take(members.first[:-1])
        protocol, link = heads["protocol"], heads["ethertype"]
        outcomes, states, found = members.outcomes(), connection_states(members), self._summaries
        around = self._word("protocol").around(
            [protocol, link], lambda row: protocol_name(int(protocol[row]), int(link[row]))
        )
        return {
            "id": numbers(result.ids.connections[index]),
            "protocol": texts(around[0]),
            **self._ends.columns(members),
            "outcome": self._one_of(OUTCOMES, outcomes),
            "state": self._one_of(STATES, states),
            "ending": ending_columns(members, connection_endings(members, states), self._word("ending")),
            "reason": self._reason(members),
            "retransmissions": self._ways(found.retransmissions[index]),
            "spurious_retransmissions": self._ways(found.spurious[index]),
            "timeline": self._timelines(found.timelines.take(index)),
        }

    def _word(self, name: str) -> Templates:
        return self._templates.setdefault(name, Templates(self._pool))

    def _one_of(self, names: tuple[str, ...], which: Numbers) -> list[Column]:
        return texts(np.array([self._pool.number(*cut(name)) for name in names])[which])

    def _reason(self, members: Members) -> list[Column]:
        """Why the first path that failed did; null where none did."""
        failed = members.failed()
        rows = np.flatnonzero(failed >= 0)
        paths = PathSlice.of(self._result, members.paths[failed[rows]])
        columns = self._reasons.columns(paths) if rows.size else []
        return only_at(rows, failed.size, columns, self._pool.number("null")) or texts(self._pool.number("null"))

    def _ways(self, counts: Numbers) -> list[Column]:
        around = [self._pool.number(text) for text in cut(ways_object(BLANK, BLANK))]
        return laid_out(around, numbers(counts[:, 0]), numbers(counts[:, 1]))

    def _timelines(self, found: np.ndarray[Any, np.dtype[np.void]]) -> list[Column]:
        """`found`: TIMELINE rows."""
        known = np.flatnonzero(found["total"] >= 0)
        timeline = Timeline(**dict.fromkeys(_TIMES, BLANK))
        around = [self._pool.number(text) for text in cut(timeline_object(timeline))]
        told = laid_out(around, *(numbers(found[name][known]) for name in _TIMES))
        return only_at(known, found.size, told, self._pool.number("null"))

    def _add_list(self, objects: Objects, rows: Rows, members: Members, name: str, keys: Numbers) -> None:
        result, index = self._result, members.connections
        match name:
            case "paths":
                objects.add_numbers(rows, keys, members.of, result.ids.paths[members.paths])
            case "rivals":
                of, at = _rows_of(index, result.rival_connections[0])
                objects.add_numbers(rows, keys, of, result.ids.connections[result.rival_connections[1][at]])
            case "views":
                of, at = _rows_of(index, self._views[0])
                objects.add_members(rows, keys, of, self._view_columns(self._views[1][at]))
            case "legs":
                at, of, _ = ranges(self._summaries.first_leg[index], self._summaries.first_leg[index + 1])
                objects.add_members(rows, keys, of, self._leg_columns(self._summaries.legs.take(at)))

    def _view_columns(self, frames: Numbers) -> list[Column]:
        """`frames`: those that showed the views first."""
        result = self._result
        seen, forward = result.sightings.take(frames), result.connections.forward[frames]
        if seen.size == 0:
            return []

        def view(row: int) -> object:
            point = result.topology.points[seen["place"][row]]
            netns = result.topology.namespaces[point.namespace].label
            value = View(node=point.node, netns=netns, interface=point.interface, source=BLANK, destination=BLANK)
            return view_object(value)

        around = self._word("view").around([seen["place"]], view)
        return laid_out(around, either_end(seen, forward), either_end(seen, ~forward))

    def _leg_columns(self, legs: np.ndarray[Any, np.dtype[np.void]]) -> list[Column]:
        """`legs`: LEG rows."""
        if legs.size == 0:
            return []

        def leg(row: int) -> object:
            (value,) = leg_values([legs[row].tolist()], self._summaries.ends)
            blank: Any = dict.fromkeys((*_LATENCIES, "packets", "lost", "unknown", "clock_error_ns"), BLANK)
            return leg_object(replace(value, **blank))

        around = self._word("leg").around([legs["reply"], legs["from_point"], legs["to_point"]], leg)
        timed, compared = np.flatnonzero(legs["timed"] > 0), np.flatnonzero(legs["clock_error_ns"] >= 0)
        null, size = self._pool.number("null"), legs.size
        blanks = [numbers(legs[name]) for name in ("packets", "lost", "unknown")]
        blanks += [only_at(timed, size, numbers(legs[name][timed]), null) for name in _LATENCIES]
        blanks.append(only_at(compared, size, numbers(legs["clock_error_ns"][compared]), null))
        return laid_out(around, *blanks)


def _rows_of(connections: Numbers, of_row: Numbers) -> tuple[Numbers, Numbers]:
    """(place of the connection, row) for each row of these connections; `of_row`: ascending."""
    begin, end = np.searchsorted(of_row, connections), np.searchsorted(of_row, connections, side="right")
    rows, of, _ = ranges(begin, end)
    return of, rows
