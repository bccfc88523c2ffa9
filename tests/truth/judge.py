"""Compare the paths of a document with the packets there really were."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from .rawfile import Frame, packets

Key = Hashable


@dataclass(frozen=True)
class Score:
    """How the partition into paths compares with the true one."""

    packets: int
    """Packets that were really there."""
    frames: int
    paths: int
    wrong: int
    """Paths that hold frames of two packets."""
    missed: int
    """Packets whose frames are not all in one path."""

    def __str__(self) -> str:
        counted = f"{self.frames} frames, {self.packets} packets, {self.paths} paths"
        return f"{counted}, {self.wrong} wrong, {self.missed} missed"


def number_packets(frames: list[Frame], content: Callable[[Frame], Key]) -> dict[tuple[str, int], Key]:
    """(file, frame number) -> packet.

    Equal contents are told apart by how often their point will still see them: a wire keeps the order. They are
    counted from the end, because captures begin one namespace after another, while the kernel repeats the multicast
    reports of a link that has just come up, and end together, in silence.
    """
    seen: Counter[Key] = Counter()
    found = {}
    for frame in sorted(packets(frames), key=lambda frame: (frame.time_ns, frame.number), reverse=True):
        key = content(frame)
        found[frame.file, frame.number] = (key, seen[key, frame.place])
        seen[key, frame.place] += 1
    return found


def score(truth: dict[tuple[str, int], Key], grouped: dict[Key, list[tuple[str, int]]]) -> Score:
    """Compare the true packet of each frame with a grouping of the frames."""
    groups_of_packet = defaultdict(set)
    wrong = 0
    for group, members in grouped.items():
        mixed = {truth[member] for member in members}
        wrong += len(mixed) > 1
        for packet in mixed:
            groups_of_packet[packet].add(group)
    missed = sum(len(groups) > 1 for groups in groups_of_packet.values())
    missed += len(set(truth.values()) - set(groups_of_packet))
    return Score(len(set(truth.values())), len(truth), len(grouped), wrong, missed)


def frames_of_paths(paths: list[dict[str, Any]]) -> dict[Key, list[tuple[str, int]]]:
    """Path id -> its frames as (file, number)."""
    grouped = {}
    for path in paths:
        frames = [hop["frame"] for hop in path["hops"] if hop["kind"] == "interface"]
        if frames:
            grouped[path["id"]] = [(frame["file"].rsplit("/", 1)[-1], frame["number"]) for frame in frames]
    return grouped


def frame_errors(frames: list[Frame], grouped: dict[Key, list[tuple[str, int]]]) -> list[str]:
    """Captured frames that are not in exactly one path, once."""
    counted = Counter(member for members in grouped.values() for member in members)
    captured = {(frame.file, frame.number) for frame in packets(frames)}
    return [
        f"{member} is in {counted[member]} places"
        for member in captured | set(counted)
        if counted[member] != 1 or member not in captured
    ]


def places(path: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The capture points of a path, in its order."""
    return [
        (hop["node"], hop["netns"], hop["interface"], hop["direction"])
        for hop in path["hops"]
        if hop["kind"] == "interface"
    ]


def rewrites(path: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """The rewrites of a path in short: node, field, kind, undo."""
    return [(r["node"], r["field"], r["kind"], r["undo"]) for r in path["rewrites"]]


def with_port(paths: list[dict[str, Any]], port: int) -> list[dict[str, Any]]:
    """The paths of packets that have this port at one end at their first hop."""
    return [p for p in paths if any(p["hops"][0][end].endswith(f":{port}") for end in ("source", "destination"))]
