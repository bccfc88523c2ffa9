"""What a correlation says of a scene, against the truth: found, missed, wrong."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ttrace.correlate import Correlation

Member = tuple[int, int]
"""(File, frame number) of a frame or a trace message."""


@dataclass(slots=True, kw_only=True)
class Score:
    """Counts of one scene, and where each mistake is."""

    packets: int = 0
    """That were recorded anywhere."""
    paths: int = 0
    split_though_unlike: list[int] = field(default_factory=list)
    """Packets in several paths, though there is no other like them and none is said to be ambiguous."""
    mistakes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Kind to what is wrong, each in a line."""

    def count(self) -> Counter[str]:
        return Counter({kind: len(lines) for kind, lines in self.mistakes.items()})


@dataclass(slots=True, kw_only=True)
class _Path:
    """A path, in the terms of the truth."""

    number: int
    members: list[Member]
    """In the order of its hops."""
    packets: set[int]
    ambiguous: bool
    certain_order: list[bool]


def judge(result: Correlation, truth: dict[str, Any]) -> Score:
    """Compare; `result`: of the scene's files, in the order of `sources`."""
    of_member = {(file, number): packet for file, number, packet in truth["frames"] + truth["messages"]}
    packets = {packet["id"]: packet for packet in truth["packets"]}
    paths = _paths(result, of_member)
    score = Score(packets=len(set(of_member.values())), paths=len(paths))
    frames = {(file, number) for file, number, _ in truth["frames"]}
    _judge_accounts(score, paths, frames)
    for path in paths:
        _judge_mixed(score, path, [packets[number] for number in sorted(path.packets)])
        if len(path.packets) == 1:
            (number,) = path.packets
            _judge_order(score, path, packets[number])
            _judge_said(score, path, packets[number], result)
    _judge_split(score, paths, packets, frames)
    return score


def _paths(result: Correlation, of_member: dict[Member, int]) -> list[_Path]:
    sightings, hops = result.sightings, result.hops
    found: dict[int, _Path] = {}
    for packet, row in zip(hops["packet"].tolist(), hops["sighting"].tolist(), strict=True):
        member = (int(sightings["file"][row]), int(sightings["frame"][row]))
        path = found.setdefault(packet, _Path(
            number=packet + 1, members=[], packets=set(), ambiguous=bool(result.packets.ambiguous[packet]),
            certain_order=[],
        ))  # fmt: skip
        path.members.append(member)
        path.certain_order.append(not (row < result.order_doubtful.size and result.order_doubtful[row]))
        path.packets.add(of_member.get(member, 0))
    return list(found.values())


def _judge_accounts(score: Score, paths: list[_Path], frames: set[Member]) -> None:
    """Every frame is in one path, and nothing else is."""
    counted = Counter(member for path in paths for member in path.members)
    for member in sorted(frames | set(counted)):
        if counted[member] != 1:
            score.mistakes["frame not in one path"].append(f"{member}: {counted[member]}")
    for path in paths:
        if 0 in path.packets:
            score.mistakes["frame of nothing"].append(f"path {path.number}")
            path.packets.discard(0)


def _judge_mixed(score: Score, path: _Path, packets: list[dict[str, Any]]) -> None:
    if len(packets) < 2:
        return
    connections = {packet["connection"] for packet in packets}
    contents = {packet["content"] for packet in packets}
    kind = "two connections" if len(connections) > 1 else "two contents" if len(contents) > 1 else "two equals"
    if any(set(a["comes_from"]) & {b["id"]} for a in packets for b in packets):
        kind = "cut differently"
    said = "said to be ambiguous" if path.ambiguous else "sure"
    score.mistakes[f"{kind}, {said}"].append(f"path {path.number}: packets {[p['id'] for p in packets]}")


