"""What a good run and a bad one differ in, as JSON (docs/json.md)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from ...correlate.compare.comparison import Comparison, PairTold
from ...correlate.compare.grouping import RoleKey
from ...correlate.compare.pairing import PairCompared
from ...correlate.compare.parting import Difference
from ...correlate.compare.runs import Run, Side
from .contract import SCHEMA, finding_object


def comparison_pieces(comparison: Comparison) -> Iterator[str]:
    """The document in pieces, one pair of groups at a time."""
    head = {"good": _run(comparison.good), "bad": _run(comparison.bad), "notes": list(comparison.notes)}
    yield f'{{"schema": {SCHEMA},\n' + ",\n".join(f' "{name}": {json.dumps(value)}' for name, value in head.items())
    yield from _list("pairs", map(_told, comparison.pairs))
    yield from _list("equal", map(_pair, comparison.equal))
    yield from _list("only_good", (_alone(*one) for one in comparison.only_good))
    yield from _list("only_bad", (_alone(*one) for one in comparison.only_bad))
    yield from _list("findings", map(finding_object, comparison.findings))
    yield from _list("recorded_otherwise", map(asdict, comparison.recorded))
    yield "}\n"


def _list(name: str, values: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield f',\n "{name}": ['
    separator = "\n  "
    for value in values:
        yield separator + json.dumps(value)
        separator = ",\n  "
    yield "\n ]"


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
