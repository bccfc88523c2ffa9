"""The result as pandas tables: packets, hops, rewrites, paths, connections, legs; ids as in the JSON contract."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..pcapng.rows import filtered
from .hops.rewrites import Evidence, Field
from .netfilter.rulebook import RewriteKind
from .netfilter.sources import kind_names
from .outcomes.kinds import OUTCOMES, REASON_KIND, Reason
from .result.correlation import Correlation
from .result.words import DIRECTIONS, address_text, protocol_name
from .sightings import EVALUATION, FRAME, of_kind, rows_in_table
from .summaries.connections import summarise_connections


def packets_table(result: Correlation) -> pd.DataFrame:
    """All observations: one row per captured frame, with its capture point, headers, path and connection."""
    captured = of_kind(result.sightings, FRAME)
    seen = result.sightings[captured]
    columns: dict[str, Any] = {
        "file": _category(seen["file"], [file.path for file in result.files]),
        "frame": seen["frame"],
        "node": _category(seen["place"], [p.node for p in result.topology.points]),
        "netns": _category(seen["namespace"], [n.label for n in result.topology.namespaces]),
        "interface": _category(seen["place"], [p.interface for p in result.topology.points]),
        "direction": _category(seen["direction"], list(DIRECTIONS)),
        "time_ns": result.times_ns[captured],
        "protocol": _protocols(seen),
    }
    columns |= _address_columns(seen)
    for name in ("ttl", "length", "ip_id", "sequence", "acknowledgment", "tcp_flags", "payload_length"):
        columns[name] = seen[name]
    columns["path"] = result.packets.packet[captured] + 1
    columns["connection"] = result.connections.connection[captured] + 1
    return pd.DataFrame(columns)


def hops_table(result: Correlation) -> pd.DataFrame:
    """All shown hops, path by path in order; `frame` is 0 and `interface` empty for a chain, and the other way
    round."""
    rows = filtered(result.hops, result.visible)
    sighting = rows["sighting"]
    seen = result.sightings.take(sighting)
    is_chain = seen["kind"] == EVALUATION
    chain = np.full(rows.size, -1, np.int64)
    if result.evaluations.rows.size:
        evaluation = rows_in_table(result.sightings, EVALUATION)[sighting[is_chain]]
        chain[is_chain] = result.evaluations.rows["chain"][evaluation]
    chains = result.evaluations.chains
    is_frame = seen["kind"] == FRAME
    point = np.where(is_frame, seen["place"], -1)
    columns: dict[str, Any] = {
        "path": rows["packet"] + 1,
        "kind": _category(seen["kind"].astype(np.int64), kind_names()),
        "node": _category(seen["namespace"], [n.node for n in result.topology.namespaces]),
        "netns": _category(seen["namespace"], [n.label for n in result.topology.namespaces]),
        "interface": _category(point, [p.interface for p in result.topology.points]),
        "direction": _category(np.where(is_frame, seen["direction"], -1), list(DIRECTIONS)),
        "hook": _category(chain, [c.base.hook for c in chains]),
        "table": _category(chain, [f"{c.family} {c.table}" for c in chains]),
        "chain": _category(chain, [c.name for c in chains]),
        "time_ns": result.times_ns[sighting],
    }
    columns |= _address_columns(seen)
    columns["ttl"] = seen["ttl"]
    columns["frame"] = np.where(is_frame, seen["frame"], 0)
    columns["file"] = _category(np.where(is_frame, seen["file"], -1), [file.path for file in result.files])
    return pd.DataFrame(columns)


def rewrites_table(result: Correlation) -> pd.DataFrame:
    """All rewrites, path by path in order."""
    before = result.sightings[result.hops["sighting"][result.rewrites["before"]]]
    after = result.sightings[result.hops["sighting"][result.rewrites["after"]]]
    columns: dict[str, Any] = {
        "path": result.rewrites["packet"] + 1,
        "node": _category(before["namespace"], [n.node for n in result.topology.namespaces]),
        "netns": _category(before["namespace"], [n.label for n in result.topology.namespaces]),
        "field": _category(result.rewrites["field"], [f.name.lower() for f in Field]),
        "kind": _category(result.rewrites["kind"], [k.name.lower() for k in RewriteKind]),
        "undo": result.rewrites["undo"],
        "evidence": _category(result.rewrites["evidence"], [e.name.lower() for e in Evidence]),
        "rule": _category(result.rewrites["rule"], [r.text for r in result.book.rules]),
    }
    is_source = result.rewrites["field"] == Field.SOURCE
    for name, side in (("old", before), ("new", after)):
        part = _address_columns(side)
        columns[f"{name}_address"] = part["source"].astype(object)
        columns[f"{name}_address"] = np.where(
            is_source, part["source"].astype(object), part["destination"].astype(object)
        )
        columns[f"{name}_port"] = np.where(is_source, side["source_port"], side["destination_port"])
    return pd.DataFrame(columns)


def paths_table(result: Correlation) -> pd.DataFrame:
    """One row per path: connection, protocol, outcome, reason, number of hops and rewrites, first and last frame's
    time."""
    head = result.sightings.take(result.head)
    shown = np.concatenate([[0], np.cumsum(result.visible)])
    return pd.DataFrame(
        {
            "path": np.arange(1, result.packets.count + 1),
            "connection": result.connection_of_path + 1,
            "protocol": _protocols(head),
            "forward": result.forward_of_path,
            "outcome": _category(result.outcomes.outcome, list(OUTCOMES)),
            "reason": _category(result.outcomes.reason, [REASON_KIND.get(r, "") for r in sorted(Reason)]),
            "confidence": result.confidence,
            "hops": shown[result.first_hop[1:]] - shown[result.first_hop[:-1]],
            "rewrites": np.diff(result.first_rewrite),
            "start_ns": result.times_ns[result.hops["sighting"][result.first_hop[:-1]]],
        }
    )


def connections_table(result: Correlation) -> pd.DataFrame:
    """One row per connection: protocol, client, server, outcome, number of paths."""
    return pd.DataFrame(
        [
            {"connection": c.id, "protocol": c.protocol, "client": c.client, "server": c.server,
             "outcome": c.outcome, "paths": c.packets}
            for c in result.connection_list()
        ]
    )  # fmt: skip


def legs_table(result: Correlation) -> pd.DataFrame:
    """One row per leg of each direction of each connection, as in docs/json.md; behind the last point that was reached
    there is no `to_interface`, and latencies that no packet has are missing."""
    legs = summarise_connections(result).legs
    points, namespaces = result.topology.points, result.topology.namespaces
    columns: dict[str, Any] = {"connection": legs["connection"] + 1, "forward": legs["reply"] == 0}
    for end in ("from", "to"):
        place, direction = np.divmod(legs[f"{end}_point"], 4)
        columns[f"{end}_node"] = _category(place, [p.node for p in points])
        columns[f"{end}_netns"] = _category(place, [namespaces[p.namespace].label for p in points])
        columns[f"{end}_interface"] = _category(place, [p.interface for p in points])
        columns[f"{end}_direction"] = _category(np.where(place < 0, -1, direction), list(DIRECTIONS))
    for name in ("packets", "lost", "unknown"):
        columns[name] = legs[name]
    for name, column in (("min", "minimum_ns"), ("median", "median_ns"), ("p99", "p99_ns")):
        columns[f"latency_{name}_ns"] = pd.arrays.IntegerArray(legs[column].copy(), legs["timed"] == 0)
    columns["clock_error_ns"] = pd.arrays.IntegerArray(legs["clock_error_ns"].copy(), legs["clock_error_ns"] < 0)
    return pd.DataFrame(columns)


def _category(codes: npt.NDArray[Any], names: list[str]) -> pd.Categorical:
    """Codes as a pandas Categorical of names; equal names share a category, codes beyond the names are missing."""
    unique = list(dict.fromkeys(names))
    table = np.array([unique.index(n) for n in names] + [-1], np.int64)
    codes = codes.astype(np.int64)
    codes = np.where((codes < 0) | (codes >= len(names)), len(names), codes)
    return pd.Categorical.from_codes(table[codes], categories=pd.Index(unique, dtype=object))


def _protocols(seen: npt.NDArray[np.void]) -> pd.Categorical:
    key = (seen["ethertype"].astype(np.int64) << 8) | seen["protocol"]
    values, codes = np.unique(key, return_inverse=True)
    return _category(codes.reshape(-1), [protocol_name(int(v) & 0xFF, int(v) >> 8) for v in values])


def _address_columns(seen: npt.NDArray[np.void]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for end in ("source", "destination"):
        pair = np.zeros(seen.size, [("high", "u8"), ("low", "u8")])
        pair["high"], pair["low"] = seen[f"{end}_high"], seen[f"{end}_low"]
        values, codes = np.unique(pair, return_inverse=True)
        columns[end] = _category(codes.reshape(-1), [address_text(int(v["high"]), int(v["low"])) for v in values])
        columns[f"{end}_port"] = seen[f"{end}_port"]
    return columns
