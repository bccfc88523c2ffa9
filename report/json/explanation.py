"""Why frames are matched with others, as JSON (docs/json.md): the facts of the text form in words of the contract."""

from collections.abc import Iterator, Sequence
from typing import Any

from ...correlate.explain.absent_points import AbsentPoint, NearPacket
from ...correlate.explain.beside import Apart
from ...correlate.explain.equal_packets import EqualPacket
from ...correlate.explain.explain import Explanation, PathSighting, explain
from ...correlate.explain.flow_ties import TiedFlow
from ...correlate.result.correlation import Correlation
from .contract import frame_object, hop_object, path_facts
from .layout import Members, lines, small_document


def explanation_pieces(result: Correlation, sightings: Sequence[int]) -> Iterator[str]:
    """The document in pieces, one explained frame at a time; `sightings`: their rows."""
    return small_document({}, [_explanations(result, sightings)])


def explanation_lines(result: Correlation, sightings: Sequence[int]) -> Iterator[str]:
    """The same as lines."""
    return lines({}, [_explanations(result, sightings)])


def _explanations(result: Correlation, sightings: Sequence[int]) -> Members:
    explained = (explanation_object(explain(result, sighting)) for sighting in sightings)
    return Members("explanations", "explanation", explained)


def explanation_object(explanation: Explanation) -> dict[str, Any]:
    """One explanation as docs/json.md has it."""
    return {
        "frame": frame_object(explanation.frame),
        "path": path_facts(explanation.path),
        "connection_rivals": list(explanation.connection_rivals),
        "compared": [{"field": field.name, "value": field.value} for field in explanation.compared],
        "compared_transport_bytes": explanation.reach,
        "sightings": [_sighting(sighting) for sighting in explanation.sightings],
        "flows": [_flow(flow) for flow in explanation.flows],
        "equal": [_equal(packet) for packet in explanation.equal.shown],
        "equal_more": explanation.equal.more,
        "absent": [_absent(point) for point in explanation.absent],
    }


def _sighting(sighting: PathSighting) -> dict[str, Any]:
    return _hop_beside(sighting.seen) | {
        "ttl": sighting.ttl,
        "flow": sighting.flow,
        "payload": str(sighting.payload),
    }


def _flow(flow: TiedFlow) -> dict[str, Any]:
    here, there = flow.packets or (None, None)
    return {
        "node": flow.node,
        "netns": flow.netns,
        "source": flow.source,
        "destination": flow.destination,
        "tied_to": flow.tied_to,
        "tie": flow.tie.name.lower() if flow.tie is not None else None,
        "conntrack_id": flow.conntrack_id,
        "equal_packets": flow.votes,
        "packets": here,
        "packets_tied_to": there,
    }


def _apart(seen: Apart) -> dict[str, Any]:
    return {"path": seen.path, "connection": seen.connection} | _hop_beside(seen)


def _hop_beside(seen: Apart) -> dict[str, Any]:
    return {
        "hop": hop_object(seen.hop),
        "difference_ns": seen.difference_ns,
        "clock_error_ns": seen.clock_error_ns,
    }


def _equal(packet: EqualPacket) -> dict[str, Any]:
    return _apart(packet.seen) | {
        "why": str(packet.why),
        "both_seen": [hop_object(hop) for hop in packet.both] if packet.both is not None else None,
        "different_byte": packet.different_byte,
        "equal_packets": packet.votes,
        "packets": packet.packets,
        "rivals": list(packet.rivals),
    }


def _absent(point: AbsentPoint) -> dict[str, Any]:
    return {
        "node": point.node,
        "netns": point.netns,
        "interface": point.interface,
        "direction": point.direction,
        "why": str(point.why),
        "off_ns": point.off_ns,
        "filter": point.filter,
        "packets": point.packets,
        "nearness": str(point.nearness) if point.nearness is not None else None,
        "near": [_near(near) for near in point.near],
        "near_with_its_bytes": point.with_its_bytes,
    }


def _near(near: NearPacket) -> dict[str, Any]:
    differences = [{"field": d.name, "value": d.value, "instead_of": d.own} for d in near.differences]
    return _apart(near.seen) | {"differences": differences, "shared_bytes": near.shared_bytes}
