"""A packet that seems lost, and an equal one that begins where it should have come: it may be it, unrecognised."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import group_ids, hashed
from ..flows.views import MOST_VIEWS
from ..schema import ONE_PACKET_NS
from ..sightings import frames
from .kinds import Outcome, Outcomes, Reason, Verdicts
from .tables import Tables
from .ways import Ways


def seen_elsewhere(tables: Tables, so_far: Outcomes) -> Verdicts:
    """Turns `lost` into `unknown` where a path with equal content begins at a place this one never came to: nothing
    shows how that packet got there, so it may be this one, translated."""
    lost = np.flatnonzero(so_far.outcome == Outcome.LOST)
    if lost.size == 0:
        return Verdicts.none()
    content = tables.sightings["content"][tables.first]
    equal = np.flatnonzero(np.isin(content, content[lost]))
    equal = equal[np.lexsort((tables.times_ns[tables.first[equal]], content[equal]))]
    begin = np.searchsorted(content[equal], content[lost])
    finish = np.searchsorted(content[equal], content[lost], side="right")
    seen = np.zeros(lost.size, np.bool_)
    equals = _Equals(equal, begin, finish)
    ways = Ways(*tables.bounds, tables.hops, tables.sightings, tables.times_ns)
    _begins_elsewhere(lost, equals, ways, seen)
    seen |= _is_of_many_flows(tables, content[lost])
    return Verdicts(paths=lost[seen], outcome=Outcome.UNKNOWN, reason=Reason.EQUAL_ELSEWHERE)


def _is_of_many_flows(tables: Tables, contents: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Per content: so many flows show it that one of them always begins elsewhere, and they are not all compared."""
    sightings = frames(tables.sightings)
    shown = sightings["content"]
    rows = np.flatnonzero(np.isin(shown, contents))
    pairs = np.minimum(sightings["flow"][rows], sightings["flow_reverse"][rows])
    _, once = group_ids(hashed(shown[rows], pairs))
    kinds, count = np.unique(shown[rows[once]], return_counts=True)
    many = kinds[count > MOST_VIEWS]
    found: npt.NDArray[np.bool_] = np.isin(contents, many) | np.isin(contents, tables.crowded)
    return found


class _Equals(NamedTuple):
    """Paths of equal content, by content and time, and those that are equal to each lost one: [begin, finish)."""

    paths: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]
    finish: npt.NDArray[np.int64]


@njit(cache=True)
def _begins_elsewhere(lost, equals, ways, seen):
    """Per lost path: one that is equal to it begins at another place, near in time, and did not come by its own."""
    for i in range(lost.size):
        path = lost[i]
        end = ways.hops[ways.last[path]].sighting
        for k in range(equals.begin[i], equals.finish[i]):
            other = equals.paths[k]
            start = ways.hops[ways.first[other]].sighting
            if other == path or abs(ways.times_ns[start] - ways.times_ns[end]) >= ONE_PACKET_NS:
                continue
            if not _passed(path, start, ways) and not _passed(other, end, ways):
                seen[i] = True
                break


@njit(cache=True)
def _passed(path, sighting, ways):
    """The path has a sighting at the place of this one."""
    row = ways.sightings[sighting]
    for k in range(ways.first[path], ways.last[path] + 1):
        other = ways.sightings[ways.hops[k].sighting]
        if other.kind == row.kind and other.place == row.place and other.direction == row.direction:
            return True
    return False
