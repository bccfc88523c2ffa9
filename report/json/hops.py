"""The hops of paths as JSON text, from columns."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...correlate.result.correlation import Correlation
from ...correlate.sightings import EVALUATION, FRAME, of_kind
from .contract import hop_object, match_object
from .objects import SEPARATOR, first_of_each
from .path_slice import PathSlice, ends_of, ranges
from .pieces import Column, Numbers, Pool, Rows, numbers, texts
from .said_columns import SaidColumns
from .templates import BLANK, Templates, laid_out

_BEGIN, _RULES, _END = range(3)
"""Parts of a hop, in order."""


@dataclass(frozen=True, slots=True)
class _Hops:
    """Some of the hops that are shown."""

    keys: Numbers
    """Where they stand, with room for the parts of each."""
    lead: Numbers
    """What stands before each: a text of the pool."""
    sighting: Numbers
    seen: npt.NDArray[np.void]
    """SIGHTING rows."""

    def only(self, which: npt.NDArray[np.bool_]) -> "_Hops":
        rows = np.flatnonzero(which)
        return _Hops(self.keys[rows], self.lead[rows], self.sighting[rows], self.seen.take(rows))


class HopTexts:
    """Writes the hops of one result."""

    def __init__(self, result: Correlation, pool: Pool, said: SaidColumns) -> None:
        self._result, self._separator = result, pool.number(SEPARATOR)
        self._plain, self._inside, self._chains, self._matches, self._others = (Templates(pool) for _ in range(5))
        self._said = said
        self._clocks = {clock.node: clock for clock in result.clocks}

    def add(self, rows: Rows, paths: PathSlice, keys: Numbers) -> None:
        """The hops of some paths; `keys`: of each row of these, where it stands."""
        shown = np.flatnonzero(paths.visible)
        sighting = paths.sightings[shown]
        hops = _Hops(
            keys[shown],
            np.where(first_of_each(paths.path[shown]), 0, self._separator),
            sighting,
            self._result.sightings.take(sighting),
        )
        kinds = hops.seen["kind"]
        for kind in np.flatnonzero(np.bincount(kinds)).tolist():
            some = hops.only(kinds == kind)
            if kind == FRAME:
                for inside in (False, True):
                    self._add_frames(rows, some.only((some.seen["outer"] > 0) == inside), inside=inside)
            elif kind == EVALUATION:
                self._add_chains(rows, some)
            else:
                self._add_others(rows, some, kind)

    def _add_frames(self, rows: Rows, hops: _Hops, *, inside: bool) -> None:
        """Captured frames, of packets inside of others or not."""
        result, seen = self._result, hops.seen
        if seen.size == 0:
            return
        differs: list[npt.NDArray[Any]] = [
            seen["place"], seen["direction"], seen["file"], result.order_doubtful[hops.sighting]
        ]  # fmt: skip
        outers = result.outers.take(seen["outer"].astype(np.int64) - 1) if inside else result.outers[:0]
        if inside:
            differs += [outers[name] for name in ("kind", "key", "levels")]

        def frame(row: int) -> object:
            hop: Any = result.hop_of(int(hops.sighting[row]))
            around = replace(hop.encapsulation, source=BLANK, destination=BLANK) if inside else None
            return hop_object(
                replace(
                    hop, time_ns=BLANK, source=BLANK, destination=BLANK, ttl=BLANK, length=BLANK, frame=BLANK,
                    encapsulation=around,
                )
            )  # fmt: skip

        blanks = [
            numbers(result.times_ns[hops.sighting]), ends_of(seen, "source"), ends_of(seen, "destination"),
            numbers(seen["ttl"]), numbers(seen["length"]),
        ]  # fmt: skip
        if inside:
            blanks += [ends_of(outers, "source"), ends_of(outers, "destination")]
        around = (self._inside if inside else self._plain).around(differs, frame)
        rows.add(hops.keys, texts(hops.lead) + laid_out(around, *blanks, numbers(seen["frame"])))

    def _add_chains(self, rows: Rows, hops: _Hops) -> None:
        result, seen = self._result, hops.seen
        table = result.evaluations.rows.take(hops.sighting - of_kind(result.sightings, EVALUATION).start)

        def chain(row: int) -> object:
            hop: Any = result.hop_of(int(hops.sighting[row]))
            told = hop_object(replace(hop, time_ns=BLANK, source=BLANK, destination=BLANK, rules=()))
            return told | {"rules": [BLANK]}

        around = self._chains.around([table["chain"], table["verdict"], table["policy"], seen["namespace"]], chain)
        blanks = self._told(seen)
        rows.add(hops.keys + _BEGIN, texts(hops.lead) + laid_out(around[:-1], *blanks))
        self._add_matches(rows, hops, table)
        rows.add(hops.keys + _END, texts(around[-1]))

    def _add_matches(self, rows: Rows, hops: _Hops, table: npt.NDArray[np.void]) -> None:
        """The rules that matched in these chains; `table`: EVALUATION rows."""
        result = self._result
        event, of, _ = ranges(table["first_event"], table["last_event"])
        rule = result.book.of_event[event]
        named = np.flatnonzero(rule >= 0)
        event, of, rule = event[named], of[named], rule[named]
        if event.size == 0:
            return
        nth = np.arange(event.size) - np.searchsorted(of, of)

        def match(row: int) -> object:
            hop: Any = result.hop_of(int(hops.sighting[of[row]]))
            return match_object(hop.rules[nth[row]])

        events = result.evaluations.events
        around = self._matches.around([rule, events["verdict"][event], events["jump"][event]], match)
        lead = np.where(nth == 0, 0, self._separator)
        rows.add(hops.keys[of] + _RULES, texts(lead) + laid_out(around))

    def _add_others(self, rows: Rows, hops: _Hops, kind: int) -> None:
        """What else the kernel said."""
        result = self._result
        said = self._said.of(kind, hops.sighting)

        def other(row: int) -> object:
            hop: Any = result.hop_of(int(hops.sighting[row]))
            return hop_object(replace(hop, time_ns=BLANK, source=BLANK, destination=BLANK))

        around = self._others.around([hops.seen["kind"], hops.seen["namespace"], *said], other)
        rows.add(hops.keys, texts(hops.lead) + laid_out(around, *self._told(hops.seen)))

    def _told(self, seen: npt.NDArray[np.void]) -> list[list[Column]]:
        """When it was said, and of which ends."""
        times_ns = seen["time_ns"].copy()
        for namespace in np.flatnonzero(np.bincount(seen["namespace"])).tolist():
            here = seen["namespace"] == namespace
            clock = self._clocks[self._result.topology.namespaces[namespace].node]
            times_ns[here] -= clock.offsets(times_ns[here])
        return [numbers(times_ns), ends_of(seen, "source"), ends_of(seen, "destination")]
