"""What a good run and a bad one differ in, as JSON (docs/json.md)."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ...correlate.compare.comparison import Comparison, PairTold
from ...correlate.compare.grouping import RoleKey
from ...correlate.compare.pairing import PairCompared
from ...correlate.compare.parting import Difference
from ...correlate.compare.runs import Run, Side
from .contract import finding_object
from .layout import Members, lines, small_document


def comparison_pieces(comparison: Comparison) -> Iterator[str]:
    """The document in pieces, one pair of groups at a time."""
    return small_document(_head(comparison), _lists(comparison))


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """The same as lines."""
    return lines(_head(comparison), _lists(comparison))


def _head(comparison: Comparison) -> dict[str, Any]:
    return {"good": _run(comparison.good), "bad": _run(comparison.bad), "notes": list(comparison.notes)}


def _lists(comparison: Comparison) -> list[Members]:
    return [
        Members("pairs", "pair", map(_told, comparison.pairs)),
        Members("equal", "equal", map(_pair, comparison.equal)),
        Members("only_good", "only_good", (_alone(*one) for one in comparison.only_good)),
        Members("only_bad", "only_bad", (_alone(*one) for one in comparison.only_bad)),
        Members("findings", "finding", map(finding_object, comparison.findings)),
        Members("recorded_otherwise", "recorded_otherwise", map(asdict, comparison.recorded)),
    ]


def _run(run: Run) -> dict[str, Any]:
    return {"files": list(run.files), "lost": run.lost, "connections": run.connections, "packets": run.packets}


def _told(told: PairTold) -> dict[str, Any]:
    return _pair(told.pair) | {
        "findings": [finding_object(finding) for finding in told.findings],
        "differences": [_difference(one) for one in told.differences],
    }


def _pair(pair: PairCompared) -> dict[str, Any]:
    return {"protocol": pair.protocol, "paired_by": pair.by, "good": _side(pair.good), "bad": _side(pair.bad)}


def _alone(key: RoleKey, side: Side) -> dict[str, Any]:
    return {"protocol": key.protocol} | _side(side)


def _side(side: Side) -> dict[str, Any]:
    return {
        "clients": sorted(side.clients),
        "servers": sorted(side.servers),
        "ports": sorted(side.ports),
        "connections": side.connections,
        "packets": side.packets,
        "first_connection": side.first_connection,
        "outcomes": dict(side.outcomes),
        "states": dict(side.states),
    }


def _difference(one: Difference) -> dict[str, Any]:
    return asdict(one) | {"common": list(one.common)}
