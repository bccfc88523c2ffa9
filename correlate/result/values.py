"""What a path is, for those who show or export one: frozen values with the fields of the JSON contract."""

from dataclasses import dataclass

from ..netfilter.rules import Rule
from .reasons import ReasonNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Encapsulation:
    """The outermost header around a packet in a tunnel."""

    kind: str
    """`VXLAN`, `Geneve`, `GRE`, `IPIP`, `6in4`, `4in6`, `6in6`."""
    id: int | None
    """VXLAN or Geneve network identifier, GRE key; None where there is none."""
    source: str
    destination: str
    levels: int
    """Tunnels within each other."""

    def __str__(self) -> str:
        number = f" {self.id}" if self.id is not None else ""
        more = f" ({self.levels} tunnels)" if self.levels > 1 else ""
        return f"{self.kind}{number} {self.source} -> {self.destination}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceHop:
    """The packet as a capture point saw it."""

    node: str
    netns: str
    interface: str
    container: str | None
    """The container at the far end of this port, or the one this interface is in."""
    direction: str
    """`in`, `out`, or `unknown` where the capture does not say."""
    time_ns: int
    """Unix epoch, by the clock of the first node (see the clocks of the captures)."""
    source: str
    destination: str
    order_known: bool
    """False: nothing but a guess puts it behind the hop before."""
    ttl: int
    length: int
    """Of the IP datagram in bytes; of the frame when it is not IP. Of the packet inside, in a tunnel."""
    encapsulation: Encapsulation | None
    """The tunnel it is in here; addresses, ttl and length are those of the packet inside."""
    file: str
    frame: int
    """Wireshark's frame number in `file`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMatch:
    """One rule that matched in a chain evaluation, in order."""

    chain: str
    handle: int
    number: int
    """Position in its chain, from 1; 0 when no snapshot shows it."""
    text: str
    verdict: str
    """`accept`, `drop`, `return`, `continue`, `queue`, or `jump CHAIN`, `goto CHAIN`."""
    rule: Rule | None

    @property
    def changed(self) -> bool:
        """The rule has no text because it was changed meanwhile."""
        return self.rule is not None and self.rule.changed


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHop:
    """The packet in one base chain."""

    node: str
    netns: str
    hook: str
    family: str
    table: str
    chain: str
    priority: int
    time_ns: int
    """When the trace message was received: not earlier than the packet was there. The kernel stamps none."""
    source: str
    destination: str
    rules: tuple[RuleMatch, ...]
    verdict: str
    """`accept`, `drop`, or `unknown` where the trace ends before it."""
    by_policy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelHop:
    """Something else that the kernel said of the packet (netfilter/sources.py)."""

    kind: str
    """Name of the source: what the JSON contract calls hops of this kind."""
    node: str
    netns: str
    time_ns: int
    source: str
    destination: str
    says: str
    """What it says, in the words of its source."""
    verdict: str
    """`accept`, `drop`, or `unknown` where it is none."""
    interface: str | None = None
    """The device it was at, or came in by, where that is known."""


Hop = InterfaceHop | ChainHop | KernelHop


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteStep:
    """A change of address or port between two consecutive hops of one path."""

    node: str
    netns: str
    after_hop: int
    before_hop: int
    field: str
    """`source` or `destination`."""
    old: str
    new: str
    kind: str
    """`snat`, `masquerade`, `dnat`, `redirect` or `unknown`."""
    undo: bool
    """Conntrack reverses a translation for the reply direction."""
    evidence: str
    """`trace`, `conntrack` or `inferred`."""
    rule: Rule | None
    """The rule that made the binding; None when no trace or snapshot names it."""
    rule_changed: bool
    """True where it is not named because it was changed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceShift:
    """How much more the numbers of a TCP segment are at its last hop than at its first, from -2**31 on."""

    sequence: int
    acknowledgment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """All hops of one packet, over all nodes, in order."""

    id: int
    connection: int
    protocol: str
    info: str
    """`SYN`, `echo request seq 3`, `12 bytes`, …"""
    outcome: str
    reason: ReasonNote | None
    confidence: float
    ambiguous: bool
    rivals: tuple[int, ...]
    """Paths this one may have been exchanged for, where it is ambiguous."""
    goes_on_as: tuple[int, ...]
    """Paths that carry its bytes on, cut differently (GSO, GRO)."""
    comes_from: tuple[int, ...]
    """Paths whose bytes it carries on."""
    forward: bool
    """It travels from the client to the server."""
    delivered_to: str | None
    """Container or namespace, where known."""
    sequence_shift: SequenceShift | None
    """What changed its sequence numbers on the way; None where nothing did."""
    payload_rewritten: bool
    """A helper on the way changed its payload (FTP, SIP)."""
    hops: tuple[Hop, ...]
    rewrites: tuple[RewriteStep, ...]

    @property
    def start_ns(self) -> int:
        """Time of the first frame; of the first trace message when no frame was captured."""
        return min((h.time_ns for h in self.hops if isinstance(h, InterfaceHop)), default=self.hops[0].time_ns)

    @property
    def duration_ns(self) -> int | None:
        """First to last frame; None with fewer than two."""
        times = [h.time_ns for h in self.hops if isinstance(h, InterfaceHop)]
        return times[-1] - times[0] if len(times) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The addresses a connection wore at one capture point, in the direction from client to server."""

    node: str
    netns: str
    interface: str
    source: str
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Who has a socket open."""

    pid: int
    """As ttrace saw it when it captured."""
    name: str
    container: str | None
    """Its name, or the beginning of its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The paths of one bidirectional flow, under all the address pairs it wore."""

    id: int
    protocol: str
    client: str
    client_name: str | None
    """The container or node that has this address, where just one has."""
    client_process: Process | None
    """Whose the socket is, where the capture recorded it."""
    server: str
    server_name: str | None
    server_process: Process | None
    outcome: str
    state: str
    """How far it came: see connection_state.py."""
    ending: str
    """The same in words, with who ended it: see connection_ending.py."""
    reason: ReasonNote | None
    """Why the first packet that did not arrive did not."""
    packets: int
    """Frames and, where no frame was captured, traced packets of the connection: its number of paths."""
    views: tuple[View, ...]
    paths: tuple[int, ...]
    rivals: tuple[int, ...]
    """Connections that may be this one behind a translation: more of them fit than one can be, so none is joined."""
