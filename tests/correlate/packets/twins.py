"""What match_packets means: plain Python over lists, short and slow. test_twins.py holds the kernels to it."""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field

ONE_PACKET_NS = 2_000_000_000
NEIGHBOURS = 64
MOST_COMPARED = 256
NEAR_NS = 1_000_000
CLEARLY = 16
LOOKED_BACK = 64
IN, OUT = 1, 2


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
        """A packet is there once. It may come back under another flow, and where the direction is not known, with
        another TTL."""
        again = self.ttl if self.direction == 0 and not self.told else None
        return self.told, self.place, self.direction, self.fragment_offset, self.flow, again


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


@dataclass(frozen=True)
class Place:
    """A capture point."""

    node: int
    machine: int
    uplink: bool
    error_ns: int
    """Of its machine's clock, negative where it is not known."""


def match(sightings, places):
    """The packets, in the order in which they appear. `places`: each capture point's Place."""
    runs = defaultdict(list)
    for seen in sightings:
        runs[seen.way, seen.content].append(seen)
    packets = []
    for run in runs.values():
        frames = sorted((s for s in run if not s.told), key=lambda s: (s.time_ns, s.row))
        told = sorted((s for s in run if s.told), key=lambda s: (s.time_ns, s.order, s.row))
        found = packets_of_frames(frames, places)
        if len(found) == 1 and all_of_one(told, frames[0].time_ns):
            found[0].members += told
        else:
            found += join_told(told, frames, found)
        packets += found
    return sorted(packets, key=lambda packet: packet.appears)


# --- captured frames -------------------------------------------------------------------------------------------------


def packets_of_frames(frames, places):
    if not frames:
        return []
    if all_different(frames) and may_be_one(frames, places):
        return [Packet(list(frames))]
    apart = apart_in_time(frames, places)
    falls = ttl_falls(frames, places)
    in_turn = by_turn(frames)
    if in_turn is not None and fit(in_turn, apart, falls, places):
        doubt_overtaking(in_turn, places)
        return in_turn
    packets = by_nearest(frames, apart, falls, places)
    doubt_lone(packets, frames, apart, falls, places)
    return packets


def may_be_one(frames, places):
    near = frames[-1].time_ns - frames[0].time_ns <= NEAR_NS
    return near or not any(turned(a, b, False, places) for a, b in itertools.combinations(frames, 2))


def turned(early, late, falls, places):
    """The later one is where it must have been before, or gained hops."""
    here, there = places[early.place], places[late.place]
    if here.node == there.node:
        return rises(early, late)
    if here.machine != there.machine and min(here.error_ns, there.error_ns) < 0:
        return False
    error = here.error_ns + there.error_ns if here.machine != there.machine else 0
    if late.time_ns - early.time_ns <= error:
        return False
    if (early.direction, late.direction) == (IN, OUT) and here.uplink and there.uplink:
        return late.ttl >= early.ttl
    return falls and late.ttl > early.ttl


def rises(early, late):
    """One point, of no direction, saw the later one with more hops left: no packet gains any."""
    return early.place == late.place and early.direction == late.direction == 0 and late.ttl > early.ttl


def ttl_falls(frames, places):
    """More often than it rises, from node to node in time."""
    between = [(a, b) for a, b in itertools.pairwise(frames) if places[a.place].node != places[b.place].node]
    return sum(a.ttl > b.ttl for a, b in between) > sum(a.ttl < b.ttl for a, b in between)


def apart_in_time(frames, places):
    """A function of two of them: clearly too far from each other to be one packet.

    Cut into heaps of different points, which are much further from each other than what is in them, and than the clocks
    may be, they tell how fast packets are between two points that some heap holds both of.
    """
    gaps = [b.time_ns - a.time_ns for a, b in itertools.pairwise(frames)]
    ends = []
    for i, late in enumerate(frames):
        earlier = [j for j in range(max(i - LOOKED_BACK, 0), i) if frames[j].point == late.point]
        if earlier:
            ends.append(max(gaps[earlier[-1] : i]))
        elif i > LOOKED_BACK:
            return lambda _one, _other: False
    least = min(ends, default=2**62)
    machines = {places[s.place].machine for s in frames}
    errors = [places[s.place].error_ns for s in frames]
    error = 0 if len(machines) == 1 else 2 * max(errors)
    longest = max((gap for gap in gaps if gap < least), default=0)
    if (len(machines) > 1 and min(errors) < 0) or least <= CLEARLY * longest + 4 * error:
        return lambda _one, _other: False
    heap = dict(zip(frames, itertools.accumulate([0, *(int(gap >= least) for gap in gaps)]), strict=True))
    near = {(a.point, b.point) for a, b in itertools.permutations(frames, 2) if heap[a] == heap[b]}
    return lambda one, other: heap[one] != heap[other] and (one.point, other.point) in near


