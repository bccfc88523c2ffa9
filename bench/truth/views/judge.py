"""Compare what a correlation claims of a view with its truth."""

import ipaddress
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise

from ttrace.correlate import correlate_captures
from ttrace.correlate.dataframes import packets_table, paths_table, rewrites_table

from ..claims import PathClaim, Told, judge_claims, last_accepted
from ..score import Counts
from .alike import origins, undeterminable
from .crossing import Fate
from .layout import PORTS

MOST_PAIRS = 200_000
"""Of one path: a larger one is wrong anyhow."""


@dataclass(kw_only=True)
class Score(Counts):
    """Counts of one view, or of several. `claimed` is without pairs that nothing can tell apart; `ambiguous`: frames in
    paths that are said to be."""

    views: int = 0
    packets: int = 0
    alike: int = 0
    """Packets that nothing can tell apart."""
    alike_wrong: int = 0
    alike_missed: int = 0
    """Pairs; they count neither as wrong nor as missed."""
    ordered: int = 0

    def add(self, other):
        """Count another one too; without its samples."""
        for name, value in vars(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        self.claims.add(other.claims)


def judge(view, correlate=correlate_captures):
    """The Score of a view. `correlate`: as `correlate_captures`."""
    result = correlate(view.arguments)
    table = packets_table(result)
    if len(table) != len(view.frames):
        raise AssertionError(f"{len(table)} rows for {len(view.frames)} frames")
    return Judge(view, result, table["path"].to_list()).score()


class Judge:
    """One comparison."""

    def __init__(self, view, result, paths):
        self.view, self.result, self.paths = view, result, paths
        self.fates = view.truth.fates
        self.origins = origins(view.crossing)
        self.alike = undeterminable(view)
        self.members = defaultdict(list)
        for index, path in enumerate(paths):
            self.members[path].append(index)
        self._ambiguous = result.packets.ambiguous
        self._wrong_paths = set()

    def is_ambiguous(self, path):
        return bool(path > 0 and self._ambiguous[path - 1])

    def score(self):
        frames = self.view.frames
        made = Score(views=1, frames=len(frames), uncounted=sum(one.packet is None for one in frames))
        made.packets = len({one.packet for one in frames if one.packet is not None})
        made.alike = len(self.alike)
        self._pairs(made)
        self._recall(made)
        self._order(made)
        self._outcomes(made)
        return made

    def kinship(self, a, b):
        """`same`, `alike` or `other`, of two frames."""
        if a.packet == b.packet or self.origins[a.origin] == self.origins[b.origin]:
            return "same"
        which = self.alike.get(a.packet)
        return "alike" if which is not None and which == self.alike.get(b.packet) else "other"

    def _pairs(self, made):
        frames = self.view.frames
        for path, members in self.members.items():
            unsure = self.is_ambiguous(path)
            made.ambiguous += unsure * len(members)
            counted = [index for index in members if frames[index].packet is not None]
            for number, (i, j) in enumerate(combinations(counted, 2)):
                if number == MOST_PAIRS:
                    break
                kin = self.kinship(frames[i], frames[j])
                if kin == "alike":
                    made.alike_wrong += 1
                elif not unsure:
                    made.claimed += 1
                    if kin == "other":
                        made.wrong += 1
                        self._wrong_paths.add(path)
                        made.samples["wrong pair"].append(f"path {path}: {self.name(i)} with {self.name(j)}")

    def name(self, index):
        """file:frame of a frame, its packet and ends: what an example needs."""
        seen = self.view.frames[index]
        first = next(n for n, one in enumerate(self.view.frames) if one.point == seen.point)
        ends = " > ".join(_text(*end) for end in seen.ends)
        return f"{seen.point}:{index - first + 1} (of frame {seen.origin + 1}, {ends})"

    def _recall(self, made):
        """A packet at two points is found where one path holds a frame of each."""
        at, groups = defaultdict(lambda: defaultdict(set)), defaultdict(lambda: defaultdict(set))
        first = {}
        for index, (seen, path) in enumerate(zip(self.view.frames, self.paths, strict=True)):
            if seen.packet is None:
                continue
            at[seen.packet][seen.point].add(path)
            groups[self.origins[seen.origin]][seen.point].add(path)
            first.setdefault(seen.packet, index)
        for packet, points in at.items():
            whole = groups[self.origins[self.view.frames[first[packet]].origin]]
            for a, b in combinations(sorted(points), 2):
                found = bool(points[a] & whole[b] or points[b] & whole[a])
                if not found and packet in self.alike:
                    made.alike_missed += 1
                    continue
                made.true_pairs += 1
                made.found += found
                if not found:
                    made.samples["missed pair"].append(f"{self.name(first[packet])} at points {a} and {b}")

    def _order(self, made):
        result = self.result
        position = {sighting: place for place, sighting in enumerate(result.hops["sighting"].tolist())}
        for path, members in self.members.items():
            counted = [i for i in members if self.view.frames[i].direction is not None and i in position]
            counted.sort(key=lambda i: position[i])
            for i, j in pairwise(counted):
                a, b = self.view.frames[i], self.view.frames[j]
                if a.packet != b.packet or a.point == b.point or result.order_doubtful[j]:
                    continue
                made.ordered += 1
                if (a.point < b.point) != (a.direction == 0):
                    made.misordered += 1
                    made.samples["order"].append(f"path {path}: {self.name(i)} before {self.name(j)}")

    def _outcomes(self, made):
        table = paths_table(self.result)
        outcomes, reasons = table["outcome"].astype(str), table["reason"].astype(str)
        rewrites, accepted = self._rewrites(made), last_accepted(self.result)
        paths = []
        for path, outcome, reason, sure in zip(table["path"], outcomes, reasons, table["confidence"], strict=True):
            members = [i for i in self.members.get(path, ()) if self.view.frames[i].packet is not None]
            if not members:
                continue
            told = Told(outcome, reason, float(sure), self.is_ambiguous(path), path in accepted)
            claim = PathClaim(path, told, *rewrites.get(path, (0, [])))
            claim.wrong_pairs = path in self._wrong_paths
            self._fate(claim, members)
            claim.where = ", ".join(self.name(i) for i in members[:4])
            paths.append((claim, members))
        judge_claims(made.claims, [claim for claim, _ in paths], made.samples)
        lost = {packet for packet, fate in self.fates.items() if fate is Fate.LOST and packet not in self.alike}
        seen = {one.packet for one in self.view.frames}
        made.lost_true = len(lost & seen)
        said = {
            self.view.frames[i].packet for claim, ms in paths for i in ms if claim.told.outcome in ("lost", "dropped")
        }
        made.lost_found = len(lost & seen & said)

    def _fate(self, claim, members):
        packets = {self.view.frames[i].packet for i in members}
        fates = {self.fates.get(packet, Fate.UNKNOWN) for packet in packets}
        claim.lost = fates == {Fate.LOST}
        claim.arrived = Fate.TAKEN in fates or Fate.ARRIVED in fates
        claim.signed = Fate.TAKEN in fates
        claim.alike = packets <= set(self.alike)
        claim.answered = bool(packets & self.view.truth.answered)
        last = self.view.kind.points - 1
        claim.at_the_end = any(
            self.view.frames[i].point == (last if self.view.frames[i].direction == 0 else 0)
            for i in members if self.view.frames[i].direction is not None
        )  # fmt: skip

    def _rewrites(self, made):
        """path -> (rewrites claimed, those of them that are not true)."""
        expected = defaultdict(Counter)
        possible = defaultdict(set)
        for path, members in self.members.items():
            judged = self._is_judged(path)
            for change, counts in self._changes(members):
                possible[path] |= {change, _without_ports(change)}
                if counts and judged:
                    expected[path][change] += 1
        claimed = defaultdict(Counter)
        with_ports = {path: self._has_ports(members) for path, members in self.members.items()}
        for row in rewrites_table(self.result).itertuples():
            old, new = (row.old_address, row.old_port), (row.new_address, row.new_port)
            if not with_ports.get(row.path):
                old, new = (old[0], None), (new[0], None)
            claimed[row.path][row.field, *old, *new] += 1
        found = {}
        for path, changes in claimed.items():
            false = [change for change in changes if change not in possible[path]]
            found[path] = (changes.total(), [str(change) for change in false] if self._is_judged(path) else [])
        made.rewrites_true = sum(changes.total() for changes in expected.values())
        made.rewrites_found = sum(
            sum(change in claimed[path] or _without_ports(change) in claimed[path] for change in changes)
            for path, changes in expected.items()
        )
        return found

    def _is_judged(self, path):
        """Its translations are: all its frames count, and the capture as it was given shows none of them twice."""
        seen = [self.view.frames[i] for i in self.members[path]]
        packets = defaultdict(set)
        for one in seen:
            packets[self.origins[one.origin]].add(self.view.crossing.sent[one.origin].datagram)
        return all(one.packet is not None for one in seen) and all(len(found) == 1 for found in packets.values())

    def _has_ports(self, members):
        layouts = self.view.crossing.layouts
        return any(
            (layout := layouts[self.view.frames[i].origin]) is not None and layout.protocol in PORTS for i in members
        )

    def _changes(self, members):
        """(change, whether it must be found) between frames of one packet that follow each other in truth."""
        of_packet = defaultdict(dict)
        for i in members:
            seen = self.view.frames[i]
            if seen.packet is not None and seen.direction is not None:
                of_packet[self.origins[seen.origin], seen.packet][seen.point] = seen
        for points in of_packet.values():
            seen = [points[point] for point in sorted(points)]
            if seen[0].direction:
                seen.reverse()
            layout = self.view.crossing.layouts[seen[0].origin]
            ported = layout.protocol in PORTS
            for a, b in pairwise(seen):
                for field_name, old, new in zip(("source", "destination"), a.ends, b.ends, strict=True):
                    ends = [_address(old[0]), old[1] if ported else None, _address(new[0]), new[1] if ported else None]
                    if ends[:2] != ends[2:]:
                        yield (field_name, *ends), not layout.is_tunnel and not layout.is_fragment


def _without_ports(change):
    """As it is told of what has none, or was cut before them."""
    return change[0], change[1], 0 if change[2] is not None else None, change[3], 0 if change[4] is not None else None


def _address(raw):
    """As ttrace shows it: what IPv6 maps is shown as IPv4."""
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)


def _text(address, port):
    return _address(address) if port is None else f"{_address(address)}:{port}"
