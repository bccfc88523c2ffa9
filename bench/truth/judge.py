"""Compare what a correlation claims with the truth, pair of frames by pair of frames."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise

from ttrace.correlate import correlate_captures
from ttrace.correlate.dataframes import packets_table, paths_table, rewrites_table
from ttrace.correlate.summaries.captures import capture_facts

from .claims import PathClaim, Told, judge_claims, last_accepted
from .score import Counts
from .truth import PORTS, address_of


@dataclass(kw_only=True)
class Score(Counts):
    """Counts of one correlation. `claimed` is without pairs cut differently and those of uncounted frames; `ambiguous`:
    true pairs found, and said to be; `rewrites_found`: with field, addresses, kind and undo right, and said to be
    inferred."""

    ambiguous_wrong: int = 0
    cut_differently: int = 0
    """Pairs of TCP frames that share bytes without being equal: neither right nor wrong."""
    mixed: int = 0
    """Paths that hold frames of two connections."""
    unordered: int = 0
    """Neighbouring hops whose order is said to be unknown."""
    rewrites_wrong: int = 0
    lost_wrong: int = 0
    """Without the ambiguous: which of several equal packets was lost nobody can know."""
    clock_error_ns: int = 0
    """The largest difference, over the frames, of the offset that ttrace took off a time and the one we had put on."""
    clock_bound_ns: int | None = 0
    """What ttrace says that is at most; None when it says nothing."""
    clock_ok: bool = True


def judge(frames, arguments, lost, reference_times, kept_bytes=None):
    """Correlate the captures (arguments of `ttrace correlate`, in the order of the files) and compare.

    `reference_times`: per frame, its time in the file as the first file's clock would have shown it. `kept_bytes`: of
    each packet, None for all.
    """
    result = correlate_captures(arguments)
    table = packets_table(result)
    assert len(table) == len(frames), f"{len(table)} rows for {len(frames)} frames"
    paths = table["path"].to_list()
    times = table["time_ns"].to_list()
    score = Score(frames=len(frames), uncounted=sum(frame.packet is None for frame in frames))
    _judge_pairs(score, frames, paths, result.packets.ambiguous)
    _judge_order(score, frames, paths, result)
    _judge_rewrites(score, frames, paths, rewrites_table(result), kept_bytes)
    _judge_losses(score, frames, paths, paths_table(result), lost, result.packets.ambiguous)
    _judge_clocks(score, frames, times, reference_times, result)
    _judge_claims(score, frames, paths, result, lost)
    return score


def _judge_pairs(score, frames, paths, ambiguous):
    of_packet, of_path = defaultdict(list), defaultdict(list)
    for frame, path in zip(frames, paths, strict=True):
        of_path[path].append(frame)
        if frame.packet is not None:
            of_packet[frame.packet].append(frame)
    score.true_pairs = sum(len(members) * (len(members) - 1) // 2 for members in of_packet.values())
    found = Counter()
    for path, members in of_path.items():
        unsure = bool(ambiguous[path - 1])
        score.mixed += len({connection for frame in members if (connection := _connection(frame)) is not None}) > 1
        for a, b in combinations(members, 2):
            if a.packet is None and b.packet is None:
                continue
            if a.packet == b.packet:
                score.found += 1
                score.claimed += not unsure
                score.ambiguous += unsure
                found[a.packet] += 1
            elif _share_bytes(a.segment, b.segment):
                score.cut_differently += 1
            elif unsure:
                score.ambiguous_wrong += 1
            else:
                score.claimed += 1
                score.wrong += 1
                score.samples["wrong"].append((path, _place(a), _place(b)))
    for packet, members in of_packet.items():
        if found[packet] < len(members) * (len(members) - 1) // 2:
            score.samples["missed"].append((packet, [_place(frame) for frame in members]))


def _judge_claims(score, frames, paths, result, lost):
    """The false claims of single paths; what is lost in truth is known, and all else arrived and was answered."""
    table = paths_table(result)
    rewrites = dict(table[["path", "rewrites"]].itertuples(index=False))
    members = defaultdict(list)
    for frame, path in zip(frames, paths, strict=True):
        if frame.packet is not None:
            members[path].append(frame)
    wrong_paths = {path for path, *_ in score.samples["wrong"]}
    accepted = last_accepted(result)
    claims = []
    for row in table.itertuples():
        found = members.get(row.path)
        if not found:
            continue
        packets = {frame.packet for frame in found}
        unsure = bool(result.packets.ambiguous[row.path - 1])
        told = Told(str(row.outcome), str(row.reason), float(row.confidence), unsure, row.path in accepted)
        arrived = bool(packets - lost)
        claim = PathClaim(row.path, told, rewrites[row.path], arrived=arrived, signed=arrived, answered=True)
        claim.lost = not arrived
        claim.false_rewrites = score.samples["false translations"].get(row.path, [])
        claim.wrong_pairs = row.path in wrong_paths
        claim.where = str([_place(frame) for frame in found])
        claims.append(claim)
    del score.samples["false translations"]
    judge_claims(score.claims, claims, score.samples)


def _place(frame):
    return frame.file, frame.number


def _connection(frame):
    """What no two connections share; None where the truth has none."""
    if frame.packet is None:
        return None
    kind, name = frame.packet[0][:2]
    if kind == "sealed":
        return kind
    return name if kind in ("tcp", "identical") else name[5:13]


def _share_bytes(a, b):
    if a is None or b is None or a[:2] != b[:2]:
        return False
    return (b[2] - a[2]) % 2**32 < a[3] or (a[2] - b[2]) % 2**32 < b[3]


def _judge_order(score, frames, paths, result):
    """Hops of true packets that stand the wrong way round, by the time tcpdump saw them."""
    position = {}
    rows = result.hops["sighting"]
    for place, sighting in enumerate(rows.tolist()):
        position[sighting] = place
    of_packet = defaultdict(list)
    for index, (frame, path) in enumerate(zip(frames, paths, strict=True)):
        if frame.packet is not None:
            of_packet[frame.packet, path].append(index)
    for members in of_packet.values():
        members.sort(key=lambda index: (frames[index].time_ns, frames[index].file))
        for a, b in _neighbours(frames, members):
            score.unordered += bool(result.order_doubtful[[a, b][position[a] < position[b]]])
            if position[a] > position[b] and frames[a].time_ns < frames[b].time_ns:
                if result.order_doubtful[a]:
                    continue
                score.misordered += 1
                score.samples["misordered"].append((_place(frames[a]), _place(frames[b])))


def _neighbours(frames, members):
    """The pairs of frames of which one came after the other; of a datagram in fragments, those of each of them."""
    pieces = {frames[index].piece for index in members if frames[index].piece is not None}
    found = {}
    for piece in pieces or {None}:
        found |= dict.fromkeys(pairwise(index for index in members if frames[index].piece in (None, piece)))
    return found


def _judge_rewrites(score, frames, paths, table, kept_bytes):
    of_packet = defaultdict(list)
    for frame, path in zip(frames, paths, strict=True):
        if frame.packet is not None and (kept_bytes is None or frame.header.addressed <= kept_bytes):
            of_packet[frame.packet].append((frame, path))
    expected = Counter()
    for members in of_packet.values():
        members.sort(key=lambda member: (member[0].time_ns, member[0].file if member[0].forward else -member[0].file))
        # A packet in several paths shows a rewrite in that which holds the frames before and behind it, or in none.
        shown = {
            change: path
            for path in {path for _, path in members}
            for change in _changes([frame for frame, of_frame in members if of_frame == path], kept_bytes)
        }
        for change in _changes([frame for frame, _ in members], kept_bytes):
            expected[shown.get(change), change] += 1
    claimed = Counter()
    # The table holds the identifier of an echo request as its port.
    with_ports = {
        path for frame, path in zip(frames, paths, strict=True) if frame.header and frame.header.protocol in PORTS
    }
    for row in table.itertuples():
        ends = [
            _endpoint(address, port if row.path in with_ports else 0)
            for address, port in ((row.old_address, row.old_port), (row.new_address, row.new_port))
        ]
        claimed[row.path, (row.field, *ends, row.kind, bool(row.undo), row.evidence)] += 1
    counted = {path for members in of_packet.values() for _, path in members}
    claimed = Counter({key: n for key, n in claimed.items() if key[0] in counted})
    right = expected & claimed
    score.rewrites_true, score.rewrites_found = expected.total(), right.total()
    score.rewrites_wrong = (claimed - right).total()
    score.samples["false translations"] = _false(claimed - right, expected)
    score.samples["rewrites missed"] = list((expected - right).items())
    score.samples["rewrites wrong"] = list((claimed - right).items())


def _false(wrong, expected):
    """path -> the changes of field and addresses that no packet of it underwent, whatever else was said of them."""
    true = {(path, change[:3]) for path, change in expected}
    found = defaultdict(list)
    for path, change in wrong:
        if (path, change[:3]) not in true:
            found[path].append(change[:3])
    return found


def _changes(members, kept_bytes):
    """The rewrites that the frames of one packet show, in their order; without ports where these were cut off."""
    for a, b in pairwise(members):
        cut_off = kept_bytes is not None and any(m.header.at + 4 > kept_bytes for m in (a, b))
        for end in ("source", "destination"):
            old, new = (getattr(m.header, end) for m in (a, b))
            if cut_off and a.header.protocol in PORTS:
                old, new = address_of(old), address_of(new)
            if old != new:
                kind = "snat" if (end == "source") == a.forward else "dnat"
                yield end, old, new, kind, not a.forward, "inferred"


def _endpoint(address, port):
    if not port or address is None:
        return str(address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _judge_losses(score, frames, paths, table, lost, ambiguous):
    outcome = dict(zip(table["path"], table["outcome"].astype(str), strict=True))
    packets = defaultdict(set)
    ends = defaultdict(int)
    seen = defaultdict(int)
    for frame, path in zip(frames, paths, strict=True):
        ends[frame.file] = max(ends[frame.file], frame.time_ns)
        if frame.packet is not None:
            packets[path].add(frame.packet)
            seen[frame.packet] = max(seen[frame.packet], frame.time_ns)
    # A file without a packet behind it does not show that the capture was still running.
    shown = {packet for packet in lost if seen[packet] < min(ends.values())}
    said = {path for path in packets if outcome[path] in ("lost", "dropped")}
    is_shown = {path for path, members in packets.items() if members & shown}
    wrongly = {path for path in said if not packets[path] & lost}
    score.lost_true = len(shown)
    score.lost_found = len(said & is_shown)
    score.lost_wrong = sum(not ambiguous[path - 1] for path in wrongly)
    score.samples["lost wrongly"] = [(path, packets[path]) for path in wrongly]
    score.samples["loss missed"] = [(path, packets[path]) for path in is_shown - said]


def judge_clocks(arguments, frames, reference_times):
    """Only the clocks: a Score with nothing else in it."""
    result = correlate_captures(arguments)
    score = Score(frames=len(frames))
    _judge_clocks(score, frames, packets_table(result)["time_ns"].to_list(), reference_times, result)
    return score


def _judge_clocks(score, frames, times, reference_times, result):
    bounds = [facts.clock.error_ns for facts in capture_facts(result)]
    worst = Counter()
    for frame, time_ns, truth in zip(frames, times, reference_times, strict=True):
        if frame.packet is None:
            continue  # neighbours talk on when the traffic that shows the clocks is over
        worst[frame.file] = max(worst[frame.file], abs(time_ns - truth))
    first = result.topology.file_nodes[0]
    others = [i for i, node in enumerate(result.topology.file_nodes) if node != first and i in worst]
    # No bound is no claim.
    score.clock_ok = all(bounds[i] is None or worst[i] <= bounds[i] for i in others)
    score.clock_error_ns = max((worst[i] for i in others), default=0)
    known = [bounds[i] for i in others if bounds[i] is not None]
    score.clock_bound_ns = None if len(known) < len(others) else max(known, default=0)
