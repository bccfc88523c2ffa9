"""What a connection met on its way, as the contract has it."""

from typing import Any

from ...correlate.summaries.connections import ConnectionSummary
from ...correlate.summaries.legs import Leg, LegEnd
from ...correlate.summaries.timeline import PLACES, Timeline


def summary_object(summary: ConnectionSummary) -> dict[str, Any]:
    """The fields that a connection has from its summary."""
    return {
        "legs": [leg_object(leg) for leg in summary.legs],
        "retransmissions": ways_object(*summary.retransmissions),
        "spurious_retransmissions": ways_object(*summary.spurious),
        "timeline": timeline_object(summary.timeline),
    }


def leg_object(leg: Leg) -> dict[str, Any]:
    """One leg as the contract has it."""
    return {
        "direction": "forward" if leg.forward else "reply",
        "from": _end(leg.from_point),
        "to": _end(leg.to_point) if leg.to_point else None,
        "packets": leg.packets,
        "lost": leg.lost,
        "unknown": leg.unknown,
        "latency_min_ns": leg.minimum_ns,
        "latency_median_ns": leg.median_ns,
        "latency_p99_ns": leg.p99_ns,
        "clock_error_ns": leg.clock_error_ns,
    }


def ways_object(forward: object, reply: object) -> dict[str, Any]:
    """A number of each way."""
    return {"forward": forward, "reply": reply}


def timeline_object(timeline: Timeline | None) -> dict[str, Any] | None:
    """Where the time of a connection went as the contract has it."""
    return {f"{name}_ns": getattr(timeline, name) for name in ("total", *PLACES)} if timeline else None


def _end(end: LegEnd) -> dict[str, str]:
    return {"node": end.node, "netns": end.netns, "interface": end.interface, "direction": end.direction}
