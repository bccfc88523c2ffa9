"""What is said in a scene: conversations of clients with services, packet by packet."""

from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from .happened import Story
from .network import Network
from .packets import (
    ACK,
    ECHO_REPLY,
    ECHO_REQUEST,
    FIN,
    ICMP,
    ICMPV6,
    MSS,
    PORT_UNREACHABLE,
    PSH,
    RST,
    SYN,
    TCP,
    UDP,
    Packet,
    frames,
)
from .rule_choice import CLOSED, FORBIDDEN, Service
from .topology import Space
from .travel import Travel

RETRY_US = 210_000
"""TCP's first retransmission timeout, about."""


@dataclass(eq=False, slots=True, kw_only=True)
class Talk:
    """One conversation: who sends what, and what he does when it does not arrive."""

    network: Network
    random: Random
    number: int
    client: Space
    service: Service
    zero_ids: bool
    """IPv4 identifications are all 0, as of Linux with DF set outside of connections."""
    _ids: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        self._ids = count(self.random.randrange(1, 60000))

    def ip_id(self, packet: Packet) -> int:
        """Of IPv6 it is that of the fragment header."""
        in_pieces = len(frames(packet)) > 1
        has_none = packet.version == 6 or self.zero_ids
        return 0 if has_none and not in_pieces else next(self._ids) % 65535 + 1

    def send(self, space: Space, packet: Packet, time_us: float, *, forward: bool, more: bool = False) -> Story:
        packet = replace(packet, ip_id=self.ip_id(packet))
        return self.network.send(space, packet, time_us, connection=self.number, forward=forward, more=more)

    def request(self, protocol: int, port: int, **what: object) -> Packet | None:
        """A packet from the client to the service; None where it has no address for that."""
        way = self.client.way_to(self.service.address)
        local = self.client.is_local(self.service.address)
        source = self.service.address if local else way and way[0].address(self.service.version)
        if not source:
            return None
        return Packet(
            protocol=protocol, source=source, destination=self.service.address, source_port=port,
            destination_port=self.service.port, **what,
        )  # fmt: skip

    def answers(self, story: Story) -> bool:
        """Whether what arrived there is listened to."""
        where = story.end.place if story.end else ""
        meant = self.service.where is not None and where == str(self.service.where)
        return meant and self.service.port not in (CLOSED, FORBIDDEN)

    def space_of(self, story: Story) -> Space:
        """Where it was delivered."""
        world = self.network.world
        return next(s for host in world.hosts for s in host.spaces if str(s) == story.end.place)

    def refuse(self, story: Story) -> None:
        """Nobody listens where a datagram arrived."""
        packet = last_seen(story)
        story.end = replace(story.end, outcome="refused", reason="nobody listens")
        travel = Travel(story=story, time_us=story.end.time_us, packet=packet)
        space = self.space_of(story)
        self.network.complain(travel, space, PORT_UNREACHABLE[packet.version], packet.destination)


def last_seen(story: Story) -> Packet:
    """As it arrived."""
    return story.arrived or story.packet


def reply_to(packet: Packet, **what: object) -> Packet:
    """From the receiver of a packet, as it came to him, to its sender."""
    return Packet(
        protocol=packet.protocol, source=packet.destination, destination=packet.source,
        source_port=packet.destination_port, destination_port=packet.source_port, **what,
    )  # fmt: skip


