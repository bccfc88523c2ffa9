"""The kernels of flows/ do what their plain twins say, on tables made to have what is rare in traffic."""

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.correlate.arrays.grouping import runs_of_keys
from ttrace.correlate.flows.repeated_sequences import begun_sequences, repeated_sequences
from ttrace.correlate.flows.session_index import SessionIndex
from ttrace.correlate.flows.sessions import split_sessions
from ttrace.correlate.flows.ties_by_addresses import same_flow_ties
from ttrace.correlate.flows.ties_by_conntrack import conntrack_ties
from ttrace.correlate.flows.ties_by_content import content_ties
from ttrace.correlate.flows.ties_by_trace import trace_ties
from ttrace.correlate.protocols import TCP, UDP
from ttrace.correlate.schema import (
    CONNTRACK,
    CONNTRACK_DESTROYED,
    CONNTRACK_DUMPED,
    CONNTRACK_NEW,
    CONNTRACK_UPDATED,
    NOTE_CUT,
    NOTE_ERROR,
    NOTE_NO_FLOW,
    SIGHTING,
    TOLD,
)
from ttrace.correlate.sightings import EVALUATION

from . import twins
from .twins import SECOND, Entry, Seen

pytestmark = pytest.mark.slow

compared = settings(max_examples=400, deadline=None, derandomize=True)
EVENTS = {
    "dumped": CONNTRACK_DUMPED,
    "new": CONNTRACK_NEW,
    "update": CONNTRACK_UPDATED,
    "destroy": CONNTRACK_DESTROYED,
}
UNREADABLE = (
    ("notes", NOTE_ERROR), ("notes", NOTE_NO_FLOW), ("notes", NOTE_CUT), ("fragment", 185), ("ip_version", 0),
    ("destination_low", 0xFFFFE0000001),
)  # fmt: skip
"""Columns of sightings whose content says nothing of a flow; the last are those of a later fragment, ARP, multicast."""
FEW = 32
"""A content of more views is looked at end by end."""


