"""What match_packets means: plain Python over lists, short and slow. test_twins.py holds the kernels to it."""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field

ONE_PACKET_NS = 2_000_000_000
NEIGHBOURS = 64
MOST_COMPARED = 256


@dataclass(frozen=True)
class Seen:
    """A sighting: a captured frame, or (`told`) a chain that saw the packet."""

    row: int
    told: bool
    time_ns: int
    way: int
    """Direction of a connection."""
    content: int
    place: int
    """Capture point or chain."""
    namespace: int
    direction: int = 0
    fragment_offset: int = 0
    flow: int = 0
    ttl: int = 64
    payload: int = 0
    """0: not known; so is the residue of a checksum."""
    residue: int = 0
    order: int = 0
    """Of what was told: its turn in the socket."""

    @property
    def point(self):
        """A packet is there once. Where the direction is not known, it may come back: under another flow or TTL."""
        again = (self.flow, self.ttl) if self.direction == 0 else None
        return self.place, self.direction, self.fragment_offset, again


@dataclass
class Packet:
    members: list[Seen] = field(default_factory=list)
    ambiguous: bool = False

    @property
    def appears(self):
        """When, then where in the files; what was told stands behind all frames."""
        return min(s.time_ns for s in self.members), min((s.told, s.row) for s in self.members)


def contradict(a, b):
    """Payloads differ or, where one of them is not known, checksums do."""
    if a.payload and b.payload:
        return a.payload != b.payload
    return bool(a.residue and b.residue) and a.residue != b.residue


def match(sightings, node_of):
    """The packets, in the order in which they appear. `node_of`: node of each namespace."""
    runs = defaultdict(list)
    for seen in sightings:
        runs[seen.way, seen.content].append(seen)
    packets = []
    for run in runs.values():
        frames = sorted((s for s in run if not s.told), key=lambda s: (s.time_ns, s.row))
        told = sorted((s for s in run if s.told), key=lambda s: (s.time_ns, s.order, s.row))
        found = packets_of_frames(frames, node_of)
        if len(found) == 1 and all_of_one(told, frames[0].time_ns):
            found[0].members += told
        else:
            found += join_told(told, frames, found)
        packets += found
    return sorted(packets, key=lambda packet: packet.appears)


# --- captured frames -------------------------------------------------------------------------------------------------


def packets_of_frames(frames, node_of):
    if not frames:
        return []
    if all_different(frames):
        return [Packet(list(frames))]
    in_turn = by_turn(frames)
    if in_turn is not None:
        doubt_overtaking(in_turn, node_of)
        return in_turn
    return by_nearest(frames)


def all_different(frames):
    """Nothing speaks against one packet."""
    if len(frames) > MOST_COMPARED or len({s.point for s in frames}) < len(frames):
        return False
    near = all(b.time_ns - a.time_ns <= ONE_PACKET_NS for a, b in itertools.pairwise(frames))
    return near and not any(contradict(a, b) for a, b in itertools.pairwise(frames))


def by_turn(frames):
    """Every point saw equally many: the first at each point are one packet, the second at each are the next. None where
    they are not equally many, or that cannot be."""
    turns = defaultdict(Packet)
    seen = Counter()
    for s in frames:
        turns[seen[s.point]].members.append(s)
        seen[s.point] += 1
    if len(set(seen.values())) != 1:
        return None
    for packet in turns.values():
        first = packet.members[0]
        if any(s.time_ns - first.time_ns > ONE_PACKET_NS or contradict(first, s) for s in packet.members):
            return None
    return list(turns.values())


def doubt_overtaking(packets, node_of):
    """Between nodes one may overtake the next: where both crossed, and at the same time, it is not known which is
    which."""
    for before, after in itertools.pairwise(packets):
        crossed = all(len({node_of[s.namespace] for s in packet.members}) > 1 for packet in (before, after))
        if crossed and after.members[0].time_ns <= before.members[-1].time_ns:
            before.ambiguous = after.ambiguous = True


def by_nearest(frames):
    """Each joins the latest packet that it fits, and begins one where it fits none; what fits two is ambiguous."""
    packets = []
    for s in frames:
        fitting = [packet for packet in reversed(packets[-NEIGHBOURS:]) if fits(s, packet)]
        if not fitting:
            packets.append(Packet([s]))
            continue
        if len(fitting) > 1:
            fitting[0].ambiguous = fitting[1].ambiguous = True
        fitting[0].members.append(s)
    return packets


def fits(s, packet):
    """It was seen there lately, not at this point, and its first known payload and checksum do not contradict."""
    known = Seen(
        row=-1, told=False, time_ns=0, way=0, content=0, place=0, namespace=0,
        payload=next((m.payload for m in packet.members if m.payload), 0),
        residue=next((m.residue for m in packet.members if m.residue), 0),
    )  # fmt: skip
    lately = s.time_ns - packet.members[-1].time_ns <= ONE_PACKET_NS
    return lately and all(m.point != s.point for m in packet.members) and not contradict(known, s)


# --- what the kernel told --------------------------------------------------------------------------------------------


def all_of_one(told, time_ns):
    """No chain twice, and all near the first frame."""
    once = len({s.place for s in told}) == len(told) <= MOST_COMPARED
    return once and all(near(s.time_ns, time_ns) for s in told)


def near(a_ns, b_ns):
    return abs(a_ns - b_ns) <= ONE_PACKET_NS


def join_told(told, frames, packets):
    """Each joins one of the packets that its namespace saw (of all, where it saw none); where as many were told as were
    seen, the one whose turn it is, else the nearest. Returns the new packets of those that find none."""
    created = []
    had = defaultdict(set)
    turn = Counter()
    total = Counter(s.place for s in told)
    for s in told:
        candidates = seen_by(s.namespace, frames, packets)
        chosen = None
        if total[s.place] == len(candidates):
            time_ns, packet = candidates[turn[s.place]]
            chosen = packet if near(s.time_ns, time_ns) and id(packet) not in had[s.place] else None
        turn[s.place] += 1
        if chosen is None:
            chosen = nearest(s, [(t, p) for t, p in around(s.time_ns, candidates) if id(p) not in had[s.place]])
            if chosen is not None and len(candidates) > 1:
                chosen.ambiguous = True
        if chosen is None:
            free = (p for p in created[-NEIGHBOURS:] if id(p) not in had[s.place])
            chosen = next((p for p in free if near(s.time_ns, p.members[0].time_ns)), None)
        if chosen is None:
            chosen = Packet()
            created.append(chosen)
        chosen.members.append(s)
        had[s.place].add(id(chosen))
    return created


def seen_by(namespace, frames, packets):
    """(When it was first seen there, packet), in order of time."""
    here = [s for s in frames if s.namespace == namespace] or frames
    found = []
    for s in here:
        packet = next(p for p in packets if s in p.members)
        if all(packet is not other for _, other in found):
            found.append((s.time_ns, packet))
    return found


def around(time_ns, candidates):
    """So many before and behind a time."""
    behind = sum(t <= time_ns for t, _ in candidates)
    return candidates[max(behind - NEIGHBOURS, 0) : behind + NEIGHBOURS]


def nearest(s, candidates):
    """The first of the nearest; None when none is near."""
    return min(
        ((t, p) for t, p in candidates if near(s.time_ns, t)), key=lambda c: abs(s.time_ns - c[0]), default=(0, None)
    )[1]
