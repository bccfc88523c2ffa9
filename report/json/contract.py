"""The JSON contract, schema 1 (docs/json.md): its objects. Fields may be added; these keep their names and meaning."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...correlate.findings.values import Finding
from ...correlate.in_common.shared_packets import NothingInCommon
from ...correlate.netfilter.rules import Rule
from ...correlate.nodes.counted_drops import CountedDrops
from ...correlate.result.reasons import ReasonNote
from ...correlate.result.values import (
    ChainHop,
    Connection,
    Encapsulation,
    Hop,
    InterfaceHop,
    KernelHop,
    Path,
    Process,
    RewriteStep,
    RuleMatch,
    SequenceShift,
    View,
)
from ...correlate.summaries.captures import CaptureFacts


def capture_object(facts: CaptureFacts) -> dict[str, Any]:
    """One file as the contract has it."""
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
        "kernel_drops": _kernel_drops(facts.kernel_drops),
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


def _kernel_drops(counted: Sequence[CountedDrops] | None) -> list[dict[str, Any]] | None:
    if counted is None:
        return None
    return [{"reason": one.reason or None, "function": one.function or None, "packets": one.packets} for one in counted]


def finding_object(finding: Finding) -> dict[str, Any]:
    """One finding as the contract has it."""
    return asdict(finding) | {
        "confidence": confidence_told(finding.confidence),
        "rule": _rule(finding.rule),
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


def connection_object(connection: Connection) -> dict[str, Any]:
    """One connection as the contract has it, without what is in its summary (legs.py)."""
    return {
        "id": connection.id,
        "protocol": connection.protocol,
        "client": connection.client,
        "client_name": connection.client_name,
        "client_process": process_object(connection.client_process),
        "server": connection.server,
        "server_name": connection.server_name,
        "server_process": process_object(connection.server_process),
        "outcome": connection.outcome,
        "state": connection.state,
        "ending": connection.ending,
        "reason": reason_object(connection.reason),
        "views": [view_object(view) for view in connection.views],
        "paths": list(connection.paths),
        "rivals": list(connection.rivals),
    }


def view_object(view: View) -> dict[str, Any]:
    """Addresses at a point as the contract has them."""
    return {
        "node": view.node,
        "netns": view.netns,
        "interface": view.interface,
        "source": view.source,
        "destination": view.destination,
    }


def process_object(process: Process | None) -> dict[str, Any] | None:
    """Whose a socket is as the contract has it."""
    return {"pid": process.pid, "name": process.name, "container": process.container} if process else None


def path_object(path: Path) -> dict[str, Any]:
    """One path as the contract has it."""
    return path_facts(path) | {
        "hops": [hop_object(hop) for hop in path.hops],
        "rewrites": [rewrite_object(rewrite) for rewrite in path.rewrites],
    }


def path_facts(path: Path) -> dict[str, Any]:
    """The same without its way."""
    return {
        "id": path.id,
        "connection": path.connection,
        "protocol": path.protocol,
        "info": path.info,
        "direction": direction_name(path.forward),
        "outcome": path.outcome,
        "delivered_to": path.delivered_to,
        "reason": reason_object(path.reason),
        "confidence": confidence_told(path.confidence),
        "ambiguous": path.ambiguous,
        "rivals": list(path.rivals),
        "goes_on_as": list(path.goes_on_as),
        "comes_from": list(path.comes_from),
        "payload_rewritten": path.payload_rewritten,
        "sequence_shifted": _sequence_shift(path.sequence_shift),
    }


def direction_name(forward: bool) -> str:
    """Which way a path goes, in the words of the contract."""
    return "forward" if forward else "reply"


def confidence_told(confidence: float) -> float:
    """As many digits of it as the contract has."""
    return round(confidence, 3)


def _sequence_shift(shift: SequenceShift | None) -> dict[str, int] | None:
    return {"sequence": shift.sequence, "acknowledgment": shift.acknowledgment} if shift else None


def reason_object(reason: ReasonNote | None) -> dict[str, Any] | None:
    """Why a packet was not delivered as the contract has it."""
    return {"kind": reason.kind, "text": reason.text, "rule": _rule(reason.rule)} if reason else None


def _rule(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {"family": rule.family, "table": rule.table} | _rule_words(rule)


def _rule_words(rule: Rule | RuleMatch) -> dict[str, Any]:
    return {
        "chain": rule.chain,
        "handle": rule.handle or None,
        "number": rule.number or None,
        "text": rule.text,
        "changed": rule.changed,
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
        "rules": [match_object(match) for match in hop.rules],
        "verdict": hop.verdict,
        "policy": hop.by_policy,
    }


def match_object(match: RuleMatch) -> dict[str, Any]:
    """One rule that matched in a chain as the contract has it."""
    return _rule_words(match) | {"verdict": match.verdict}


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
        "frame": frame_object(hop),
    }


def frame_object(hop: InterfaceHop) -> dict[str, Any]:
    """The frame of a hop as the contract has it."""
    return {"file": hop.file, "number": hop.frame}


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


def rewrite_object(rewrite: RewriteStep) -> dict[str, Any]:
    """One rewrite as the contract has it."""
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
        "rule_changed": rewrite.rule_changed,
    }
