"""What each connection met on its way, as JSON text.

The text is put together here, not by `json.dumps`: a capture of 100,000 connections has a million legs, and they have
few points, so that what is the same in all of them is written once.
"""

import json
from typing import Final

from ...correlate.summaries.connections import ConnectionSummaries
from ...correlate.summaries.legs import LegEnd

_DIRECTIONS: Final = ("forward", "reply")


class SummaryText:
    """Writes the fields that a connection has from its summary."""

    def __init__(self, summaries: ConnectionSummaries) -> None:
        self._summaries = summaries
        self._ends = {number: json.dumps(_end(end)) for number, end in summaries.ends.items()} | {-1: "null"}

    def fields(self, index: int) -> str:
        """`"legs": […], "retransmissions": {…}, …` of a connection, by its index."""
        legs = ", ".join(map(self._leg, self._summaries.leg_rows(index).tolist()))
        again, spurious = self._summaries.retransmissions[index], self._summaries.spurious[index]
        return (
            f'"legs": [{legs}], "retransmissions": {{"forward": {again[0]}, "reply": {again[1]}}}, '
            f'"spurious_retransmissions": {{"forward": {spurious[0]}, "reply": {spurious[1]}}}'
        )

    def _leg(self, row: tuple[int, ...]) -> str:
        """One LEG row."""
        _, reply, start, end, packets, lost, unknown, timed, minimum, median, p99, error = row
        latencies = (minimum, median, p99) if timed else ("null", "null", "null")
        return (
            f'{{"direction": "{_DIRECTIONS[reply]}", "from": {self._ends[start]}, "to": {self._ends[end]}, '
            f'"packets": {packets}, "lost": {lost}, "unknown": {unknown}, "latency_min_ns": {latencies[0]}, '
            f'"latency_median_ns": {latencies[1]}, "latency_p99_ns": {latencies[2]}, '
            f'"clock_error_ns": {error if error >= 0 else "null"}}}'
        )


def _end(end: LegEnd) -> dict[str, str]:
    return {"node": end.node, "netns": end.netns, "interface": end.interface, "direction": end.direction}
