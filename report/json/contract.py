"""The JSON contract, schema 1 (docs/json.md). Fields may be added; these keep their names and meaning."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from ...correlate.in_common.shared_packets import NothingInCommon
from ...correlate.netfilter.rules import Rule
from ...correlate.result.correlation import Correlation
from ...correlate.result.reasons import ReasonNote
from ...correlate.result.select import Selection
from ...correlate.result.values import (
    ChainHop,
    Connection,
    Encapsulation,
    Hop,
    InterfaceHop,
    KernelHop,
    Path,
    RewriteStep,
)
from ...correlate.summaries.captures import CaptureFacts, capture_facts, merged_facts
from ...correlate.summaries.connections import summarise_connections
from ..telling.parts import Views, in_order_of_ids
from .legs import SummaryText

SCHEMA: Final = 1


def json_pieces(views: Views) -> Iterator[str]:
    """The document in pieces: one connection or path at a time, so that a large one never stands in memory whole."""
    captures = [_capture(facts) for facts in merged_facts([capture_facts(part) for part, _ in views.each()])]
    yield f'{{"schema": {SCHEMA},\n "captures": {json.dumps(captures)},\n "connections": ['
    yield from in_order_of_ids(views, _connections, separator=",")
    yield '\n ],\n "paths": ['
    yield from in_order_of_ids(views, _paths, separator=",")
    yield "\n ]}\n"


def _connections(result: Correlation, selection: Selection) -> Iterator[tuple[int, str]]:
    """(id, JSON text) of the chosen connections."""
    summary = SummaryText(summarise_connections(result, selection.connections))
    indexes = np.flatnonzero(selection.connections).tolist()
    for index, connection in zip(indexes, result.connections_at(indexes), strict=True):
        yield connection.id, f"\n  {json.dumps(_connection(connection))[:-1]}, {summary.fields(index)}}}"


def _paths(result: Correlation, selection: Selection) -> Iterator[tuple[int, str]]:
    """(id, JSON text) of the chosen paths."""
    for index in np.flatnonzero(selection.paths).tolist():
        yield int(result.ids.paths[index]), "\n  " + json.dumps(path_object(result.path_at(index)))


def _capture(facts: CaptureFacts) -> dict[str, Any]:
    return {
        "file": facts.file,
        "node": facts.node,
        "packets": facts.packets,
        "trace_events": facts.trace_events,
        "conntrack_events": facts.conntrack_events,
        "lost": facts.lost,
        "lost_known": facts.lost_known,
        "truncated": facts.truncated,
        "malformed": facts.malformed,
        "undecoded": [{"what": what, "packets": packets} for what, packets in facts.undecoded],
        "shared_packets": facts.shared_packets,
        "nothing_in_common": _nothing_in_common(facts.nothing_in_common),
        "clock_offset_ns": facts.clock.offset_ns,
        "clock_error_ns": facts.clock.error_ns,
        "clock_basis": facts.clock.basis,
        "clock_drift_ppm": round(facts.clock.drift_ppm, 3),
        "clock_steps": facts.clock.steps,
        "interfaces": [
            {"name": i.name, "netns": i.netns, "packets": i.packets, "lost": i.lost} for i in facts.interfaces
        ],
    }


def _nothing_in_common(nothing: NothingInCommon | None) -> dict[str, Any] | None:
    if nothing is None:
        return None
    return {
        "scope": nothing.scope,
        "kind": nothing.kind,
        "text": nothing.text,
        "chatter_packets": nothing.chatter_packets,
    }


def _connection(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "protocol": connection.protocol,
        "client": connection.client,
        "client_name": connection.client_name,
        "server": connection.server,
        "server_name": connection.server_name,
        "outcome": connection.outcome,
        "reason": _reason(connection.reason),
        "views": [
            {
                "node": view.node,
                "netns": view.netns,
                "interface": view.interface,
                "source": view.source,
                "destination": view.destination,
            }
            for view in connection.views
        ],
        "paths": list(connection.paths),
        "rivals": list(connection.rivals),
    }


def path_object(path: Path) -> dict[str, Any]:
    """One path as the contract has it."""
    return {
        "id": path.id,
        "connection": path.connection,
        "protocol": path.protocol,
        "info": path.info,
        "direction": "forward" if path.forward else "reply",
        "outcome": path.outcome,
        "delivered_to": path.delivered_to,
        "reason": _reason(path.reason),
        "confidence": round(path.confidence, 3),
        "ambiguous": path.ambiguous,
        "rivals": list(path.rivals),
        "goes_on_as": list(path.goes_on_as),
        "comes_from": list(path.comes_from),
        "hops": [hop_object(hop) for hop in path.hops],
        "rewrites": [_rewrite(rewrite) for rewrite in path.rewrites],
    }


def _reason(reason: ReasonNote | None) -> dict[str, Any] | None:
    return {"kind": reason.kind, "text": reason.text, "rule": _rule(reason.rule)} if reason else None


def _rule(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {
        "family": rule.family,
        "table": rule.table,
        "chain": rule.chain,
        "handle": rule.handle or None,
        "number": rule.number or None,
        "text": rule.text,
    }


def hop_object(hop: Hop) -> dict[str, Any]:
    """One hop as the contract has it."""
    if isinstance(hop, ChainHop):
        return _chain_hop(hop)
    return asdict(hop) if isinstance(hop, KernelHop) else _interface_hop(hop)


def _chain_hop(hop: ChainHop) -> dict[str, Any]:
    return {
        "kind": "chain",
        "node": hop.node,
        "netns": hop.netns,
        "hook": hop.hook,
        "family": hop.family,
        "table": hop.table,
        "chain": hop.chain,
        "priority": hop.priority,
        "time_ns": hop.time_ns,
        "source": hop.source,
        "destination": hop.destination,
        "rules": [
            {
                "chain": m.chain,
                "handle": m.handle or None,
                "number": m.number or None,
                "text": m.text,
                "verdict": m.verdict,
            }
            for m in hop.rules
        ],
        "verdict": hop.verdict,
        "policy": hop.by_policy,
    }


def _interface_hop(hop: InterfaceHop) -> dict[str, Any]:
    return {
        "kind": "interface",
        "node": hop.node,
        "netns": hop.netns,
        "interface": hop.interface,
        "container": hop.container,
        "direction": hop.direction,
        "time_ns": hop.time_ns,
        "source": hop.source,
        "destination": hop.destination,
        "order_known": hop.order_known,
        "ttl": hop.ttl,
        "length": hop.length,
        "encapsulation": _encapsulation(hop.encapsulation),
        "frame": {"file": hop.file, "number": hop.frame},
    }


def _encapsulation(tunnel: Encapsulation | None) -> dict[str, Any] | None:
    if tunnel is None:
        return None
    return {
        "kind": tunnel.kind.lower(),
        "id": tunnel.id,
        "source": tunnel.source,
        "destination": tunnel.destination,
        "levels": tunnel.levels,
    }


def _rewrite(rewrite: RewriteStep) -> dict[str, Any]:
    return {
        "node": rewrite.node,
        "netns": rewrite.netns,
        "after_hop": rewrite.after_hop,
        "before_hop": rewrite.before_hop,
        "field": rewrite.field,
        "from": rewrite.old,
        "to": rewrite.new,
        "kind": rewrite.kind,
        "undo": rewrite.undo,
        "evidence": rewrite.evidence,
        "rule": _rule(rewrite.rule),
    }
