"""Snapshots in captures -> checked data, by the node they tell of. What does not have the shape of docs/file-format.md
is left out and counted."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...errors import TtraceError
from ...pcapng.read import CaptureFile
from .rings import ring_file
from .shapes import SHAPES, TEXT_OR_NONE, Maybe, fits
from .sources import Source


class Key(NamedTuple):
    """Which facts a snapshot holds."""

    netns: str | None
    """Label of the namespace, None for facts about the whole node."""
    kind: str
    moment: str
    """`start`, `change` or `stop`."""


@dataclass(slots=True, kw_only=True)
class Snapshots:
    """All whole snapshots of one file, in order."""

    found: list[tuple[int, Key, Any]] = field(default_factory=list)
    """(time_ns, key, data)."""
    interfaces: list[int] = field(default_factory=list)
    """The interface of the file at which each stands."""
    frames: list[int] = field(default_factory=list)
    """Wireshark's number of the frame that holds each; of several parts the first that came."""
    damaged: int = 0
    """Frames of the snapshot interface that are none, or whose data has another shape."""


@dataclass(slots=True, kw_only=True)
class NodeSnapshots:
    """What the snapshots of all files say, by node. The stages get what they need of it, not all of this text."""

    file_nodes: list[str]
    """The node of each file."""
    damaged: list[int]
    """Per file: snapshots that could not be read."""
    latest: dict[tuple[str, Key], Any] = field(default_factory=dict)
    """Data of the last snapshot of each node and key."""
    rulesets: dict[tuple[str, str | None], list[tuple[int, Any]]] = field(default_factory=dict)
    """(node, netns label) to (time in ns, data) of every ruleset snapshot, earliest first."""
    rulesets_at: dict[tuple[str, str | None], list[tuple[int, int]]] = field(default_factory=dict)
    """The number of its file and the frame in it, of each of them."""
    spans: list[tuple[int | None, int | None]] = field(default_factory=list)
    """Per file: from when to when it has every packet, as far as it says."""
    where: dict[tuple[str, Key], tuple[int, int, int]] = field(default_factory=dict)
    """Of each in `latest`: the number of its file, the frame in it, and when it was taken."""
    counted: dict[tuple[str, str | None], dict[int, dict[str, Any]]] = field(default_factory=dict)
    """(node, netns label) to what each file says, by moment, of what the kernel counts."""
    in_rings: dict[tuple[str, str | None, str], list[Any]] = field(default_factory=dict)
    """(node, netns label, kind) to what the files of a ring say, earliest first: of what comes and goes in days, the
    snapshots of its first and last file show little."""

    def ever(self, node: str, netns: str | None, kind: str) -> list[Any]:
        """Lists about a namespace at all times, the latest first."""
        known = self.in_rings.get((node, netns, kind), [])
        return known[::-1] or [self.of_namespace(node, netns, kind, moment) for moment in ("stop", "start")]

    def of_node(self, node: str, kind: str, moment: str = "start") -> Any:  # noqa: ANN401 - JSON
        """Data about a whole node; {} or [], as this kind is, where the captures have none."""
        return self.of_namespace(node, None, kind, moment)

    def of_namespace(self, node: str, netns: str | None, kind: str, moment: str = "start") -> Any:  # noqa: ANN401 - JSON
        """The same about one namespace."""
        return self.latest.get((node, Key(netns, kind, moment))) or ([] if isinstance(SHAPES.get(kind), list) else {})


def gather_snapshots(captures: Sequence[CaptureFile], sources: Sequence[Source]) -> NodeSnapshots:
    """The snapshots of all files, with the node that each file was taken on: named by its source, else by itself.

    Raises TtraceError where two machines have one name.
    """
    nodes = [node_of(capture, source) for capture, source in zip(captures, sources, strict=True)]
    gathered = NodeSnapshots(file_nodes=nodes, damaged=[])
    for file, (capture, source, node) in enumerate(zip(captures, sources, nodes, strict=True)):
        snapshots = read_snapshots(capture)
        gathered.damaged.append(snapshots.damaged)
        in_ring = ring_file(capture) is not None
        if in_ring:
            # The node's capture ended as its last file says: with one that says nothing, it did not end.
            gathered.latest.pop((node, Key(None, "capture", "stop")), None)
        said = {key.moment: data for _, key, data in snapshots.found if key.kind == "capture"}
        began, ended = said.get("start", {}).get("started_ns"), said.get("stop", {}).get("ended_ns")
        gathered.spans.append((began if isinstance(began, int) else None, ended if isinstance(ended, int) else None))
        known = gathered.of_node(node, "node")
        for (time_ns, key, data), frame in zip(snapshots.found, snapshots.frames, strict=True):
            _refuse_another_machine(known, node, key, data, source)
            gathered.latest[(node, key)] = data
            gathered.where[(node, key)] = file, frame, time_ns
            if key.kind == "counters":
                gathered.counted.setdefault((node, key.netns), {}).setdefault(file, {})[key.moment] = data
            elif key.kind == "ruleset":
                _add_ruleset(gathered, (node, key.netns), (time_ns, data), (file, frame), in_ring=in_ring)
            elif in_ring and key.kind in ("links", "addresses", "containers"):
                known_before = gathered.in_rings.setdefault((node, key.netns, key.kind), [])
                if not known_before or known_before[-1] != data:
                    known_before.append(data)
    return gathered


