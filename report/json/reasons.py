"""Why packets were not delivered, as JSON text, from columns."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from ...correlate.outcomes.kinds import Reason
from ...correlate.result.correlation import Correlation
from ...correlate.result.show import reason_of
from ...correlate.sightings import DROP, EVALUATION, FRAME, of_kind
from .contract import reason_object
from .infos import info_columns
from .path_slice import PathSlice
from .pieces import Column, Numbers, Pool, numbers, only_at, texts
from .said_columns import SaidColumns
from .templates import BLANK, Cut, Templates, cut


class ReasonTexts:
    """Writes the reasons of one result."""

    def __init__(self, result: Correlation, pool: Pool, said: SaidColumns) -> None:
        self._result, self._pool, self._said = result, pool, said
        self._templates: dict[int, Templates] = {}
        self._last_rule: Numbers | None = None

    def columns(self, paths: PathSlice) -> list[Column]:
        """What stands behind `"reason": ` of each path: text, the path of an ICMP error in it, text."""
        result = self._result
        code = result.outcomes.reason[paths.paths]
        before = np.full(code.size, self._pool.number("null"))
        behind, error = np.zeros(code.size, np.int64), result.outcomes.related[paths.paths]
        error = np.where(code == Reason.NONE, -1, error)
        some = np.flatnonzero(code != Reason.NONE)
        judged = _judged_sightings(paths, code)
        kinds = result.sightings["kind"][judged]
        for kind in np.unique(kinds[some]).tolist():
            of = some[kinds[some] == kind]
            before[of], behind[of] = self._texts(kind, paths.paths[of], judged[of], error[of])
        answered = np.flatnonzero(error >= 0)
        path = only_at(answered, code.size, numbers(result.ids.paths[error[answered]]))
        return [*texts(before), *path, *texts(behind)]

    def _texts(self, kind: int, paths: Numbers, judged: Numbers, error: Numbers) -> list[Numbers]:
        """Before and behind the path of the error, of paths that were last seen by sightings of one kind."""
        result = self._result
        said = result.sightings.take(result.hops["sighting"][result.first_hop[np.maximum(error, 0)]])
        said_of_errors = [np.where(error >= 0, column, 0) for column in info_columns(said)]
        differs: list[npt.NDArray[Any]] = [
            result.outcomes.reason[paths], result.outcomes.rule[paths], error >= 0,
            *self._last_places(kind, judged), *said_of_errors,
        ]  # fmt: skip

        def reason(row: int) -> Cut:
            note: Any = reason_of(result, int(paths[row]))
            found = reason_object(note)
            if note.error is None:
                return Cut([json.dumps(found), ""])
            text, behind = note.text.rsplit(str(note.error.path), 1)
            around = cut((found or {}) | {"text": BLANK})
            return Cut([around[0] + json.dumps(text)[:-1], json.dumps(behind)[1:] + around[1]])

        return self._templates.setdefault(kind, Templates(self._pool)).around(differs, reason)

    def _last_places(self, kind: int, judged: Numbers) -> list[npt.NDArray[np.generic]]:
        """What sightings of one kind differ in as the last place of a packet."""
        result = self._result
        seen = result.sightings
        if kind == FRAME:
            return [seen["place"][judged], seen["direction"][judged]]
        if kind != EVALUATION:
            return [seen["namespace"][judged], *self._said.of(kind, judged)]
        rows = judged - of_kind(seen, EVALUATION).start
        if self._last_rule is None:
            self._last_rule = _last_rules(result)
        return [result.evaluations.rows["chain"][rows], seen["namespace"][judged], self._last_rule[rows]]


def _judged_sightings(paths: PathSlice, code: npt.NDArray[np.uint8]) -> Numbers:
    """Of each path the sighting that its reason is about (show.reason_of): the last one, and of drops only where it is
    theirs."""
    is_drop = paths.result.sightings["kind"][paths.sightings] == DROP
    wanted = is_drop == (code == Reason.KERNEL_DROP)[paths.path]
    last = np.maximum.reduceat(np.where(wanted, np.arange(wanted.size), -1), paths.first[:-1])
    return paths.sightings[np.where(last >= 0, last, paths.first[1:] - 1)]


def _last_rules(result: Correlation) -> Numbers:
    """Per evaluation: the last rule that matched, by its index; -1 where none did."""
    rows, rule = result.evaluations.rows, result.book.of_event
    named = np.maximum.accumulate(np.where(rule >= 0, np.arange(rule.size), -1))
    last = named[rows["last_event"] - 1]
    return np.where(last >= rows["first_event"], rule[last], -1)
