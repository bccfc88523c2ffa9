"""The rewrites of paths as JSON text, from columns."""

from dataclasses import replace
from typing import Any

import numpy as np

from ...correlate.hops.rewrites import Field
from ...correlate.result.correlation import Correlation
from .contract import rewrite_object
from .objects import SEPARATOR, first_of_each
from .path_slice import PathSlice, either_end, ranges
from .pieces import Numbers, Pool, Rows, numbers, texts
from .templates import BLANK, Templates, laid_out


class RewriteTexts:
    """Writes the rewrites of one result."""

    def __init__(self, result: Correlation, pool: Pool) -> None:
        self._result, self._separator = result, pool.number(SEPARATOR)
        self._templates = Templates(pool)

    def add(self, rows: Rows, paths: PathSlice, keys: Numbers) -> None:
        """The rewrites of some paths; `keys`: of each path, where they stand."""
        result = self._result
        at, of, first = ranges(result.first_rewrite[paths.paths], result.first_rewrite[paths.paths + 1])
        if at.size == 0:
            return
        found = result.rewrites.take(at)
        before, after = (result.sightings.take(result.hops["sighting"][found[end]]) for end in ("before", "after"))

        def rewrite(row: int) -> object:
            path = result.path_at(int(paths.paths[of[row]]))
            step: Any = path.rewrites[row - int(first[of[row]])]
            return rewrite_object(replace(step, after_hop=BLANK, before_hop=BLANK, old=BLANK, new=BLANK))

        names = ("field", "kind", "undo", "evidence", "rule", "rule_changed")
        around = self._templates.around([before["namespace"], *(found[name] for name in names)], rewrite)
        shown = np.concatenate([np.zeros(1, np.int64), np.cumsum(paths.visible)])
        # From hop rows of the result to rows of the slice; those shown before a path are none of its own.
        here, earlier = paths.first[of] - result.first_hop[paths.paths[of]], shown[paths.first[of]]
        is_source = found["field"] == Field.SOURCE
        blanks = [
            numbers(shown[found["before"] + here + 1] - earlier - 1), numbers(shown[found["after"] + here] - earlier),
            either_end(before, is_source), either_end(after, is_source),
        ]  # fmt: skip
        lead = np.where(first_of_each(of), 0, self._separator)
        rows.add(keys[of], texts(lead) + laid_out(around, *blanks))