def _add_ruleset(
    gathered: NodeSnapshots,
    of: tuple[str, str | None],
    taken: tuple[int, Any],
    at: tuple[int, int],
    *,
    in_ring: bool,
) -> None:
    """One more snapshot. Of those of a ring that are equal one after the other, the first and the last tell all."""
    known, places = gathered.rulesets.setdefault(of, []), gathered.rulesets_at.setdefault(of, [])
    if in_ring and len(known) > 1 and known[-1][1] == taken[1] == known[-2][1]:
        known.pop()
        places.pop()
    known.append(taken)
    places.append(at)


def node_of(capture: CaptureFile, source: Source) -> str:
    """The node a file was taken on."""
    return source.node or capture.facts.get("node") or source.stem


def _refuse_another_machine(known: Any, node: str, key: Key, data: Any, source: Source) -> None:  # noqa: ANN401
    """Two machines with one host name would be taken for one; `known`: what an earlier file says of the node."""
    if key != Key(None, "node", "start") or not known:
        return
    boots = known.get("boot_id"), data.get("boot_id")
    if None not in boots and boots[0] != boots[1]:
        raise TtraceError(
            f"`{source.path}` is from another machine (or boot) that is called `{node}` as well",
            f"name them apart: `{node}-2={source.path}`",
        )


def read_snapshots(capture: CaptureFile) -> Snapshots:
    """The snapshots of a ttrace capture; those in several parts put together."""
    wanted = [i for i, interface in enumerate(capture.interfaces) if interface.facts.get("what") == "snapshot"]
    snapshots = Snapshots()
    pieces: dict[tuple[int, int, Key], dict[int, str]] = {}
    first_frames: dict[tuple[int, int, Key], int] = {}
    rows = np.flatnonzero(np.isin(capture.records["interface"], wanted))
    for row, record in zip(rows.tolist(), capture.records.take(rows), strict=True):
        number = capture.frame_of(row)
        start, time_ns, interface = (int(record[name]) for name in ("offset", "time_ns", "interface"))
        frame = _parse(_behind_tags(bytes(capture.data[start : start + int(record["captured"])])))
        if not fits(
            frame, {"netns": TEXT_OR_NONE, "kind": str, "moment": str, "part": Maybe(int), "parts": Maybe(int)}
        ):
            snapshots.damaged += 1
            continue
        key = Key(frame.get("netns"), frame["kind"], frame["moment"])
        parts = frame.get("parts") or 1
        data = frame.get("data")
        if parts > 1:
            if not isinstance(data, str) or frame.get("part") is None:
                snapshots.damaged += 1
                continue
            known = pieces.setdefault((interface, time_ns, key), {})
            known[frame["part"]] = data
            number = first_frames.setdefault((interface, time_ns, key), number)
            if len(known) < parts:
                continue
            data = _parse("".join(known[part] for part in sorted(known)).encode())
        if fits(data, SHAPES.get(key.kind, object)):
            snapshots.found.append((time_ns, key, data))
            snapshots.interfaces.append(interface)
            snapshots.frames.append(number)
        else:
            snapshots.damaged += 1
    return snapshots


def _behind_tags(payload: bytes) -> bytes:
    """What follows the tags of an exported PDU (epan/exported_pdu.h of Wireshark: tag 0 ends them)."""
    at = 0
    while at + 4 <= len(payload):
        tag, length = struct.unpack_from(">HH", payload, at)
        at += 4 + length
        if tag == 0:
            break
    return payload[at:]


def _parse(text: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None  # fits no shape: counted by the caller
