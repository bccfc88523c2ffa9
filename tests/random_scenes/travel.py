"""A packet under way, and the notes that are taken of it."""

from dataclasses import dataclass, field
from random import Random

from .conntrack import Entry
from .happened import AtDevice, End, Happened, Story
from .packets import Packet, frames
from .topology import Device, Space


@dataclass(eq=False, slots=True, kw_only=True)
class Travel:
    """A packet under way."""

    story: Story
    time_us: float
    packet: Packet
    outer: Packet | None = None
    """The datagram around it, while it is in a tunnel."""
    partial: bool = False
    tracked: tuple[Entry, int] | None = None
    """Its conntrack entry in the namespace it is in, and its direction there."""
    next_hop: str = ""
    overtakes: bool = False
    """It came over a wire that changes the order of packets."""

    @property
    def seen(self) -> Packet:
        """What the IP layer handles: in a tunnel, the datagram around it."""
        return self.outer or self.packet

    def become(self, packet: Packet) -> None:
        if self.outer is None:
            self.packet = packet
        else:
            self.outer = packet

    def ends(self, outcome: str, reason: str, place: object, rule: tuple[str, str, str, int] | None = None) -> None:
        self.story.end = End(outcome=outcome, reason=reason, place=str(place), rule=rule, time_us=self.time_us)


@dataclass(eq=False, slots=True, kw_only=True)
class Notes:
    """Puts down where packets pass, and when."""

    random: Random
    happened: Happened = field(default_factory=Happened)
    _busy: dict[tuple[Space, int, bool], tuple[int, float]] = field(default_factory=dict)
    """Namespace, connection, way: the packet that was there last, and until when."""

    def story(self, packet: Packet, time_us: float, connection: int, forward: bool, **more: object) -> Story:
        number = len(self.happened.stories) + 1
        story = Story(number=number, connection=connection, forward=forward, packet=packet, sent_us=time_us, **more)
        self.happened.stories.append(story)
        return story

    def at(self, travel: Travel, device: Device, direction: str, *, missing: int | None = None) -> None:
        """The packet passes a device."""
        travel.time_us += self.random.uniform(0.4, 8)
        self.wait(travel, device.space)
        travel.story.points.append(AtDevice(
            device=device, direction=direction, time_us=travel.time_us, packet=travel.packet, outer=travel.outer,
            partial=travel.partial, next_mac=bytes([2, 0x42, 0, 0, 0, device.index]), missing=missing,
        ))  # fmt: skip
        self.is_there(travel, device.space, len(frames(travel.seen)))

    def wait(self, travel: Travel, space: Space) -> None:
        """Nothing overtakes in a namespace: a packet is on its way out before the next one of its flow comes in."""
        before, until_us = self._busy.get((space, travel.story.connection, travel.story.forward), (0, 0.0))
        if before != travel.story.number and not travel.overtakes:
            travel.time_us = max(travel.time_us, until_us + 0.3)

    def is_there(self, travel: Travel, space: Space, pieces: int = 1) -> None:
        key = space, travel.story.connection, travel.story.forward
        until_us = max(travel.time_us + pieces - 1, self._busy.get(key, (0, 0.0))[1])
        self._busy[key] = travel.story.number, until_us