def datagrams(talk: Talk, start_us: float) -> None:
    """UDP: requests and answers, all different or all the same, small or in fragments."""
    random = talk.random
    same = random.random() < 0.3
    size = random.choice([12, 40, 300, 1200, 1200, 2500, 4100])
    size = min(size, 1200) if talk.service.tunnel else size
    pause_us = random.choice([2, 40, 3_000, 60_000])
    port = random.choice([5353, 4000, 4001, 5000]) if random.random() < 0.4 else random.randrange(20_000, 60_000)
    time_us = start_us
    for number in range(random.choice([1, 2, 3, 6, 10])):
        words = b"the same" if same else b"%d of %d" % (number, talk.number)
        packet = talk.request(UDP, port, payload=(words * (size // len(words) + 1))[:size])
        if packet is None:
            return
        story = talk.send(talk.client, packet, time_us, forward=True)
        time_us += pause_us
        if not story.deliveries():
            continue
        if not talk.answers(story):
            talk.refuse(story)
            continue
        answer = reply_to(last_seen(story), payload=b"answer to " + packet.payload[: size // 2])
        talk.send(talk.space_of(story), answer, story.end.time_us + random.uniform(10, 300), forward=False)


def pings(talk: Talk, start_us: float) -> None:
    """Echo requests and replies; some with so small a time to live that routers give them up."""
    random = talk.random
    version = talk.service.version
    protocol = ICMP if version == 4 else ICMPV6
    identifier = random.choice([7, 77, random.randrange(1, 65536)])
    probing = random.random() < 0.3
    for number in range(random.choice([1, 3, 5])):
        packet = talk.request(
            protocol, identifier, icmp=ECHO_REQUEST[version], sequence=number + 1, payload=b"ping%d" % talk.number * 6,
            ttl=number // 2 + 1 if probing else 64,
        )  # fmt: skip
        if packet is None:
            return
        packet = replace(packet, destination_port=identifier)
        story = talk.send(talk.client, packet, start_us + number * 30_000, forward=True)
        if story.deliveries():
            arrived = last_seen(story)
            answer = reply_to(arrived, icmp=ECHO_REPLY[version], sequence=arrived.sequence, payload=arrived.payload)
            time_us = story.end.time_us + random.uniform(5, 60)
            talk.send(talk.space_of(story), answer, time_us, forward=False)


@dataclass(eq=False, slots=True, kw_only=True)
class _Side:
    """One end of a TCP connection."""

    space: Space
    forward: bool
    template: Packet
    """Addresses and ports of what it sends."""
    sequence: int
    acknowledgment: int = 0

    def segment(self, flags: int, payload: bytes = b"", at: int = 0) -> Packet:
        return replace(
            self.template, sequence=(self.sequence + at) % 2**32, acknowledgment=self.acknowledgment, flags=flags,
            payload=payload,
        )  # fmt: skip


@dataclass(eq=False, slots=True, kw_only=True)
class _Tcp:
    """A TCP connection while it lasts."""

    talk: Talk
    time_us: float

    def deliver(self, side: _Side, packet: Packet) -> Story | None:
        """Send until it arrives whole; None when it never does. `time_us` becomes the time of arrival."""
        for _ in range(3):
            story = self.talk.send(side.space, packet, self.time_us, forward=side.forward)
            arrived = story.deliveries()
            if sum(one.packet.size for one in arrived) >= packet.size and arrived:
                if self.talk.random.random() < 0.04:  # its acknowledgment was late: it is sent once more
                    self.talk.send(side.space, packet, self.time_us + RETRY_US, forward=side.forward)
                self.time_us = max(one.end.time_us for one in arrived)
                return arrived[-1]
            self.time_us += RETRY_US * self.talk.random.uniform(1, 1.2)
        return None

    def burst(self, side: _Side, payloads: list[bytes]) -> None:
        """Segments at once; those that are lost come again."""
        packets, at = [], 0
        for number, payload in enumerate(payloads):
            flags = ACK | (PSH if number == len(payloads) - 1 else 0)
            packets.append(side.segment(flags, payload, at))
            at += len(payload)
        start_us = self.time_us
        stories = [
            self.talk.send(side.space, p, start_us + 2 * n, forward=side.forward, more=p is not packets[-1])
            for n, p in enumerate(packets)
        ]
        for packet, story in zip(packets, stories, strict=True):
            arrived = story.deliveries()
            if arrived:
                self.time_us = max(self.time_us, arrived[-1].end.time_us)
            else:
                self.time_us = max(self.time_us, start_us + RETRY_US)
                self.deliver(side, packet)

    def say(self, side: _Side, other: _Side, payload: bytes) -> None:
        """Bytes, and their acknowledgment."""
        talk, size = self.talk, len(payload)
        most = 1200 if talk.service.tunnel else MSS[side.template.version]
        if size <= most or (talk.random.random() < 0.6 and not talk.service.tunnel):
            self.deliver(side, side.segment(ACK | PSH, payload))
        else:
            self.burst(side, [payload[at : at + most] for at in range(0, size, most)])
        side.sequence = (side.sequence + size) % 2**32
        other.acknowledgment = side.sequence
        self.time_us += talk.random.uniform(5, 200)
        talk.send(other.space, other.segment(ACK), self.time_us, forward=other.forward)


def stream(talk: Talk, start_us: float) -> None:
    """TCP: a handshake, requests and answers of any size, and an end by FIN or RST, or none."""
    random = talk.random
    tcp = _Tcp(talk=talk, time_us=start_us)
    sides = _handshake(tcp)
    if sides is None:
        return
    client, server = sides
    for number in range(random.choice([0, 1, 1, 2, 4])):
        words = b"request %d of %d " % (number, talk.number)
        tcp.say(client, server, words * random.choice([1, 4, 200]))
        tcp.say(server, client, b"answer to " + words * random.choice([1, 20, 90, 300]))
        tcp.time_us += random.choice([100, 5_000, 150_000])
    end = random.choice(["fin", "fin", "reset", "none"])
    if end == "reset":
        talk.send(client.space, client.segment(RST | ACK), tcp.time_us, forward=True)
    elif end == "fin":
        for side, other in ((client, server), (server, client)):
            tcp.deliver(side, side.segment(FIN | ACK))
            side.sequence = (side.sequence + 1) % 2**32
            other.acknowledgment = side.sequence
            tcp.time_us += random.uniform(5, 100)
        talk.send(client.space, client.segment(ACK), tcp.time_us, forward=True)


def _handshake(tcp: _Tcp) -> tuple[_Side, _Side] | None:
    """Client and server of a connection; None where it does not come about."""
    talk, random = tcp.talk, tcp.talk.random
    port = random.randrange(20_000, 60_000) if random.random() < 0.7 else 40_000
    first = talk.request(TCP, port, flags=SYN, sequence=random.randrange(2**32), window=64240)
    if first is None:
        return None
    template = replace(first, flags=0, window=502)
    client = _Side(space=talk.client, forward=True, template=template, sequence=first.sequence)
    story = tcp.deliver(client, first)
    if story is None:
        return None
    tcp.time_us += random.uniform(5, 50)
    arrived = last_seen(story)
    server = _Side(
        space=talk.space_of(story), forward=False, template=reply_to(arrived, window=509),
        sequence=random.randrange(2**32), acknowledgment=(arrived.sequence + 1) % 2**32,
    )  # fmt: skip
    client.sequence = (client.sequence + 1) % 2**32
    if not talk.answers(story):
        talk.send(server.space, replace(server.segment(RST | ACK), sequence=0, window=0), tcp.time_us, forward=False)
        return None
    if tcp.deliver(server, server.segment(SYN | ACK)) is None:
        return None
    server.sequence = (server.sequence + 1) % 2**32
    client.acknowledgment = server.sequence
    talk.send(client.space, client.segment(ACK), tcp.time_us + random.uniform(3, 30), forward=True)
    tcp.time_us += 40
    return client, server


CONVERSATIONS = (stream, stream, stream, datagrams, datagrams, pings)
