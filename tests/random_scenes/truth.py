"""What is true of a scene, as plain values (JSON): whose packet each frame and message is, and the way of packets."""

from hashlib import blake2b
from typing import Any

from .happened import AtDevice, Point, Rewrite, Story
from .packets import Packet
from .rules import OWN_TABLE
from .scene import Scene

_PROTOCOLS = {1: "icmp", 58: "icmpv6", 6: "tcp", 17: "udp"}


def truth_of(scene: Scene) -> dict[str, Any]:
    """The truth of a scene; README.md says what its parts are."""
    written = scene.written
    return {
        "seed": scene.seed,
        "sources": [list(source) for source in written.sources],
        "frames": [[file, number, packet] for (file, number), packet in sorted(written.frames.items())],
        "messages": [[file, number, packet] for (file, number), packet in sorted(written.messages.items())],
        "clocks": {
            r.host.name: {"shift_ns": r.clock.shift_ns, "drift_ppm": r.clock.drift_ppm, "step_ns": r.clock.step_ns,
                          "step_after_ns": r.clock.step_after_ns}
            for r in scene.recordings
        },
        "packets": [_packet(story, written.points) for story in scene.happened.stories],
    }  # fmt: skip


def _packet(story: Story, frames: dict[int, list[tuple[int, int]]]) -> dict[str, Any]:
    packet, end = story.packet, story.end
    return {
        "id": story.number,
        "connection": story.connection,
        "forward": story.forward,
        "protocol": _PROTOCOLS[packet.protocol],
        "content": _content(packet),
        "comes_from": [other.number for other in story.comes_from],
        "about": story.about.number if story.about else None,
        "points": [_point(point, frames.get(id(point), [])) for point in story.points],
        "rewrites": [_rewrite(rewrite) for rewrite in story.rewrites],
        "outcome": end.outcome,
        "reason": end.reason,
        "where": end.place,
        "rule": list(end.rule) if end.rule else None,
    }


def _content(packet: Packet) -> str:
    """The same for packets that nothing but their place and time tells apart."""
    return blake2b(repr((packet.content(), packet.payload)).encode(), digest_size=8).hexdigest()


def endpoint(packet: Packet, end: str) -> str:
    """`source` or `destination` as ttrace writes it."""
    address, port = getattr(packet, end), getattr(packet, f"{end}_port")
    return _written(packet, address, port)


def _written(packet: Packet, address: str, port: int) -> str:
    if packet.protocol not in (6, 17):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _point(point: Point, frames: list[tuple[int, int]]) -> dict[str, Any]:
    common = {
        "node": point.space.host.name,
        "netns": point.space.label,
        "time_us": round(point.time_us, 3),
        "source": endpoint(point.packet, "source"),
        "destination": endpoint(point.packet, "destination"),
        "tunnel": point.outer is not None,
        "ttl": point.packet.ttl,
        "frames": [list(frame) for frame in frames],
    }
    if isinstance(point, AtDevice):
        return {"kind": "interface", "interface": point.device.name, "direction": point.direction} | common
    chain, evaluation = point.chain, point.evaluation
    return {
        "kind": "chain", "hook": chain.hook, "family": chain.family, "table": chain.table, "chain": chain.name,
        "own": chain.table == OWN_TABLE, "verdict": "accept" if evaluation.verdict else "drop",
        "rules": [[m.chain, m.handle, m.verdict] for m in evaluation.matches],
    } | common  # fmt: skip


def _rewrite(rewrite: Rewrite) -> dict[str, Any]:
    return {
        "node": rewrite.space.host.name, "netns": rewrite.space.label, "field": rewrite.end,
        "from": list(rewrite.old), "to": list(rewrite.new), "kind": rewrite.kind, "undo": rewrite.undo,
        "rule": list(rewrite.rule) if rewrite.rule else None, "points_before": rewrite.position,
    }  # fmt: skip
