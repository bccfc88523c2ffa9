"""What each connection met on its way, as text: a table of its segments, and its losses in a few words."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from ...correlate.summaries.connections import ConnectionSummaries
from ...correlate.summaries.legs import Leg, LegEnd
from .units import duration

_HEADINGS: Final = ("packets", "lost", "unknown", "min", "median", "p99")
_NONE: Final = "-"


def losses_in_words(summaries: ConnectionSummaries, index: int, paths: int) -> str:
    """`, 3 lost, 4 retransmitted (1 spurious)`: what a connection of so many paths lost and sent again; empty for
    nothing. Of a single path the outcome says it all."""
    return "".join(f", {word}" for word in _losses(summaries, index, (0, 1))) if paths > 1 else ""


def _losses(summaries: ConnectionSummaries, index: int, directions: tuple[int, ...]) -> list[str]:
    def total(counts: npt.NDArray[np.int64]) -> int:
        return sum(int(counts[index, direction]) for direction in directions)

    again, spurious = total(summaries.retransmissions), total(summaries.spurious)
    note = f" ({spurious:,} spurious)" if spurious else ""
    told = ((total(summaries.dropped), "dropped"), (total(summaries.lost), "lost"), (again, f"retransmitted{note}"))
    return [f"{count:,} {what}" for count, what in told if count]


def segments_tables(
    result: Correlation, selection: Selection, summaries: ConnectionSummaries, indexes: npt.NDArray[np.int64]
) -> dict[int, str]:
    """The tables of those of these connections, by index, of which every path was asked for."""
    whole = np.ones(result.connections.count, np.bool_)
    whole[result.connection_of_path[~selection.paths]] = False
    ids = result.ids.connections
    return {i: segments_table(summaries, i, int(ids[i])) for i in indexes.tolist() if whole[i]}


def segments_table(summaries: ConnectionSummaries, index: int, number: int) -> str:
    """The segments of a connection, by its index, and its retransmissions; empty where only single points saw it.
    `number`: its id."""
    legs = summaries.legs_at(index)
    if not any(leg.to_point for leg in legs):
        return ""
    names = [(_point(leg.from_point), _point(leg.to_point) if leg.to_point else "not seen further") for leg in legs]
    cells = [_cells(leg) for leg in legs]
    clocks = [_clock(leg) for leg in legs]
    begin, end = (max(len(pair[side]) for pair in names) for side in (0, 1))
    widths = [max(len(heading), *(len(row[i]) for row in cells)) for i, heading in enumerate(_HEADINGS)]
    margin = " " * (begin + end + 8)
    lines = [f"\nSegments of connection {number}\n", _line(margin, _HEADINGS, widths, "clock error" * any(clocks))]
    for direction, title in enumerate(("client to server", "server to client")):
        rows = [i for i, leg in enumerate(legs) if leg.forward == (direction == 0)]
        if rows:
            losses = ", ".join(_losses(summaries, index, (direction,)))
            lines.append(f"  {title}{f': {losses}' if losses else ''}\n")
        for i in rows:
            segment = f"    {names[i][0]:<{begin}} -> {names[i][1]:<{end}}"
            lines.append(_line(segment, cells[i], widths, clocks[i]))
    return "".join(lines)


def _line(segment: str, cells: tuple[str, ...], widths: list[int], clock: str) -> str:
    numbers = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{segment}{numbers}  {clock}".rstrip() + "\n"


def _cells(leg: Leg) -> tuple[str, ...]:
    tried = leg.packets + leg.lost
    share = f" ({100 * leg.lost / tried:.1f} %)" if leg.lost and leg.packets else ""
    times = (leg.minimum_ns, leg.median_ns, leg.p99_ns)
    latencies = (duration(time) if time is not None else _NONE for time in times)
    packets = f"{leg.packets:,}" if leg.to_point else _NONE
    return packets, f"{leg.lost:,}{share}", f"{leg.unknown:,}", *latencies


def _clock(leg: Leg) -> str:
    """How far the clocks at the two ends may be apart; empty where one clock stamped both."""
    if leg.to_point is None or leg.clock_error_ns == 0:
        return ""
    return f"± {duration(leg.clock_error_ns)}" if leg.clock_error_ns is not None else "unknown"


def _point(end: LegEnd) -> str:
    where = f" ({end.container})" if end.container else f" ({end.netns})" if end.netns != "root" else ""
    direction = f" {end.direction}" if end.direction != "unknown" else ""
    return f"{end.node} {end.interface}{where}{direction}"