def fit(packets, apart, falls, places):
    """None of them is in a wrong order, or torn apart in time where there are several clocks."""
    pairs = [pair for packet in packets for pair in itertools.combinations(packet.members, 2)]
    several = len({places[s.place].machine for packet in packets for s in packet.members}) > 1
    torn = any(apart(a, b) for a, b in pairs)
    return not any(turned(a, b, falls, places) for a, b in pairs) and not (torn and several)


def all_different(frames):
    """Nothing speaks against one packet."""
    if len(frames) > MOST_COMPARED or len({s.point for s in frames}) < len(frames):
        return False
    near = all(b.time_ns - a.time_ns <= ONE_PACKET_NS for a, b in itertools.pairwise(frames))
    return near and not any(contradict(a, b) or rises(a, b) for a, b in itertools.combinations(frames, 2))


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


def doubt_overtaking(packets, places):
    """Between nodes one may overtake the next: where both crossed, and at the same time, it is not known which is
    which."""
    for before, after in itertools.pairwise(packets):
        crossed = all(len({places[s.place].node for s in packet.members}) > 1 for packet in (before, after))
        if crossed and after.members[0].time_ns <= before.members[-1].time_ns:
            before.ambiguous = after.ambiguous = True


def by_nearest(frames, apart, falls, places):
    """Each joins the latest packet that it fits and is not clearly apart from, and begins one where there is none; what
    fits another one is ambiguous, also one that it is apart from."""
    packets = []
    for s in frames:
        fitting = [
            packet
            for packet in reversed(packets[-NEIGHBOURS:])
            if fits(s, packet) and not any(turned(m, s, falls, places) for m in packet.members)
        ]
        near = [packet for packet in fitting if not any(apart(m, s) for m in packet.members)]
        if near:
            chosen = near[0]
        else:
            chosen = Packet()
            packets.append(chosen)
        rivals = [packet for packet in fitting if packet is not chosen]
        if rivals:
            chosen.ambiguous = rivals[0].ambiguous = True
        chosen.members.append(s)
    return packets


def doubt_lone(packets, frames, apart, falls, places):
    """What one point alone saw may have been any other packet of that point: one whose sightings elsewhere, near it,
    could be its own."""
    of = {id(s): packet for packet in packets for s in packet.members}
    for i, s in enumerate(frames):
        lone = of[id(s)]
        around = frames[max(i - NEIGHBOURS, 0) : i + NEIGHBOURS]
        for other in [of[id(o)] for o in around if o.point == s.point]:
            elsewhere = [o for o in around if of[id(o)] is other and o.point != s.point]
            if len(lone.members) > 1 or len(other.members) == 1:
                continue
            pairs = [(o, s) if frames.index(o) < i else (s, o) for o in elsewhere]
            if all(
                b.time_ns - a.time_ns <= ONE_PACKET_NS
                and not (contradict(a, b) or apart(a, b) or turned(a, b, falls, places))
                for a, b in pairs
            ):
                lone.ambiguous = other.ambiguous = True


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
    once = len({s.point for s in told}) == len(told) <= MOST_COMPARED
    return once and all(near(s.time_ns, time_ns) for s in told)


def near(a_ns, b_ns):
    return abs(a_ns - b_ns) <= ONE_PACKET_NS


def join_told(told, frames, packets):
    """Each joins one of the packets that its namespace saw (of all, where it saw none); where as many were told as were
    seen, the one whose turn it is, else the nearest. Returns the new packets of those that find none."""
    created = []
    had = defaultdict(set)
    turn = Counter()
    total = Counter(s.point for s in told)
    for s in told:
        candidates = seen_by(s.namespace, frames, packets)
        chosen = None
        if total[s.point] == len(candidates):
            time_ns, packet = candidates[turn[s.point]]
            chosen = packet if near(s.time_ns, time_ns) and id(packet) not in had[s.point] else None
        turn[s.point] += 1
        if chosen is None:
            chosen = nearest(s, [(t, p) for t, p in around(s.time_ns, candidates) if id(p) not in had[s.point]])
            if chosen is not None and len(candidates) > 1:
                chosen.ambiguous = True
        if chosen is None:
            free = (p for p in created[-NEIGHBOURS:] if id(p) not in had[s.point])
            chosen = next((p for p in free if near(s.time_ns, p.members[0].time_ns)), None)
        if chosen is None:
            chosen = Packet()
            created.append(chosen)
        chosen.members.append(s)
        had[s.point].add(id(chosen))
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
