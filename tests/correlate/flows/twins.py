"""What the kernels of correlate/flows/ mean: plain Python over lists, short and slow. test_twins.py holds them to it.

A flow is a number here, as it is there, and so is a session; an end is a session in one of its two orientations,
2 * session + orientation. What is marked `As it is:` was found by writing this down: the kernels do so, and should not.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

SECOND = 1_000_000_000
FOREVER = 1 << 62
TCP, SYN, RST, ACK = 6, 0x02, 0x04, 0x10


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
    acknowledgment: int = 0
    source_low: int = 0
    destination_low: int = 0
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

    def follows_from(self, repeated):
        """It is a SYN with one of these (place, sequence number), or the RST to one."""
        if self.protocol == TCP and self.tcp_flags & RST:
            before = (self.acknowledgment if self.sequence == 0 else self.sequence) - 1
            return (self.place, before % 2**32) in repeated
        return self.is_syn and (self.place, self.sequence) in repeated


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


def key_of_told(one, conntrack_id, direction, trace_id):
    """What tells which packet, translated or not, a message is about; None: nothing."""
    if conntrack_id:
        return "entry", one.namespace, conntrack_id, direction, one.content
    return ("trace", one.namespace, trace_id, one.content) if trace_id else None


def trace_ties(ends, keys, orders):
    """Pairs of ends that follow each other, by `orders`, where messages are about the same packet, which is what `keys`
    say; None: without an id."""
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
    weak: int = 0
    """Contents without an id that are one all the same, for the two have an end in common."""
    turned: int = 0
    """Contents that are a vote where there is a second one."""
    faint: int = 0
    """Contents that are a vote where there are two more."""
    undecided: int = 0
    """Contents that others fit as well."""
    falls: set[int] = field(default_factory=set)
    """Which of the two places the TTL names as the first of the way of orientation 0 of the smaller session."""

    @property
    def votes(self):
        return self.plain + self.weak + self.turned + self.faint

    @property
    def certain(self):
        return self.plain > 0 or self.turned > 1

    @property
    def enough(self):
        return self.certain or self.weak > 0 or self.faint > 2


def content_ties(seen, session, repeated, clock, uninformed):
    """({tie: votes}, {rivals: votes}), each of two ends, the one of the smaller session and the other."""
    ballots, total = votes(seen, session, repeated, clock, uninformed)
    of = {number: seen[row] for row, number in enumerate(session)}
    enough = {}
    for (a, b, flip), ballot in ballots.items():
        both_tcp = of[a].protocol == of[b].protocol == TCP
        least = 0.05 if both_tcp else 0.5 if ballot.certain else 0.75
        known = both_tcp or ballot.certain or len(ballot.falls - {0}) < 2
        share = ballot.votes / min(total[a], total[b])
        if ballot.enough and of[a].protocol == of[b].protocol and known and share >= least:
            enough[a, b, flip] = ballot.votes
    ties, rivals = {}, []
    for key, count in enough.items():
        others = votes_of_others(key, enough, of)
        sure = of[key[0]].protocol == TCP and ballots[key].certain
        if sure or all(2 * other <= count for other in others) or through_one_point(key, enough, of):
            ties[key] = count
        elif all(2 * count >= other for other in others):
            rivals.append((key, count))
    tied = {session for a, b, _ in ties for session in (a, b)}
    for key, ballot in ballots.items():
        a, b, _ = key
        undecided = ballot.undecided + (0 if ballot.enough else ballot.faint)
        if undecided and undecided >= 0.5 * min(total[a], total[b]) and not {a, b} & tied:
            rivals.append((key, undecided))
    named = sorted((2 * a, 2 * b + flip, count) for (a, b, flip), count in rivals)
    return {(2 * a, 2 * b + flip): count for (a, b, flip), count in ties.items()}, named


def votes_of_others(key, enough, of):
    """What speaks for another partner, in the namespace of this one, of either session."""
    found = []
    for mine, partner in (key[:2], key[1::-1]):
        for other, count in enough.items():
            if other != key and mine in other[:2]:
                another = other[1] if other[0] == mine else other[0]
                if of[another].namespace == of[partner].namespace:
                    found.append(count)
    return found


def through_one_point(key, enough, of):
    """One of the sessions turns back where it was seen, so its namespace has two partners of it rightly."""
    turning = {session for a, b, _ in enough if of[a].namespace == of[b].namespace for session in (a, b)}
    return enough[key] >= 2 and bool(turning & set(key[:2]))


def votes(seen, session, repeated, clock, uninformed):
    """(a Ballot per two sessions and whether their orientations differ; contents per session)."""
    ballots, total = {}, Counter()
    for content in {one.content for one in seen if one.readable}:
        views = {}
        for row in sorted(range(len(seen)), key=lambda row: seen[row].time_ns):
            one = seen[row]
            if one.readable and one.content == content:
                views.setdefault((2 * session[row] + one.orientation, one.place), []).append(one)
        total.update(end >> 1 for end in {end for end, _ in views})
        for some in compared(views):
            cast(some, repeated, clock, uninformed, ballots)
    return ballots, total


def compared(views):
    """Which views are compared with each other: all, and where they are too many those that have an end in common."""
    if len(views) <= MOST_VIEWS:
        return [views]
    groups = []
    for end in ("source_low", "destination_low"):
        by_end = {}
        for key, rows in views.items():
            by_end.setdefault(getattr(rows[0], end), {})[key] = rows
        groups += [group for group in by_end.values() if len(group) <= MOST_VIEWS]
    return groups


def cast(views, repeated, clock, uninformed, ballots):
    """One vote for each two ends, the best of their views."""
    content = Content(views, repeated, clock, uninformed)
    found = {}
    keys = sorted(views)
    for i, other in enumerate(keys):
        for one in keys[:i]:
            worth = content.worth(one, other)
            if worth is None:
                continue
            a, b = one[0], other[0]
            first, second = views[one][0], views[other][0]
            falls = (first.ttl > second.ttl) - (first.ttl < second.ttl)
            known = found.setdefault((a >> 1, b >> 1, (a ^ b) & 1), [worth, -falls if a & 1 else falls])
            known[0] = min(known[0], worth, key=WORTH.index)
    for key, (worth, falls) in found.items():
        ballot = ballots.setdefault(key, Ballot())
        setattr(ballot, worth, getattr(ballot, worth) + 1)
        if worth != "undecided":
            ballot.falls.add(falls)


@dataclass
class Content:
    """The views of one content: sightings in order of time by (end, place)."""

    views: dict[tuple[int, int], list[Seen]]
    repeated: set[tuple[int, int]]
    clock: list[int]
    uninformed: list[bool]

    def likeness(self, key, other_key):
        """`same`, `one end`, `like`, `again` or None, and whether that is less than sure."""
        ones, others = self.views[key], self.views[other_key]
        one, other = ones[0], others[0]
        if one.place == other.place:
            return self.passed_again(key, other_key)
        kind = "one end" if has_common_end(one, other) else "like"
        if one.flow == other.flow:
            kind = "same"
        elif key[0] >> 1 == other_key[0] >> 1 or not (
            self.uninformed[one.namespace] or self.uninformed[other.namespace]
        ):
            return None, False
        apart = [abs(a.time_ns - b.time_ns) for a in ones for b in others if not contradict(a, b)]
        comparable = self.clock[one.namespace] == self.clock[other.namespace]
        if any(ns <= (2 if comparable else 60) * SECOND for ns in apart):
            return kind, False
        payloads = {one.payload for one in ones} & {other.payload for other in others} - {0}
        return (kind, len(payloads) < 2) if apart and not comparable else (None, False)

    def passed_again(self, key, other_key):
        ones, others = self.views[key], self.views[other_key]
        one, other = ones[0], others[0]
        numbered = all(
            each.protocol == TCP and each.sequence and each.acknowledgment and not each.follows_from(self.repeated)
            for each in (one, other)
        )
        if one.flow == other.flow or key[0] >> 1 == other_key[0] >> 1 or not (one.ip_id or numbered):
            return None, False
        if not (self.uninformed[one.namespace] or self.uninformed[other.namespace]):
            return None, False
        further = False
        for a in ones:
            for b in others:
                first, then = sorted((a, b), key=lambda one: (one.time_ns, -one.ttl))
                lost = first.ttl - then.ttl
                if lost > 0 and 0 < then.time_ns - first.time_ns <= 2 * SECOND and not contradict(a, b):
                    if one.ip_id and lost == 1:
                        return "again", False
                    further |= numbered
        return ("again", True) if further else (None, False)

    def worth(self, key, other_key):
        """What the content says of two of its views."""
        one, other = self.views[key][0], self.views[other_key][0]
        kind, doubtful = self.likeness(key, other_key)
        if kind == "again":
            if self.turns(key, other_key) != 1 or self.turns(other_key, key) != 1:
                return "undecided"
            return "turned" if doubtful else "plain"
        if kind in (None, "same"):
            return None
        tcp = one.protocol == TCP
        scanned = one.follows_from(self.repeated) or other.follows_from(self.repeated)
        weak = scanned or not (one.ip_id or (tcp and one.sequence))
        rivals = [self.rivals(key, other_key, weak), self.rivals(other_key, key, weak)]
        if None in rivals:
            return None
        if any(rivals) and not (kind == "one end" and self.nearest(key, other_key)):
            return "undecided"
        if kind == "one end":
            found = "weak" if weak else "plain"
        elif weak and tcp:
            found = "turned" if one.ip_id else "undecided"
        elif weak:
            found = "faint" if one.ttl != other.ttl else "undecided"
        else:
            found = "plain" if tcp or one.ttl != other.ttl else "turned"
        return "turned" if doubtful and found in ("plain", "weak") else found

    def turns(self, key, other_key):
        """How many views could be the packet of one once more, before or behind it as the other is."""
        one, other = self.views[key][0], self.views[other_key][0]
        like = self.likeness(key, other_key)
        return sum(
            self.likeness(key, third) == like and (rows[0].ttl < one.ttl) == (other.ttl < one.ttl)
            for third, rows in self.views.items()
            if third != key and rows[0].place == one.place
        )

    def rivals(self, key, other_key, weak):
        """How many views of the other's place fit one as well as that does; None when one fits better."""
        one, other = self.views[key][0], self.views[other_key][0]
        kind = self.likeness(key, other_key)[0]
        count = 0
        for third, rows in self.views.items():
            if third == other_key or rows[0].place != other.place:
                continue
            fits = self.likeness(key, third)[0] if third != key else None
            if fits in RANKS and RANKS.index(fits) > RANKS.index(kind):
                return None
            if self.likeness(other_key, third)[0] == "again":
                continue
            count += fits == kind or (weak and kind == "one end" and carries(one, other, rows[0]))
        return count

    def nearest(self, key, other_key):
        """No third view that has their common end is less than four times as far away in time from either."""
        ones, others = self.views[key], self.views[other_key]
        one, other = ones[0], others[0]
        if self.clock[one.namespace] != self.clock[other.namespace]:
            return False
        apart = min(abs(a.time_ns - b.time_ns) for a in ones for b in others if not contradict(a, b))
        for third, rows in self.views.items():
            if third in (key, other_key) or not carries(one, other, rows[0]):
                continue
            if rows[0].place not in (one.place, other.place):
                continue
            beside = others if rows[0].place == one.place else ones
            if min(abs(a.time_ns - b.time_ns) for a in beside for b in rows) < 4 * apart:
                return False
        return True


WORTH = ["plain", "weak", "turned", "faint", "undecided"]
"""What a content can be worth, the best first."""
RANKS = ["like", "one end", "same"]
MOST_VIEWS = 32


def has_common_end(one, other):
    return one.source_low == other.source_low or one.destination_low == other.destination_low


def carries(one, other, third):
    """A third has the end that two have in common, and could be their packet."""
    if contradict(one, third):
        return False
    by_source = one.source_low == other.source_low == third.source_low
    return by_source or one.destination_low == other.destination_low == third.destination_low


def contradict(one, other):
    """Equal content, but not the same packet."""
    if one.payload and other.payload:
        return one.payload != other.payload
    return bool(one.residue and other.residue) and one.residue != other.residue