class Scene:
    """Some flows, and where they can be seen."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.node_of = random.choice([[0], [0, 0], [0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 2]])
        self.places = [random.randrange(len(self.node_of)) for _ in range(random.randint(1, 4))]
        """Namespace of each."""
        protocols = random.choice([(TCP,), (UDP,), (TCP, UDP)])
        self.crowded = crowded = random.random() < 0.15
        self.pairs = [
            (random.getrandbits(64), random.getrandbits(64), random.choice(protocols))
            for _ in range(30 if crowded else random.randint(2, 5))
        ]
        spots = range(len(self.places))
        self.ends = {pair: random.sample(range(1, 20 if crowded else 5), 2) for pair in self.pairs}
        """Addresses of both sides of each."""
        self.spots = {pair: random.choice([spots, random.sample(spots, 1)]) for pair in self.pairs}
        """Places at which each is seen."""
        self.contents = [
            (random.getrandbits(64), protocol, random.choice([0, 7]))
            for protocol in protocols
            for _ in range(1 if crowded else random.randint(1, 5))
        ]
        """Content, protocol and IP id."""
        self.clock_of = [random.choice([0, 0, 1 + node]) for node in self.node_of]
        self.uninformed = [random.random() < 0.8 for _ in self.node_of]
        self.span_ns = random.choice([1, 1, 5, 100, 500]) * SECOND

    def __repr__(self) -> str:
        return f"Scene({self.seed})"

    def time_ns(self) -> int:
        """Some come at the same time."""
        return 10**18 + self.span_ns * self.random.randrange(200) // 200

    def seen(self) -> Seen:
        random = self.random
        flow, reverse, protocol = pair = random.choice(self.pairs)
        source, destination = self.ends[pair]
        if random.random() < 0.3:
            flow, reverse, source, destination = reverse, flow, destination, source
        content, _, ip_id = random.choice([one for one in self.contents if one[1] == protocol])
        place = random.choice(self.spots[pair])
        return Seen(
            time_ns=self.time_ns(), namespace=self.places[place], place=place, flow=flow, flow_reverse=reverse,
            protocol=protocol, content=content, ip_id=ip_id, tcp_flags=random.choice([2, 2, 0x12, 0x10, 0x18, 4]),
            sequence=random.choice([0, 1, 2**32 - 1]), acknowledgment=random.choice([0, 1]),
            source_low=source, destination_low=destination, ttl=random.choice([62, 63, 64]),
            readable=random.random() < 0.9, payload=random.choice([0, 0, 0, 1, 2]),
            residue=random.choice([0, 0, 0, 1, 2]),
        )  # fmt: skip

    def sightings(self) -> list[Seen]:
        return [self.seen() for _ in range(self.random.choice([0, 1, 4, 10, 20, 150 if self.crowded else 40]))]

    def entry(self) -> Entry:
        """Translations between the pairs, mostly of one protocol."""
        random = self.random
        pair = random.choice(self.pairs)
        other = random.choice([one for one in self.pairs if one[2] == pair[2]])
        (original, restored), (translated, reply) = (random.sample(one[:2], 2) for one in (pair, other))
        return Entry(
            time_ns=self.time_ns(), namespace=random.randrange(len(self.node_of)), event=random.choice(list(EVENTS)),
            id=random.choice([0, 1]), protocol=pair[2], original=original, restored=restored, translated=translated,
            reply=reply,
        )  # fmt: skip

    def entries(self) -> list[Entry]:
        """Most come in several messages."""
        some = [self.entry() for _ in range(self.random.choice([0, 1, 3]))]
        return [
            replace(self.random.choice(some), time_ns=self.time_ns(), event=self.random.choice(list(EVENTS)))
            for _ in range(self.random.randint(1, 8) if some else 0)
        ]

    def wires(self, sightings: list[Seen]) -> list[bool]:
        """Which of the sightings are on a wire."""
        on_wire = [self.random.random() < 0.5 for _ in self.places]
        return [on_wire[one.place] for one in sightings]


scenes = st.integers(0, 2**32).map(Scene)


def rows_of(sightings: list[Seen]) -> np.ndarray:
    rows = np.zeros(len(sightings), SIGHTING)
    for name in SIGHTING.names:
        if name in Seen.__dataclass_fields__:
            rows[name] = np.array([getattr(one, name) for one in sightings], SIGHTING[name])
    rows["ip_version"] = 4
    for number, one in enumerate(sightings):
        if not one.readable:
            name, value = UNREADABLE[number % len(UNREADABLE)]
            rows[name][number] = value
    return rows


def conntrack_of(entries: list[Entry]) -> np.ndarray:
    rows = np.zeros(len(entries), CONNTRACK)
    for name in ("time_ns", "namespace", "id", "protocol", "original", "restored", "translated", "reply"):
        rows[name] = np.array([getattr(one, name) for one in entries], CONNTRACK[name])
    rows["event"] = [EVENTS[one.event] for one in entries]
    return rows


def times_of(sightings: list[Seen]) -> np.ndarray:
    return np.array([one.time_ns for one in sightings], np.int64)


def split(sightings: list[Seen], entries: list[Entry]):
    return split_sessions(rows_of(sightings), times_of(sightings), conntrack_of(entries))


def pairs_of(found: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(pair) for pair in found.tolist()]


def often(met: Counter, least: int = 10) -> bool:
    """Everything that is counted was met."""
    return min(met.values()) >= least


def test_sessions():
    met = Counter()

    @compared
    @given(scenes)
    def compare(scene):
        sightings, entries = scene.sightings(), scene.entries()
        found, plain = split(sightings, entries), twins.sessions(sightings, entries)
        assert [np.flatnonzero(found.session == number).tolist() for number in range(found.first.size)] == [
            sorted(session.rows) for session in plain
        ]
        assert found.orientation.tolist() == [one.orientation for one in sightings]
        for number, session in enumerate(plain):
            assert found.first[number] == (session.rows[0] if session.rows else -1)
            if session.rows:
                assert found.start_ns[number] == twins.begin_ns(sightings, session)
                assert found.end_ns[number] == twins.end_ns(sightings, session)
        lives = Counter(
            (session.namespace, session.pair, sightings[session.rows[0]].protocol) for session in plain if session.rows
        )
        met["nothing seen"] += not sightings
        met["only the end of an entry"] += any(not session.rows for session in plain)
        met["several lives of a TCP flow"] += any(lives[key] > 1 for key in lives if key[2] == TCP)
        met["several lives of another"] += any(lives[key] > 1 for key in lives if key[2] != TCP)
        met["opened from both sides"] += any(
            len({sightings[row].orientation for row in session.rows if sightings[row].is_syn}) == 2 for session in plain
        )

    compare()
    assert often(met), met


def test_ties_by_conntrack_entries():
    met = Counter()

    @settings(compared, max_examples=800)
    @given(scenes)
    def compare(scene):
        sightings, entries = scene.sightings(), scene.entries()
        on_wire = scene.wires(sightings)
        rows, sessions = rows_of(sightings), split(sightings, entries)
        plain = twins.sessions(sightings, entries)
        nodes = np.array(scene.node_of)
        index = SessionIndex.build(rows, sessions, np.array(on_wire, np.bool_), nodes)
        found = pairs_of(conntrack_ties(index, conntrack_of(entries), nodes))
        expected = twins.conntrack_ties(entries, sightings, plain, on_wire, scene.node_of)
        # As it is: more than two ties per message are cut off.
        room = 2 * sum(entry.original != entry.translated for entry in entries)
        assert set(found) == expected or (set(found) < expected and len(found) == room)
        ends = Counter(end for pair in expected for end in pair)
        namespaces = [(plain[a >> 1].namespace, plain[b >> 1].namespace) for a, b in expected]
        met["no entries"] += not entries
        met["entries that tie nothing"] += bool(entries) and not expected
        met["ties"] += bool(expected)
        met["two ties of one end"] += any(count > 1 for count in ends.values())
        met["ties over namespaces"] += any(a != b for a, b in namespaces)
        met["ties over nodes"] += any(scene.node_of[a] != scene.node_of[b] for a, b in namespaces)

    compare()
    assert often(met, 5), met


def test_ties_by_trace():
    met = Counter()

    @compared
    @given(scenes)
    def compare(scene):
        random, sightings = scene.random, scene.sightings()
        said = np.zeros(len(sightings), TOLD)
        said["conntrack_id"] = [random.randrange(3) for _ in sightings]
        said["trace_id"] = [random.randrange(3) for _ in sightings]
        said["conntrack_direction"] = [random.choice([0, 1]) for _ in sightings]
        said["order"] = random.sample(range(len(sightings)), len(sightings))
        ends = split(sightings, []).ends
        keys = [
            twins.key_of_told(one, int(of["conntrack_id"]), int(of["conntrack_direction"]), int(of["trace_id"]))
            for one, of in zip(sightings, said, strict=True)
        ]
        rows = rows_of(sightings)
        rows["kind"] = EVALUATION
        found = pairs_of(trace_ties(ends, rows, said))
        assert found == twins.trace_ties(ends.tolist(), keys, said["order"].tolist())
        met["nothing traced"] += not sightings
        met["ties"] += bool(found)
        met["back and forth"] += any((b, a) in found for a, b in found)

    compare()
    assert often(met), met


def test_ties_by_addresses():
    met = Counter()

    @compared
    @given(scenes)
    def compare(scene):
        sightings = scene.sightings()
        on_wire, ends = scene.wires(sightings), split(sightings, []).ends
        nodes = np.array(scene.node_of)
        rows = rows_of(sightings)
        contents = runs_of_keys(rows["content"])
        found = same_flow_ties(rows, times_of(sightings), ends, nodes, np.array(on_wire, np.bool_), contents)
        assert pairs_of(found) == twins.same_flow_ties(sightings, ends.tolist(), scene.node_of, on_wire)
        namespace = {int(end): one.namespace for end, one in zip(ends, sightings, strict=True)}
        tied = [(scene.node_of[namespace[a]], scene.node_of[namespace[b]]) for a, b in pairs_of(found)]
        met["nothing seen"] += not sightings
        met["ties on a node"] += any(a == b for a, b in tied)
        met["ties over nodes"] += any(a != b for a, b in tied)

    compare()
    assert often(met), met


def test_sequence_numbers_with_which_several_flows_begin():
    met = Counter()

    @compared
    @given(scenes)
    def compare(scene):
        sightings = scene.sightings()
        found = repeated_sequences(*begun_sequences(rows_of(sightings)))
        expected = twins.repeated_sequences(sightings)
        assert found.tolist() == sorted((place << 32) | sequence for place, sequence in expected)
        met["none"] += not expected
        met["some"] += bool(expected)
        met["the last before they wrap"] += any(sequence == 2**32 - 1 for _, sequence in expected)

    compare()
    assert often(met), met


def test_ties_by_content():
    met = Counter()

    @settings(compared, max_examples=600)
    @given(scenes)
    def compare(scene):
        sightings = scene.sightings()
        rows, sessions = rows_of(sightings), split(sightings, [])
        repeated = repeated_sequences(*begun_sequences(rows))
        found = content_ties(
            rows, sessions.ends, times_of(sightings), np.array(scene.clock_of),
            np.array(scene.uninformed), repeated, np.empty(0, np.uint64), runs_of_keys(rows["content"]),
        )  # fmt: skip
        repeated = twins.repeated_sequences(sightings)
        arguments = (sightings, sessions.session.tolist(), repeated, scene.clock_of, scene.uninformed)
        ties, rivals = twins.content_ties(*arguments)
        assert dict(zip(pairs_of(found.ties), found.votes.tolist(), strict=True)) == ties
        assert sorted(pairs_of(np.column_stack([found.rivals, found.rival_votes]))) == rivals
        ballots, _ = twins.votes(*arguments)
        protocols = {session: one.protocol for session, one in zip(arguments[1], sightings, strict=True)}
        shown = {
            (one.content, end, one.place) for one, end in zip(sightings, sessions.ends, strict=True) if one.readable
        }
        views = Counter(content for content, _, _ in shown)
        met["nothing seen"] += not sightings
        met["ties of TCP"] += any(protocols[a >> 1] == TCP for a, _ in ties)
        met["ties of datagrams"] += any(protocols[a >> 1] != TCP for a, _ in ties)
        met["rivals"] += bool(rivals)
        met["ties and rivals"] += bool(ties) and bool(rivals)
        met["a vote that had no second one"] += any(one.turned == 1 and not one.plain for one in ballots.values())
        met["weak votes"] += any(one.weak for one in ballots.values())
        met["faint votes"] += any(one.faint for one in ballots.values())
        met["undecided"] += any(one.undecided for one in ballots.values())
        met["repeated sequences"] += bool(repeated)
        met["contents of many views"] += any(count > FEW for count in views.values())
        met["too few votes"] += bool(ballots) and not ties and not rivals

    compare()
    assert often(met), met
