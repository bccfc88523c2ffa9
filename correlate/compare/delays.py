"""How long packets of each role took from point to point, and servers for their answers: samples, run by run."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import group_ids, hashed
from ..result.correlation import Correlation
from ..result.words import DIRECTIONS
from ..summaries.steps import Steps, find_steps, machines
from .points import Place

MOST_SAMPLES: Final = 4096
"""Delays of one leg that are kept: of more, as many in even distances."""


class LegKey(NamedTuple):
    """From where to where, as both runs call it."""

    forward: bool
    is_answer: bool
    """The time between what came to a server last and what it sends then, as seen at its nearest point."""
    start: str
    end: str


@dataclass(slots=True)
class Samples:
    """Delays of one leg."""

    count: int = 0
    values: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    error_ns: int | None = 0
    """How far the clocks at its ends may make all of them wrong; None where not known."""
    order: int = 0
    """Where it comes on the way."""

    def add(self, values: npt.NDArray[np.int64], error_ns: int | None, count: int | None = None) -> None:
        """More of them; `count`: of how many `values` were kept, if not of themselves."""
        count = values.size if count is None else count
        both = np.concatenate([self.values, values])
        # Each that was kept stands for those of its kind that were not.
        sizes = [self.values.size, values.size]
        each = np.repeat([self.count / max(sizes[0], 1), count / max(sizes[1], 1)], sizes)
        order = np.argsort(both, kind="stable")
        if both.size > MOST_SAMPLES:
            so_far = np.cumsum(each[order])
            order = order[np.searchsorted(so_far, np.linspace(so_far[0], so_far[-1], MOST_SAMPLES))]
        self.values = both[order]
        self.count += count
        known = self.error_ns is not None and error_ns is not None
        self.error_ns = max(self.error_ns or 0, error_ns or 0) if known else None


class Delays(NamedTuple):
    """Delays of one part, by group of connections and leg."""

    group: int
    key: LegKey
    values: npt.NDArray[np.int64]
    error_ns: int | None


def find_delays(
    result: Correlation, group_of_connection: npt.NDArray[np.int64], places: list[Place]
) -> Iterator[Delays]:
    """Of all connections that are in a group (not -1)."""
    steps = find_steps(result, group_of_connection >= 0)
    if steps.path.size == 0:
        return
    machine, errors = machines(result), _errors(result)
    clear = ~result.packets.ambiguous
    group = group_of_connection[steps.way >> 1]
    before = np.flatnonzero(~steps.new_path[1:] & clear[steps.path[:-1]])
    yield from _legs(steps, group, before, before + 1, places, machine, errors, is_answer=False)
    asked, answered = _answers(result, steps, clear)
    yield from _legs(steps, group, asked, answered, places, machine, errors, is_answer=True)


def _legs(
    steps: Steps,
    group: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
    after: npt.NDArray[np.int64],
    places: list[Place],
    machine: npt.NDArray[np.int64],
    errors: list[int | None],
    *,
    is_answer: bool,
) -> Iterator[Delays]:
    """The delays between each two steps, in groups."""
    if before.size == 0:
        return
    delay = steps.time_ns[after] - steps.time_ns[before]
    same = machine[steps.point[before] >> 2] == machine[steps.point[after] >> 2]
    kept = (delay >= 0) | ~same
    before, after, delay = before[kept], after[kept], delay[kept]
    which, first = group_ids(hashed(group[before], steps.way[before] & 1, steps.point[before], steps.point[after]))
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(first.size + 1))
    for number, row in enumerate(first.tolist()):
        start, end = int(steps.point[before[row]]), int(steps.point[after[row]])
        error = 0 if machine[start >> 2] == machine[end >> 2] else _sum(errors[start >> 2], errors[end >> 2])
        key = LegKey(bool(steps.way[before[row]] & 1 == 0), is_answer, _words(places, start), _words(places, end))
        yield Delays(int(group[before[row]]), key, delay[order[bounds[number] : bounds[number + 1]]], error)


def _answers(
    result: Correlation, steps: Steps, clear: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(last step of what asked, first step of the answer) of the data that go to a server and come back from it."""
    first, last = steps.first, steps.last
    heads = result.sightings.take(result.head[steps.path[first]])
    chosen = np.flatnonzero((heads["payload_length"] > 0) & clear[steps.path[first]])
    first, last = first[chosen], last[chosen]
    connection, reply = steps.way[first] >> 1, steps.way[first] & 1
    # What came to the server is asked from then on; what leaves it answers.
    order = np.lexsort((np.where(reply == 1, steps.time_ns[first], steps.time_ns[last]), connection))
    one, other = order[:-1], order[1:]
    turns = (connection[one] == connection[other]) & (reply[one] == 0) & (reply[other] == 1)
    asked, answered = last[one[turns]], first[other[turns]]
    same = machines(result)[steps.point[asked] >> 2] == machines(result)[steps.point[answered] >> 2]
    return asked[same], answered[same]


def _errors(result: Correlation) -> list[int | None]:
    """Per capture point: how far the clock of its node may be wrong."""
    clocks = {clock.node: clock.largest_error_ns for clock in result.clocks}
    return [clocks.get(point.node) for point in result.topology.points]


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _words(places: list[Place], point: int) -> str:
    node, netns, interface = places[point >> 2]
    side = DIRECTIONS[point & 3]
    at = node if netns == "root" else netns
    return f"{at} {interface}" + (f" {side}" if side != "unknown" else "")
