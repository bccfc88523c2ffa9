"""What a connection met on its way, as JSON text.

The text is put together here, not by `json.dumps`: a capture of 100,000 connections has a million legs, and they have
few points, so that what is the same in all of them is written once.
"""

import json
from typing import Final

from ...correlate.summaries.connections import ConnectionSummary
from ...correlate.summaries.legs import LegEnd
from ...correlate.summaries.timeline import PLACES, Timeline

_DIRECTIONS: Final = ("forward", "reply")


class SummaryText:
    """Writes the fields that a connection has from its summary."""

    def __init__(self) -> None:
        self._ends: dict[int, LegEnd] = {}
        self._text_of_end: dict[int, str] = {}

    def fields(self, summary: ConnectionSummary) -> str:
        """`"legs": […], "retransmissions": {…}, …` of a connection."""
        if summary.ends is not self._ends:  # those of another part
            self._ends = summary.ends
            self._text_of_end = {number: json.dumps(_end(end)) for number, end in self._ends.items()} | {-1: "null"}
        legs, again, spurious = ", ".join(map(self._leg, summary.leg_rows)), summary.retransmissions, summary.spurious
        return (
            f'"legs": [{legs}], "retransmissions": {{"forward": {again[0]}, "reply": {again[1]}}}, '
            f'"spurious_retransmissions": {{"forward": {spurious[0]}, "reply": {spurious[1]}}}, '
            f'"timeline": {_timeline(summary.timeline)}'
        )

    def _leg(self, row: tuple[int, ...]) -> str:
        """One LEG row."""
        _, reply, start, end, packets, lost, unknown, timed, minimum, median, p99, error = row
        latencies = (minimum, median, p99) if timed else ("null", "null", "null")
        return (
            f'{{"direction": "{_DIRECTIONS[reply]}", "from": {self._text_of_end[start]}, '
            f'"to": {self._text_of_end[end]}, "packets": {packets}, "lost": {lost}, "unknown": {unknown}, '
            f'"latency_min_ns": {latencies[0]}, "latency_median_ns": {latencies[1]}, '
            f'"latency_p99_ns": {latencies[2]}, "clock_error_ns": {error if error >= 0 else "null"}}}'
        )


def _timeline(timeline: Timeline | None) -> str:
    if timeline is None:
        return "null"
    parts = ", ".join(f'"{name}_ns": {getattr(timeline, name)}' for name in ("total", *PLACES))
    return f"{{{parts}}}"


def _end(end: LegEnd) -> dict[str, str]:
    return {"node": end.node, "netns": end.netns, "interface": end.interface, "direction": end.direction}
