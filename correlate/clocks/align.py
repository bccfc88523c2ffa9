"""The clocks of the nodes, from the packets that went between them.

A packet that left node A at t_a (by A's clock) and came to node B at t_b (by B's) says that B's clock is ahead of A's
by at most t_b - t_a, for its delay is positive; one the other way bounds it from below. Over time these bounds are two
clouds of points, and the offset is a line between them: the line that keeps the greatest distance from both (Moon,
Skelly, Towsley 1999, for one cloud). Its distance from them is the error. Where no line fits, a clock was set, and the
time is cut there. What the bounds cannot show is an asymmetry of the two delays.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.record_times import RecordTimes
from ..nodes.topology import Topology
from ..schema import ONE_PACKET_NS
from .clock import Clock, Piece, begun_at, offset_at
from .delays import Bounds, Pairs, delay_bounds
from .line import fit_line, fit_one_side

SET_BACK_NS: Final = 10_000_000
"""A frame so much earlier than the one before it in its file shows that the clock was set back: no queue is as slow."""
_OTHER_NS: Final = ONE_PACKET_NS // 8
"""By so much a clock must have been wrong for connections to be looked for again: most packets take far less than what
one may take."""
_TIGHT_NS: Final = 50_000
"""So little is no difference: a packet takes as long from one interface of a node to another."""
_MANY_PACKETS: Final = 1_000
"""They bound a clock as others would."""
_MOST_PIECES: Final = 8
_FEWEST_PACKETS: Final = 10
"""A piece with fewer packets is no evidence of a step: a few packets were taken for others."""


def align_clocks(delays: Pairs, topology: Topology) -> list[Clock]:
    """One Clock per node, in the order of the files; nodes reached over others add up their offsets and errors.

    `delays`: see node_delays. Nodes whose captures were made on the same running kernel (same boot id) share a clock.
    """
    nodes = list(topology.nodes)
    clocks = {nodes[0]: Clock(node=nodes[0], offset_ns=0, error_ns=0, basis="reference")}
    if len(nodes) == 1:
        return list(clocks.values())
    boots = {node: topology.nodes[node].boot_id for node in nodes}
    progress = True
    while progress:
        progress = False
        for node in nodes:
            if node in clocks:
                continue
            found = _reach(node, clocks, boots, partial(delay_bounds, delays, topology))
            if found is not None:
                clocks[node] = found
                progress = True
    return [clocks.get(n, Clock(node=n, offset_ns=0, error_ns=None, basis="unknown")) for n in nodes]


def are_bound_tightly(clocks: Sequence[Clock], topology: Topology, times: Sequence[RecordTimes]) -> bool:
    """Whether these clocks are known so well, all the time of their captures, that more packets would say the same.

    `times`: of each file.
    """
    for clock in clocks:
        if clock.basis in ("reference", "same machine"):
            continue
        if clock.packets < _MANY_PACKETS or clock.steps:
            return False
        mine = [one for one, node in zip(times, topology.file_nodes, strict=True) if node == clock.node and one.size]
        ends = [time_ns for one in mine for time_ns in (one.first_ns, *(one.span_ns or ()))]
        error_ns = clock.certainty.at(np.array([clock.reference_ns(time_ns) for time_ns in ends], np.int64))
        if not ((error_ns >= 0) & (error_ns <= _TIGHT_NS)).all():
            return False
    return True


def are_others(some: Sequence[Clock], clocks: Sequence[Clock]) -> bool:
    """Whether, by these clocks of the same nodes, other packets come near each other than by those."""
    for before, after in zip(some, clocks, strict=True):
        if (before.basis == "unknown") != (after.basis == "unknown"):
            return True
        times_ns = np.array([time_ns for clock in (before, after) for time_ns in clock.turns_ns], np.int64)
        if times_ns.size and np.abs(before.offsets(times_ns) - after.offsets(times_ns)).max() > _OTHER_NS:
            return True
    return False


def _reach(
    node: str, clocks: dict[str, Clock], boots: dict[str, str | None], bounds: Callable[[str, str], Bounds]
) -> Clock | None:
    """The clock of `node` from the known ones: the one with the smallest error."""
    best: Clock | None = None
    for known in list(clocks.values()):
        if boots[node] is not None and boots[node] == boots[known.node]:
            return Clock(
                node=node, offset_ns=known.offset_ns, error_ns=known.error_ns, basis="same machine",
                pieces=known.pieces, over=known.over,
            )  # fmt: skip
        clock = _clock_from(node, known, bounds(known.node, node))
        if clock is None:
            continue
        if best is None or (clock.error_ns is not None and (best.error_ns is None or clock.error_ns < best.error_ns)):
            best = clock
    return best


def _clock_from(node: str, known: Clock, bounds: Bounds) -> Clock | None:
    """The clock of a node that exchanged packets with one whose clock is known."""
    packets = bounds.packets
    if packets == 0:
        return None
    unbound = f"no bound, {packets:,} packets"
    # By the reference's time, which the known node's clock gives, and with its offset added.
    base = known.offsets(bounds.upper_at_ns), known.offsets(bounds.lower_at_ns)
    upper, lower = bounds.upper_ns + base[0], bounds.lower_ns + base[1]
    if upper.size == 0 or lower.size == 0:
        side = (bounds.upper_at_ns - base[0], upper) if upper.size else (bounds.lower_at_ns - base[1], lower)
        line = fit_one_side(*side, upper=bool(upper.size))
        return Clock(
            node=node, offset_ns=line.offset_ns, error_ns=None, basis=unbound, packets=packets,
            pieces=(line,) if line.drift else (),
        )  # fmt: skip
    pieces = _fit(bounds.upper_at_ns - base[0], upper, bounds.lower_at_ns - base[1], lower)
    if pieces is None:
        offset = int(np.median(upper) + np.median(lower)) // 2
        return Clock(node=node, offset_ns=offset, error_ns=None, basis=unbound, packets=packets)
    error = None
    if known.error_ns is not None and pieces[0].error_ns is not None:
        error = pieces[0].error_ns + known.error_ns
    return Clock(
        node=node,
        offset_ns=pieces[0].offset_ns,
        error_ns=error,
        basis=f"{packets:,} packets",
        packets=packets,
        pieces=pieces,
        over=known if known.basis != "reference" else None,
    )


def _fit(
    upper_at: npt.NDArray[np.int64],
    upper: npt.NDArray[np.int64],
    lower_at: npt.NDArray[np.int64],
    lower: npt.NDArray[np.int64],
) -> tuple[Piece, ...] | None:
    """As few straight pieces as the bounds allow, for nearly all clocks one; None when that would be too many to
    believe."""
    times = np.concatenate([upper_at, lower_at])
    only = fit_line(upper_at, upper, lower_at, lower, times.min(), times.max())
    return _fit_pieces(upper_at, upper, lower_at, lower, np.sort(times)) if only is None else (only,)


def _fit_pieces(
    upper_at: npt.NDArray[np.int64],
    upper: npt.NDArray[np.int64],
    lower_at: npt.NDArray[np.int64],
    lower: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
) -> tuple[Piece, ...] | None:
    """The same, of a clock that was set. `times`: of all bounds, ascending."""
    pieces: list[Piece] = []
    starts: list[int] = []
    start = 0
    while start < times.size:
        if len(pieces) == _MOST_PIECES:
            return None
        found = fit_line(upper_at, upper, lower_at, lower, times[start], times[-1])
        end = times.size
        if found is None:
            low, high = start + 1, times.size - 1
            while low < high:  # the longest stretch that one line fits
                middle = (low + high + 1) // 2
                if fit_line(upper_at, upper, lower_at, lower, times[start], times[middle]) is None:
                    high = middle - 1
                else:
                    low = middle
            found = fit_line(upper_at, upper, lower_at, lower, times[start], times[low])
            end = int(np.searchsorted(times, times[low], side="right"))
        if found is None or end - start < min(_FEWEST_PACKETS, times.size):
            return None
        pieces.append(found)
        starts.append(start)
        start = end
    if len(pieces) == 1:
        return tuple(pieces)
    at = np.concatenate([upper_at, lower_at])
    order = np.argsort(at, kind="stable")
    bound = np.concatenate([upper, lower])[order]
    side = np.concatenate([np.ones(upper.size, np.int64), np.full(lower.size, -1)])[order]
    return _taking_over(pieces, starts, at[order], bound, side)


def _taking_over(
    pieces: list[Piece],
    starts: list[int],
    at: npt.NDArray[np.int64],
    bound: npt.NDArray[np.int64],
    side: npt.NDArray[np.int64],
) -> tuple[Piece, ...]:
    """The pieces with the times at which each takes over.

    A clock that is set forward raises the upper bounds, which contradicts nothing: the packets that had just come by
    then were left to the piece before. By their delays they belong to the next. `starts`: first packet of each piece;
    `at`, `bound`, `side` (1 upper, -1 lower): of all packets, by time.
    """
    found = [pieces[0]]
    for piece, start in zip(pieces[1:], starts[1:], strict=True):
        before = found[-1]
        first = start
        while first > 0:
            delays = [side[first - 1] * (bound[first - 1] - offset_at(p, int(at[first - 1]))) for p in (before, piece)]
            if not 0 <= delays[1] < delays[0]:
                break
            first -= 1
        last_ns = int(at[max(first - 1, 0)]) + offset_at(before, int(at[max(first - 1, 0)]))
        next_ns = int(at[first]) + offset_at(piece, int(at[first]))
        back = next_ns < last_ns or piece.offset_ns < before.offset_ns - SET_BACK_NS
        if back:
            start_ns, offset_ns = begun_at(piece, next_ns)
            found.append(replace(piece, start_ns=start_ns, offset_ns=offset_ns, epoch=before.epoch + 1))
        else:
            start_ns, offset_ns = begun_at(piece, (last_ns + next_ns) // 2)
            found.append(replace(piece, start_ns=start_ns, offset_ns=offset_ns, from_ns=start_ns, epoch=before.epoch))
    return tuple(found)
