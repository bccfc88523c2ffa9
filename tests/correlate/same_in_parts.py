"""What is correlated in parts has to come out the same."""

import json
from collections.abc import Sequence
from pathlib import Path

from ttrace.correlate import Correlation
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.report import render_telling
from ttrace.report.telling import Telling

FEW = 12
"""Sightings in a part: so few that nearly every group of flows is a part of its own."""


def document(telling: Telling) -> dict:
    """The JSON of it, but for how it is said why a file has nothing in common with the others: that is worked out in
    the largest part."""
    found = json.loads("".join(render_telling(telling, "json")))
    for capture in found["captures"]:
        capture["nothing_in_common"] = (capture["nothing_in_common"] or {}).get("scope")
    return found


def assert_same_in_parts(
    files: Sequence[str | Path],
    result: Correlation,
    vxlan_ports: Sequence[int] = (),
    *,
    most: int = FEW,
    workers: int = 1,
) -> int:
    """Compare with the result in memory; returns the number of parts."""
    parted = correlate_in_parts(
        [str(file) for file in files], lambda _stage, _done: None, most=most, workers=workers, vxlan_ports=vxlan_ports
    )
    try:
        whole, parts = (document(Telling.chosen(one, every_path=True)) for one in (result, parted))
        assert parts["captures"] == whole["captures"]
        assert parts["findings"] == whole["findings"]
        assert parts["connections"] == whole["connections"]
        assert parts["paths"] == whole["paths"]
        for every_path in (False, True):
            text, in_parts = (
                "".join(render_telling(Telling.chosen(one, every_path=every_path), "text")) for one in (result, parted)
            )
            captures, connections = "\nCaptures", "\nConnections"
            assert in_parts[: in_parts.index(captures)] == text[: text.index(captures)]
            assert in_parts[in_parts.index(connections) :] == text[text.index(connections) :]
        return parted.count
    finally:
        parted.close()
