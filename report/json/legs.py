"""What a connection met on its way, as JSON text.

The text is put together here, not by `json.dumps`: a capture of 100,000 connections has a million legs, and they have
few points, so that what is the same in all of them is written once.
"""

import json
from functools import cache

from ...correlate.summaries.connections import ConnectionSummary
from ...correlate.summaries.legs import Leg, LegEnd


def summary_fields(summary: ConnectionSummary) -> str:
    """`"legs": […], "retransmissions": {…}, …` of a connection."""
    legs, again, spurious = ", ".join(map(_leg, summary.legs)), summary.retransmissions, summary.spurious
    return (
        f'"legs": [{legs}], "retransmissions": {{"forward": {again[0]}, "reply": {again[1]}}}, '
        f'"spurious_retransmissions": {{"forward": {spurious[0]}, "reply": {spurious[1]}}}'
    )


def _leg(leg: Leg) -> str:
    return (
        f'{{"direction": "{"forward" if leg.forward else "reply"}", "from": {_end(leg.from_point)}, '
        f'"to": {_end(leg.to_point)}, "packets": {leg.packets}, "lost": {leg.lost}, "unknown": {leg.unknown}, '
        f'"latency_min_ns": {_number(leg.minimum_ns)}, "latency_median_ns": {_number(leg.median_ns)}, '
        f'"latency_p99_ns": {_number(leg.p99_ns)}, "clock_error_ns": {_number(leg.clock_error_ns)}}}'
    )


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


@cache
def _end(end: LegEnd | None) -> str:
    if end is None:
        return "null"
    return json.dumps({"node": end.node, "netns": end.netns, "interface": end.interface, "direction": end.direction})
