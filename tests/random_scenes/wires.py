"""What wires and network cards do to packets: loss, delay, and TCP segments that are cut and put together."""

from dataclasses import dataclass, replace
from random import Random

from .packets import FIN, MSS, PSH, TCP
from .topology import Device
from .travel import Notes, Travel


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What the wires do, and the hosts' network cards."""

    loss: float = 0
    """Part of the packets that a wire loses."""
    reorders: bool = False
    delay_us: float = 100
    segments: str = "kept"
    """What becomes of TCP super-packets on a wire: `kept` (GRO makes the same of the segments again), `cut` to MSS,
    `other` (segments put together differently)."""
    merges: bool = False
    """The receiving card puts segments together that were sent one by one (GRO)."""
    offload: bool = True
    """Checksums are left to the card."""


def is_super_packet(travel: Travel) -> bool:
    """TCP that a card has to cut (TSO)."""
    packet = travel.packet
    return packet.protocol == TCP and travel.outer is None and packet.size > MSS[packet.version]


def cut(travel: Travel, target: Device, weather: Weather, notes: Notes, random: Random) -> list[Travel]:
    """A super-packet goes over a wire in segments, each a packet of its own, of which GRO may put some together.

    Returns those that arrive; the super-packet itself ends here.
    """
    packet, story, wire = travel.packet, travel.story, f"wire {target.lan}"
    step = MSS[packet.version] * (2 if weather.segments == "other" else 1)
    if step >= packet.size:
        return [travel]
    travel.ends("segmented", "", wire)
    arrived = []
    for number, at in enumerate(range(0, packet.size, step)):
        part = packet.payload[at : at + step]
        flags = packet.flags if at + step >= packet.size else packet.flags & ~(PSH | FIN)
        ip_id = (packet.ip_id + number) % 65536 if packet.ip_id else 0
        piece = replace(packet, sequence=(packet.sequence + at) % 2**32, payload=part, flags=flags, ip_id=ip_id)
        new = notes.story(piece, travel.time_us, story.connection, story.forward, comes_from=(story,))
        story.goes_on_as.append(new)
        segment = Travel(story=new, time_us=travel.time_us + number, packet=piece)
        if random.random() < weather.loss:
            segment.ends("lost", "wire", wire)
        else:
            arrived.append(segment)
    return arrived


def put_together(held: list[tuple[Travel, Device]], notes: Notes) -> list[tuple[Travel, Device]]:
    """GRO: what comes in one after the other at one device, and follows each other, becomes one packet."""
    found = []
    rest = list(held)
    while rest:
        first, target = rest.pop(0)
        together = [first]
        while rest and rest[0][1] is target and _follows(together, rest[0][0]):
            together.append(rest.pop(0)[0])
        found.append((_merged(together, notes) if len(together) > 1 else first, target))
    return found


def _merged(parts: list[Travel], notes: Notes) -> Travel:
    first, last = parts[0].packet, parts[-1].packet
    payload = b"".join(part.packet.payload for part in parts)
    packet = replace(first, payload=payload, flags=first.flags | last.flags)
    time_us = max(part.time_us for part in parts)
    of = parts[0].story
    stories = tuple(part.story for part in parts)
    new = notes.story(packet, time_us, of.connection, of.forward, comes_from=stories)
    for part in parts:
        part.story.goes_on_as.append(new)
        part.ends("merged", "", "wire")
    return Travel(story=new, time_us=time_us, packet=packet)


def _follows(together: list[Travel], after: Travel) -> bool:
    """Whether a segment goes on where those before it end."""
    last, packet = together[-1].packet, after.packet
    same = last.ends() == packet.ends() and last.acknowledgment == packet.acknowledgment and last.ttl == packet.ttl
    size = sum(part.packet.size for part in together) + packet.size
    return same and (last.sequence + last.size) % 2**32 == packet.sequence and not last.flags & PSH and size < 60_000
