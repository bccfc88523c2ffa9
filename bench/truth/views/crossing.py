"""A capture crosses boxes: what each point sees of it, when, and what became of each packet in truth."""

import random
from dataclasses import dataclass, field, replace
from enum import Enum

from .layout import ETHERNET, SCTP, TCP, find
from .rewriting import Packet, can_fragment, fragments
from .signs import Sign, signs
from .translating import Translator, ends_at
from .ways import ways

STATIONS = tuple(bytes((2, 0, 0, 0, n, m)) for n in range(4) for m in range(2))
GAP_NS = 300
"""Between two frames that pass a point behind each other."""
LATE_US = (1000, 5000)
"""What is out of order comes that much later."""


class Fate(Enum):
    """Of a packet, in truth."""

    LOST = "it came into a box and did not leave it"
    TAKEN = "it crossed, and its end answered or acknowledged it"
    ARRIVED = "it crossed; of what became of it then nothing is known"
    UNKNOWN = "it was not to cross"


@dataclass(slots=True)
class Seen:
    """One frame that passes a point."""

    point: int
    time_ns: int
    data: bytes
    length: int
    packet: int | None
    """The same for all frames of one packet; None: not counted."""
    origin: int
    """The frame of the capture it was made of."""
    ends: tuple = ()
    """((address, port), (address, port)) as they are here."""
    direction: int | None = None
    copy: bool = False
    """The network's, or a mirror's."""


@dataclass
class Truth:
    """All that is known of a view."""

    seen: list = field(default_factory=list)
    fates: dict = field(default_factory=dict)
    """Packet -> Fate."""
    answered: set = field(default_factory=set)
    """Packets of conversations in which both ends speak."""


