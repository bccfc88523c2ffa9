"""What happens in a scene, whether or not anybody records it: the ways of its packets, and conntrack's events."""

from dataclasses import dataclass, field

from .conntrack import Entry
from .packets import Packet
from .rules import Chain, Evaluation
from .topology import Device, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class AtDevice:
    """The packet passed a device, where AF_PACKET would see it."""

    device: Device
    direction: str
    """`in` or `out`."""
    time_us: float
    packet: Packet
    outer: Packet | None
    """The datagram around it, in a tunnel."""
    partial: bool
    """Its checksum was left to the hardware."""
    next_mac: bytes
    """Ethernet destination."""
    missing: int | None = None
    """The fragment that did not come."""

    @property
    def space(self) -> Space:
        return self.device.space


@dataclass(frozen=True, slots=True, kw_only=True)
class InChain:
    """A base chain saw the packet."""

    space: Space
    chain: Chain
    time_us: float
    packet: Packet
    outer: Packet | None
    """What the chain saw, where that is the datagram around it."""
    evaluation: Evaluation
    iif: Device | None
    oif: Device | None
    conntrack: tuple[int, int, int] | None
    """Id, direction and status of its entry; None before conntrack has seen it."""


Point = AtDevice | InChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """An address or port changed between two points."""

    space: Space
    end: str
    """`source` or `destination`."""
    old: tuple[str, int]
    new: tuple[str, int]
    kind: str
    """snat, masquerade, dnat, redirect."""
    undo: bool
    rule: tuple[str, str, str, int] | None
    """Family, table, chain and handle of the rule that made the binding."""
    position: int
    """Number of points before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What became of a packet."""

    outcome: str
    """delivered; refused (it arrived, and nobody listens); dropped (rule, policy, ttl); lost (wire, a fragment, no
    route, no such host); segmented, merged: it goes on as other packets."""
    reason: str
    place: str
    """`node/namespace`, or the wire's `wire 0`."""
    rule: tuple[str, str, str, int] | None = None
    time_us: float = 0


@dataclass(eq=False, slots=True, kw_only=True)
class Story:
    """The way of one packet."""

    number: int
    """From 1, in the order of sending."""
    connection: int
    forward: bool
    """From the client to the server."""
    packet: Packet
    """As it was sent."""
    sent_us: float
    points: list[Point] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    end: End | None = None
    arrived: Packet | None = None
    """As it was delivered."""
    comes_from: tuple["Story", ...] = ()
    """Packets whose bytes it carries on (GSO, GRO)."""
    about: "Story | None" = None
    """The packet that an ICMP error is about."""
    goes_on_as: list["Story"] = field(default_factory=list)

    def deliveries(self) -> list["Story"]:
        """The packets that arrived with its bytes."""
        if self.goes_on_as:
            return [arrived for story in self.goes_on_as for arrived in story.deliveries()]
        return [self] if self.end is not None and self.end.outcome == "delivered" else []


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackEvent:
    """What conntrack told of an entry."""

    space: Space
    time_us: float
    what: str
    """new, update or destroyed."""
    entry: Entry
    reply: tuple[int, str, int, str, int]
    status: int
    """Both as they were then."""


@dataclass(slots=True, kw_only=True)
class Happened:
    """Everything."""

    stories: list[Story] = field(default_factory=list)
    conntrack: list[ConntrackEvent] = field(default_factory=list)
