"""What the kernels of correlate/flows/ mean: plain Python over lists, short and slow. test_twins.py holds them to it.

A flow is a number here, as it is there, and so is a session; an end is a session in one of its two orientations,
2 * session + orientation. What is marked `As it is:` was found by writing this down: the kernels do so, and should not.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations, pairwise

SECOND = 1_000_000_000
FOREVER = 1 << 62
TCP, SYN, ACK = 6, 0x02, 0x10


@dataclass
class Seen:
    """A sighting."""

    time_ns: int
    namespace: int
    place: int
    flow: int
    flow_reverse: int
    protocol: int
    content: int = 0
    tcp_flags: int = 0
    sequence: int = 0
    ttl: int = 64
    ip_id: int = 0
    payload: int = 0
    residue: int = 0
    readable: bool = True

    @property
    def pair(self):
        """Its address pair, of whatever direction."""
        return min(self.flow, self.flow_reverse)

    @property
    def orientation(self):
        return int(self.flow > self.flow_reverse)

    @property
    def is_syn(self):
        """It opens a connection."""
        return self.protocol == TCP and self.tcp_flags & (SYN | ACK) == SYN


@dataclass
class Entry:
    """A message about a conntrack entry that translates `original` to `translated`."""

    time_ns: int
    namespace: int
    event: str
    id: int
    protocol: int
    original: int
    restored: int
    translated: int
    reply: int


@dataclass
class Session:
    """One life of an address pair in a namespace."""

    namespace: int
    pair: int
    rows: list[int]
    entry_ended: bool = False
    """Since it was last seen."""


# --- sessions ------------------------------------------------------------------------------------------------------


def sessions(seen, entries):
    """The sessions by namespace, address pair and time."""
    events = {}
    for row, one in enumerate(seen):
        events.setdefault((one.namespace, one.pair), []).append((one.time_ns, row))
    for entry in entries:
        if entry.event == "destroy" and entry.protocol != TCP:
            for pair in (min(entry.original, entry.restored), min(entry.translated, entry.reply)):
                events.setdefault((entry.namespace, pair), []).append((entry.time_ns, FOREVER))
    found = []
    for namespace, pair in sorted(events):
        found.append(Session(namespace, pair, []))
        for _, row in sorted(events[namespace, pair]):
            if row == FOREVER:
                found[-1].entry_ended = True
                continue
            if begins_another(found[-1], seen, row):
                found.append(Session(namespace, pair, []))
            found[-1].rows.append(row)
            found[-1].entry_ended = False
    return found


def begins_another(session, seen, row):
    """Whether a sighting is of another life of its address pair than those before it."""
    if not session.rows:
        return False
    one, last = seen[row], seen[session.rows[-1]]
    if one.protocol != TCP:
        return session.entry_ended or one.time_ns - last.time_ns > 120 * SECOND
    if not one.is_syn:
        return False
    opened = {seen[before].orientation: seen[before].sequence for before in session.rows if seen[before].is_syn}
    if one.orientation in opened:
        return opened[one.orientation] != one.sequence
    return not opened


# --- ties by what the kernel says, and by addresses ------------------------------------------------------------------


def conntrack_ties(entries, seen, found, on_wire, node_of):
    """Pairs of ends: the original direction before a translation, and after it."""
    by_entry = {}
    for entry in sorted(entries, key=lambda entry: entry.time_ns):
        if entry.original != entry.translated:
            key = (entry.namespace, entry.id, entry.original, entry.translated)
            by_entry.setdefault(key, []).append(entry)
    ties = set()
    for messages in by_entry.values():
        for life in lives_of_entry(messages):
            start = max([m.time_ns - 2 * SECOND for m in life if m.event == "new"], default=-FOREVER)
            end = max([m.time_ns + 2 * SECOND for m in life if m.event == "destroy"], default=FOREVER)
            one = life[0]
            sides = ((one.original, one.restored), (one.translated, one.reply))
            before, after = (
                sessions_in(one.namespace, min(side), start, end, seen, found, on_wire, node_of) for side in sides
            )
            orientations = [int(flow > reverse) for flow, reverse in sides]
            for a in before:
                together = {b: overlap_ns(seen, found[a], found[b]) for b in after}
                best = max(after, key=lambda b: (together[b], -b), default=None)
                if best is not None and together[best] > -SECOND // 20:
                    ties.add((2 * a + orientations[0], 2 * best + orientations[1]))
    return ties


def lives_of_entry(messages):
    """Messages of entries with one id and the same tuples, entry by entry: a new one behind the end of another."""
    lives = [messages[:1]]
    for before, message in pairwise(messages):
        if message.event == "new" and before.event == "destroy":
            lives.append([])
        lives[-1].append(message)
    return lives


def sessions_in(namespace, pair, start, end, seen, found, on_wire, node_of):
    """The sessions of an address pair within a time: of this namespace, else of its node, else those on wires."""
    fitting = [
        number
        for number, session in enumerate(found)
        if session.pair == pair and session.rows and begin_ns(seen, session) <= end and end_ns(seen, session) >= start
    ]
    here = [number for number in fitting if found[number].namespace == namespace]
    near = [number for number in fitting if node_of[found[number].namespace] == node_of[namespace]]
    return here or near or [number for number in fitting if any(on_wire[row] for row in found[number].rows)]


def begin_ns(seen, session):
    return min(seen[row].time_ns for row in session.rows)


def end_ns(seen, session):
    return max(seen[row].time_ns for row in session.rows)


def overlap_ns(seen, one, other):
    """For how long two sessions were there together; negative: how far apart they are."""
    return min(end_ns(seen, one), end_ns(seen, other)) - max(begin_ns(seen, one), begin_ns(seen, other))


def conntrack_id_ties(ends, keys, orders):
    """Pairs of ends that follow each other, by `orders`, where chains saw the same packet with the same conntrack id,
    which is what `keys` say; None: without an id."""
    ties = set()
    for key in {key for key in keys if key is not None}:
        rows = sorted((row for row in range(len(keys)) if keys[row] == key), key=lambda row: orders[row])
        ties |= {(ends[a], ends[b]) for a, b in pairwise(rows) if ends[a] != ends[b]}
    return sorted(ties)


def same_flow_ties(seen, ends, node_of, on_wire):
    """Pairs of ends under which the same packet was seen one after the other: on one node within ten seconds, or on the
    wires between several nodes."""
    ties = set()
    for content, flow in {(one.content, one.flow) for one in seen}:
        rows = [row for row, one in enumerate(seen) if (one.content, one.flow) == (content, flow)]
        rows.sort(key=lambda row: seen[row].time_ns)
        for node in set(node_of):
            for a, b in pairwise([row for row in rows if node_of[seen[row].namespace] == node]):
                if ends[a] != ends[b] and seen[b].time_ns - seen[a].time_ns <= 10 * SECOND:
                    ties.add((ends[a], ends[b]))
        if len(set(node_of)) > 1:
            wires = [row for row in rows if on_wire[row]]
            ties |= {(ends[a], ends[b]) for a, b in pairwise(wires) if ends[a] != ends[b]}
    return sorted(ties)


# --- ties by content ---------------------------------------------------------------------------------------------


def repeated_sequences(seen):
    """(place, sequence number) with which more than two flows begin there."""
    flows = {}
    for one in seen:
        if one.is_syn:
            flows.setdefault((one.place, one.sequence), set()).add(one.flow)
    return {key for key, those in flows.items() if len(those) > 2}


@dataclass
class Ballot:
    """What contents say of two sessions in one position of their orientations."""

    plain: int = 0
    """Contents that are a vote."""
    turned: int = 0
    """Contents that are a vote where there is a second one."""
    undecided: int = 0
    """Contents of which others are equal at the same place."""


def content_ties(seen, session, repeated, clock, uninformed):
    """({tie: votes}, {rivals: votes}), each of two ends, the one of the smaller session and the other."""
    ballots, total = votes(seen, session, repeated, clock, uninformed)
    of = {number: seen[row] for row, number in enumerate(session)}
    # As it is: a single turned content takes away the votes of the plain ones too (right: plain or turned > 1).
    cast = {key: one.plain + one.turned for key, one in ballots.items() if one.turned != 1 and one.plain + one.turned}
    enough = {}
    for (a, b, flip), count in cast.items():
        least = 0.05 if of[a].protocol == of[b].protocol == TCP else 0.5
        if of[a].protocol == of[b].protocol and count / min(total[a], total[b]) >= least:
            enough[a, b, flip] = count
    ties, rivals = {}, []
    for key, count in enough.items():
        others = votes_of_others(key, enough, of)
        both_tcp = of[key[0]].protocol == TCP
        if both_tcp or all(2 * other <= count for other in others) or through_one_point(key, enough, of):
            ties[key] = count
        elif all(2 * count >= other for other in others):
            rivals.append((key, count))
    tied = {session for a, b, _ in ties for session in (a, b)}
    for key, ballot in ballots.items():
        a, b, _ = key
        if ballot.undecided and ballot.undecided >= 0.5 * min(total[a], total[b]) and not {a, b} & tied:
            rivals.append((key, ballot.undecided))
    named = sorted((2 * a, 2 * b + flip, count) for (a, b, flip), count in rivals)
    return {(2 * a, 2 * b + flip): count for (a, b, flip), count in ties.items()}, named


def votes_of_others(key, enough, of):
    """What speaks for another partner, in the namespace of this one, of either session."""
    # As it is: of the partners of a session only those on this side of its number are seen (right: on both).
    return [
        count
        for mine, partner in ((0, 1), (1, 0))
        for other, count in enough.items()
        if other != key and other[mine] == key[mine] and of[other[partner]].namespace == of[key[partner]].namespace
    ]


def through_one_point(key, enough, of):
    """One of the sessions turns back where it was seen, so its namespace has two partners of it rightly."""
    turning = {session for a, b, _ in enough if of[a].namespace == of[b].namespace for session in (a, b)}
    return enough[key] >= 2 and bool(turning & set(key[:2]))


def votes(seen, session, repeated, clock, uninformed):
    """(a Ballot per two sessions and whether their orientations differ; contents per session)."""
    ballots, total = {}, Counter()
    for content in {one.content for one in seen if one.readable}:
        ends = {}
        for row in sorted(range(len(seen)), key=lambda row: seen[row].time_ns):
            if seen[row].readable and seen[row].content == content:
                ends.setdefault(2 * session[row] + seen[row].orientation, []).append(seen[row])
        total.update(end >> 1 for end in ends)
        if len(ends) > 16:
            continue
        tells = equal_content_tells(ends, repeated)
        for a, b in combinations(sorted(ends), 2):
            worth = worth_of(ends[a], ends[b], tells, clock, uninformed)
            if a >> 1 != b >> 1 and worth is not None:
                ballot = ballots.setdefault((a >> 1, b >> 1, (a ^ b) & 1), Ballot())
                setattr(ballot, worth, getattr(ballot, worth) + 1)
    return ballots, total


def worth_of(ones, others, tells, clock, uninformed):
    """What a content says that was seen as `ones` under one end and as `others` under another, in order of time."""
    one, other = ones[0], others[0]
    if one.flow == other.flow or not (uninformed[one.namespace] or uninformed[other.namespace]):
        return None
    comparable = clock[one.namespace] == clock[other.namespace]
    apart = [abs(a.time_ns - b.time_ns) for a in ones for b in others if not contradict(a, b)]
    near = any(ns <= (2 if comparable else 60) * SECOND for ns in apart)
    here = one.place == other.place
    if not apart or (comparable and not near) or (here and not tells):
        return None
    if not near or (here and one.protocol != TCP and one.ttl == other.ttl):
        return "turned"
    return "plain" if tells else "undecided"


def equal_content_tells(ends, repeated):
    """Whether a content says something where one place saw it under several ends."""
    first = ends[min(ends)][0]
    # As it is: only the first sighting of the first end is asked whether it is of a scan (right: any).
    if first.is_syn and (first.place, first.sequence) in repeated:
        return False
    rows = [(end, one) for end in sorted(ends) for one in some_of(ends[end])]
    identified = rows[0][1].protocol == TCP or rows[0][1].ip_id != 0
    for number, (end, one) in enumerate(rows):
        others = [two for another, two in rows[:number] if another != end and two.place == one.place]
        if len(others) > 2 or (not identified and any(two.ttl == one.ttl for two in others)):
            return False
    return True


def some_of(ones):
    """At most four sightings, from all of their time."""
    return ones if len(ones) <= 4 else [ones[k * (len(ones) - 1) // 3] for k in range(4)]


def contradict(one, other):
    """Equal content, but not the same packet."""
    if one.payload and other.payload:
        return one.payload != other.payload
    return bool(one.residue and other.residue) and one.residue != other.residue
