"""Packets that go round in circles: one comes by the same place again and again, with fewer hops left each time."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import hashed, runs_of_keys
from ..decode.link_scope import stays_on_link
from ..schema import NOTE_CUT
from ..sightings import FRAME
from .by_icmp_errors import PROBE_TTL
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .words import frame_evidence, node_of, place_of, subject_of

_LEFT: Final = 3
"""Hops that are left at the end: who is captured in a loop of three sees it with no more."""
_ROUNDS: Final = 6
"""A mirror shows a packet behind each of a few routers; a loop goes on until no hop is left."""
_ROUND_NS: Final = 1_000_000_000
"""Longest round, on a slow line: what asks hop by hop waits longer."""
_SAME: Final = ("place", "direction", "flow", "content", "ip_id", "sequence")
"""What one packet has each time it comes by."""


def redirect_loop(facts: Facts) -> Iterator[Seen]:
    """`redirect_loop`."""
    rows, round_of, step = _rounds(facts)
    if rows.size == 0:
        return
    hops, seen = facts.result.hops, facts.result.sightings
    of_sighting = np.full(seen.size, -1, np.int64)
    of_sighting[rows] = np.arange(rows.size)
    row = of_sighting[hops["sighting"]]
    path, first = np.unique(hops["packet"][row >= 0], return_index=True)
    row = row[row >= 0][first]
    path = path.astype(np.int64)
    at = seen.take(rows[row])
    complete = facts.complete[facts.result.connection_of_path[path]]
    of_path = np.full(facts.own.size, -1, np.int64)
    of_path[path] = row
    columns = (at["place"], at["destination_high"], at["destination_low"], step[row], complete)
    for one in groups(facts, path, *columns):
        mine = of_path[one[0]]
        times = rows[round_of == round_of[mine]]
        yield _loop(
            facts, one, times, int(step[mine]), harmless=bool(facts.complete[facts.result.connection_of_path[one[0]]])
        )


def _rounds(facts: Facts) -> tuple[Rows, Rows, Rows]:
    """(frames of packets that go round, which packet at which place each is of, hops of a round), in order of time."""
    seen = facts.result.sightings
    last = np.flatnonzero(seen["ttl"] <= _LEFT)
    last = last[_usable(seen.take(last))]
    nothing = np.empty(0, np.int64)
    if last.size == 0:
        return nothing, nothing, nothing
    rows = np.flatnonzero(np.isin(seen["flow"], np.unique(seen["flow"][last])))
    rows = rows[_usable(seen.take(rows))]
    rows = rows[np.argsort(facts.result.times_ns[rows], kind="stable")]
    runs = runs_of_keys(hashed(*(seen[name][rows] for name in _SAME)))
    found: list[tuple[Rows, int, int]] = []
    sizes = np.diff(runs.start)
    for one in np.flatnonzero(sizes >= _ROUNDS).tolist():
        mine = rows[np.sort(runs.rows[runs.start[one] : runs.start[one + 1]])]
        falls = -np.diff(seen["ttl"][mine].astype(np.int64))
        apart_ns = np.diff(facts.result.times_ns[mine])
        # A mirror of many routers shows a probe behind each of them, until it has no hop left.
        is_probe = seen["ttl"][mine[0]] <= PROBE_TTL
        if not is_probe and seen["ttl"][mine].min() <= _LEFT and (falls > 0).all() and (apart_ns <= _ROUND_NS).all():
            found.append((mine, len(found), int(np.median(falls))))
    if not found:
        return nothing, nothing, nothing
    packet = np.concatenate([np.full(mine.size, number) for mine, number, _ in found])
    step = np.concatenate([np.full(mine.size, fall) for mine, _, fall in found])
    return np.concatenate([mine for mine, _, _ in found]), packet, step


def _usable(rows: npt.NDArray[np.void]) -> Mask:
    """Frames of IP that a router forwards."""
    return (rows["kind"] == FRAME) & (rows["ip_version"] > 0) & ((rows["notes"] & NOTE_CUT) == 0) & ~stays_on_link(rows)


def _loop(facts: Facts, paths: Rows, times: Rows, step: int, *, harmless: bool) -> Seen:
    seen, first = facts.result.sightings, int(paths[0])
    frames: npt.NDArray[np.void] = seen.take(times)
    at = place_of(facts, frames[0])
    ttl = frames["ttl"]
    each = "one" if step == 1 else f"{step}"

    def say(extent: Extent) -> str:
        return (
            f"{extent.flow} goes round in circles: one packet comes by {at} {times.size} times, with {ttl[0]} hops "
            f"left at first, {each} fewer each time, and {ttl[-1]} in the end"
        )

    return Seen(
        kind=Kind.REDIRECT_LOOP, key=(at, _address(frames[0]), step), say=say, paths=paths,
        subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        harmless=harmless, evidence=tuple(frame_evidence(facts, row) for row in frames.take([0, 1, -1])),
    )  # fmt: skip


def _address(row: np.void) -> tuple[int, int]:
    return int(row["destination_high"]), int(row["destination_low"])