def _judge_split(score: Score, paths: list[_Path], packets: dict[int, dict[str, Any]], frames: set[Member]) -> None:
    """Packets in several paths. A trace message that shows the header of a tunnel only is left out: nothing but a frame
    says what is inside."""
    outer = {
        tuple(frame) for packet in packets.values() for point in packet["points"] if point["tunnel"]
        for frame in point["frames"]
    } - frames  # fmt: skip
    paths_of: dict[int, list[_Path]] = defaultdict(list)
    for path in paths:
        if not all(member in outer for member in path.members):
            for number in path.packets:
                paths_of[number].append(path)
    contents = Counter(packet["content"] for packet in packets.values())
    for number, some in paths_of.items():
        if len(some) > 1:
            unlike = contents[packets[number]["content"]] == 1
            unsure = any(path.ambiguous for path in some)
            kind = "split, ambiguous" if unsure else "split, unlike any other" if unlike else "split"
            if unlike and not unsure:
                score.split_though_unlike.append(number)
            score.mistakes[kind].append(f"packet {number}: paths {[path.number for path in some]}")


def _judge_order(score: Score, path: _Path, packet: dict[str, Any]) -> None:
    position = {tuple(frame): index for index, point in enumerate(packet["points"]) for frame in point["frames"]}
    for (before, _), (after, certain) in pairwise(zip(path.members, path.certain_order, strict=True)):
        if position[before] > position[after] and certain:
            a, b = (packet["points"][position[one]] for one in (before, after))
            score.mistakes["order"].append(f"path {path.number}: {_step(a)} before {_step(b)}")


def _step(point: dict[str, Any]) -> str:
    place = point["chain"] if point["kind"] == "chain" else f"{point['interface']} {point['direction']}"
    return f"{point['node']}/{point['netns']} {place}"


_WRONG = {
    ("delivered", "dropped"), ("delivered", "lost"), ("dropped", "delivered"), ("lost", "delivered"),
}  # fmt: skip
"""(Said, true). `unknown` is never wrong, and a packet that was dropped unseen is lost."""


def _judge_said(score: Score, path: _Path, packet: dict[str, Any], result: Correlation) -> None:
    said = result.path(path.number)
    if (said.outcome, packet["outcome"]) in _WRONG:
        reason = said.reason.kind if said.reason else "-"
        kind = f"outcome {said.outcome} ({reason}) for {packet['outcome']} ({packet['reason']})"
        score.mistakes[kind].append(f"path {path.number}, at {packet['where']}")
    rule = said.reason.rule if said.reason else None
    if said.outcome == "dropped" and rule is not None and packet["rule"] is not None:
        family, table, chain, handle = packet["rule"]
        if (rule.family, rule.table, rule.chain) != (family, table, chain) or rule.handle not in (0, handle):
            score.mistakes["rule of a drop"].append(f"path {path.number}: {rule}, but {packet['rule']}")
    _judge_rewrites(score, path, packet, said)


def _judge_rewrites(score: Score, path: _Path, packet: dict[str, Any], said: Any) -> None:
    position = {tuple(frame): index for index, point in enumerate(packet["points"]) for frame in point["frames"]}
    seen = sorted(position[member] for member in path.members)
    expected = Counter()
    for rewrite in packet["rewrites"]:
        at = rewrite["points_before"]
        if seen[0] < at <= seen[-1]:
            end = [_endpoint(packet, *rewrite[side]) for side in ("from", "to")]
            expected[(rewrite["field"], *end, rewrite["undo"])] += 1
    claimed = Counter((r.field, r.old, r.new, r.undo) for r in said.rewrites)
    for key in (claimed - expected).elements():
        score.mistakes["rewrite that was not"].append(f"path {path.number}: {key}")
    for key in (expected - claimed).elements():
        score.mistakes["rewrite missed"].append(f"path {path.number}: {key}")
    of = {(r["node"], r["netns"], r["field"], r["undo"]): r for r in packet["rewrites"]}
    for rewrite in said.rewrites:
        true = of.get((rewrite.node, rewrite.netns, rewrite.field, rewrite.undo))
        general = {"masquerade": "snat", "redirect": "dnat"}
        if true is None:
            continue
        if rewrite.kind not in (true["kind"], general.get(true["kind"])):
            score.mistakes["kind of a rewrite"].append(f"path {path.number}: {rewrite.kind} for {true['kind']}")
        rule = rewrite.rule
        if rule is not None and [rule.family, rule.table, rule.chain] != true["rule"][:3]:
            score.mistakes["rule of a rewrite"].append(f"path {path.number}: {rule} for {true['rule']}")


def _endpoint(packet: dict[str, Any], address: str, port: int) -> str:
    if packet["protocol"] not in ("tcp", "udp"):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