class Crossing:
    """One view being made."""

    def __init__(self, capture, kind, seed):
        self.kind, self.link, self.records = kind, capture.link, capture.records
        self.seed = seed
        self.dice = random.Random(seed)
        self.layouts = [find(record.data, capture.link) for record in capture.records]
        self.sent = ways(self.layouts)
        self.signs = signs(self.sent)
        used = {end for one in self.layouts if one is not None for end in (one.source, one.destination)}
        self.translator = Translator(self.dice, random_ports=kind.random_ports, used=used)
        low, high = kind.delay_us
        self.delays_ns = [int(1000 * low * (high / low) ** self.dice.random()) for _ in kind.boxes]
        self._free_at = {}
        self._ready = {}
        """(flow, direction) -> when all that it sent this way had crossed: the other end answers no earlier."""
        self._behind_ns = 0
        self.truth = Truth()
        both = [flow for flow in {id(s.flow): s.flow for s in self.sent if s.flow}.values() if self._both_speak(flow)]
        self.truth.answered = {self.sent[n].datagram for flow in both for n in flow.frames}

    def _both_speak(self, flow):
        return len({self.sent[n].from_client for n in flow.frames}) == 2

    def run(self):
        """The truth."""
        first_ns = min(record.time_ns for record in self.records)
        for time_ns, number, again in self._events():
            self._cross(max(time_ns - first_ns, 0) + first_ns, number, again)
        return self.truth

    def _events(self):
        """(time, frame, what was made of it): as the capture has them, and those that are sent again after a loss."""
        events, latest = [], 0
        self.lost_at = {}
        for number, record in enumerate(self.records):
            latest = max(latest, record.time_ns)
            events.append((latest, number, 0))
        for number, one in enumerate(self.sent):
            again_ns = self._lose(number, one, events)
            if again_ns is not None:
                events.append((again_ns, number, 1))
        return sorted(events)

    def _lose(self, number, one, events):
        """Choose whether it is lost, and when it is sent again then (None: never)."""
        if one.direction is None or self.dice.random() >= self.kind.lost or one.layout.is_fragment:
            return None
        sign, layout = self.signs.get(number, Sign.NONE), one.layout
        sent_again = sign is Sign.TAKEN and layout.protocol == TCP and layout.payload and not layout.flags & 7
        if not sent_again and sign not in (Sign.AGAIN, Sign.COVERED, Sign.SILENT):
            return None
        self.lost_at[number] = self.dice.randrange(len(self.kind.boxes))
        if not sent_again:
            return None
        at = events[number][0]
        answer = next((n for n in one.flow.frames if n > number and self.sent[n].from_client != one.from_client), None)
        until = at + 200_000_000 if answer is None else min(events[answer][0], at + 200_000_000)
        return at + (until - at) // 2

    def _cross(self, time_ns, number, again):
        one, record = self.sent[number], self.records[number]
        if one.direction is None:
            self._stay(time_ns + self._behind_ns, number)
            return
        packet = one.datagram + len(self.records) if again else one.datagram
        ready = self._ready.get((id(one.flow), 1 - one.direction), 0)
        self._behind_ns = max(self._behind_ns, ready + GAP_NS - time_ns)
        data = self._sent_again(record.data, number) if again else record.data
        template = Seen(0, time_ns + self._behind_ns, data, record.length, packet, number, direction=one.direction)
        lost_at = None if again else self.lost_at.get(number)
        arrived_ns = self._walk(template, one, lost_at)
        key = (id(one.flow), one.direction)
        self._ready[key] = max(self._ready.get(key, 0), arrived_ns)
        if lost_at is not None:
            fate = Fate.LOST
        else:
            taken = self.signs.get(number) is Sign.TAKEN
            fate = Fate.TAKEN if taken or (again and packet in self.truth.answered) else Fate.ARRIVED
        self.truth.fates[packet] = fate
        if again and one.datagram in self.truth.answered:
            self.truth.answered.add(packet)

    def _stay(self, time_ns, number):
        """It does not cross: who is on its side sees it."""
        one, record = self.sent[number], self.records[number]
        counted = one.layout is not None and one.flow is not None
        packet = one.datagram if counted else None
        seen = Seen(0, self._in_turn(0, 0, time_ns), record.data, record.length, packet, number)
        if counted:
            seen.ends = _ends_of(one, one.flow.client, one.flow.server)
            taken = self.signs.get(number) is Sign.TAKEN
            self.truth.fates[packet] = Fate.TAKEN if taken else Fate.UNKNOWN
        self.truth.seen.append(seen)

    def _sent_again(self, data, number):
        """The same bytes under another identification."""
        layout = self.layouts[number]
        if layout.version == 6 or not layout.identification:
            return data
        packet = Packet(data, layout)
        packet.identification(self.dice.randrange(2, 65536))
        return bytes(packet.data)

    def _walk(self, template, one, lost_at):
        """Past the points; when it had passed the last one."""
        points = range(self.kind.points)
        order = points if one.direction == 0 else points[::-1]
        copies, time_ns = [0], template.time_ns
        pieces = None
        for step, point in enumerate(order):
            if step:
                box = min(point, order[step - 1])
                if lost_at == box:
                    break
                time_ns = self._through(box, time_ns)
                if pieces is None and self._fragmented(one, template, step):
                    pieces = self.kind.mtu
                if self.dice.random() < self.kind.copied:
                    copies.append(copies[-1] + self.dice.randrange(2_000, 3_000_000))
            time_ns = self._in_turn(point, one.direction, time_ns)
            for number, later_ns in enumerate(copies):
                self._note(
                    replace(template, point=point, time_ns=time_ns + later_ns, copy=number > 0), one, step, pieces
                )
        return time_ns + copies[-1]

    def _through(self, box, time_ns):
        delay = self.delays_ns[box]
        time_ns += delay + int(self.dice.random() * self.kind.jitter * delay)
        if self.dice.random() < self.kind.reordered:
            # It loses its turn: what comes behind it does not wait.
            self._late = self.dice.randrange(*LATE_US) * 1000
            return time_ns + self._late
        self._late = 0
        return time_ns

    _late = 0

    def _in_turn(self, point, direction, time_ns):
        """When it passes the point: not before what came before it the same way."""
        if self._late:
            return time_ns
        free = max(time_ns, self._free_at.get((point, direction), 0) + GAP_NS)
        self._free_at[point, direction] = free
        return free

    def _fragmented(self, one, template, step):
        return self.kind.mtu and step and can_fragment(one.layout, len(template.data), template.length, self.kind.mtu)

    def _to_a_group(self, data):
        """Made-up frames often go to all stations; what crosses a router does not."""
        return self.link == ETHERNET and data[0] & 1

    def _note(self, seen, one, step, mtu):
        """What this point sees of it."""
        client, server = ends_at(one.flow, self.kind.boxes, seen.point, self.translator)
        seen.ends = _ends_of(one, client, server)
        layout, packet = one.layout, Packet(seen.data, one.layout)
        plain = one.flow.client, one.flow.server
        if (client, server) != plain:
            source, destination = seen.ends
            if layout.is_fragment and layout.offset:
                source, destination = (source[0], None), (destination[0], None)
            if layout.protocol == SCTP:
                source, destination = (source[0], None), (destination[0], None)
            packet.ends(source, destination)
            if layout.is_error and layout.quoted is not None:
                quoted = (server, client) if one.from_client else (client, server)
                packet.quoted_ends(*quoted)
        if self.kind.offloaded and seen.point == 0 and seen.direction == 0 and not layout.is_fragment:
            packet.offload(seen.ends[0][0], seen.ends[1][0])
        last = self.kind.points - 1
        packet.hops(min(layout.hops + last, 255) - step)
        if seen.point or self._to_a_group(seen.data):
            packet.stations(
                self.link, STATIONS[2 * seen.point + 1 - seen.direction], STATIONS[2 * seen.point + seen.direction]
            )
        seen.data = bytes(packet.data)
        if mtu is None:
            self.truth.seen.append(seen)
            return
        for number, (data, length) in enumerate(fragments(seen.data, self.link, mtu)):
            self.truth.seen.append(replace(seen, data=data, length=length, time_ns=seen.time_ns + number * 100))


def _ends_of(one, client, server):
    """(source, destination) of a frame whose conversation has these ends here; without ports where it has none."""
    source, destination = (client, server) if one.from_client else (server, client)
    if one.layout.is_error:
        # A router on the way speaks for itself.
        speaker = one.flow.client if one.from_client else one.flow.server
        own = source[0] if one.layout.source == speaker[0] else one.layout.source
        return (own, None), (destination[0], None)
    return source, destination
