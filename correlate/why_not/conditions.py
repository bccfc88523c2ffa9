"""What a rule asks of a packet, condition by condition, whatever tool wrote it down."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Fact(Enum):
    """What a condition can look at."""

    FAMILY = auto()
    PROTOCOL = auto()
    SOURCE = auto()
    DESTINATION = auto()
    SOURCE_PORT = auto()
    DESTINATION_PORT = auto()
    INPUT = auto()
    OUTPUT = auto()
    PORT_IN = auto()
    PORT_OUT = auto()
    CT_STATE = auto()
    CT_STATUS = auto()
    CT_DIRECTION = auto()
    CT_MARK = auto()
    CT_SOURCE = auto()
    CT_DESTINATION = auto()
    CT_SOURCE_PORT = auto()
    CT_DESTINATION_PORT = auto()
    CT_REPLY_SOURCE = auto()
    CT_REPLY_DESTINATION = auto()
    CT_REPLY_SOURCE_PORT = auto()
    CT_REPLY_DESTINATION_PORT = auto()
    MARK = auto()
    ICMP_TYPE = auto()
    ICMP_CODE = auto()
    TCP_FLAGS = auto()
    LENGTH = auto()
    TTL = auto()
    FRAGMENT = auto()
    SOURCE_TYPE = auto()
    DESTINATION_TYPE = auto()
    SOURCE_TYPE_AT_INPUT = auto()
    DESTINATION_TYPE_AT_INPUT = auto()


ADDRESSES: Final = frozenset(
    {Fact.SOURCE, Fact.DESTINATION, Fact.CT_SOURCE, Fact.CT_DESTINATION, Fact.CT_REPLY_SOURCE,
     Fact.CT_REPLY_DESTINATION}
)  # fmt: skip
PORTS: Final = frozenset(
    {Fact.SOURCE_PORT, Fact.DESTINATION_PORT, Fact.CT_SOURCE_PORT, Fact.CT_DESTINATION_PORT, Fact.CT_REPLY_SOURCE_PORT,
     Fact.CT_REPLY_DESTINATION_PORT}
)  # fmt: skip
NAMES: Final = frozenset({Fact.INPUT, Fact.OUTPUT, Fact.PORT_IN, Fact.PORT_OUT})
TYPES: Final = frozenset(
    {Fact.SOURCE_TYPE, Fact.DESTINATION_TYPE, Fact.SOURCE_TYPE_AT_INPUT, Fact.DESTINATION_TYPE_AT_INPUT}
)
ADDRESS_TYPES: Final = (
    "unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw",
    "nat", "xresolve",
)  # fmt: skip
"""RTN_* of linux/rtnetlink.h, by number."""
CT_STATES: Final = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
CT_STATUSES: Final = {
    "expected": 1, "seen-reply": 2, "seen_reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "dying": 512,
}  # fmt: skip
TCP_FLAGS: Final = {
    "fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "ece": 64, "cwr": 128, "none": 0,
    "all": 63,
}  # fmt: skip
"""iptables calls the first six ALL."""
DIRECTIONS: Final = {"original": 0, "reply": 1}


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `low` to `high`, both among them. Addresses are numbers of 128 bits, those of IPv4 mapped."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Name:
    """The name of an interface, or with `begins` how it begins."""

    text: str
    begins: bool = False


Wanted = Span | Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that a rule asks."""

    text: str
    """In the words of the rule."""
    facts: tuple[Fact, ...] = ()
    """What is compared: one thing, or several together (`ip daddr . tcp dport`)."""
    wanted: tuple[tuple[Wanted, ...], ...] = ()
    """Of each choice one for each fact; where one holds, the condition does."""
    negated: bool = False
    mask: int | None = None
    """These bits of the value are compared; None for all of it."""
    requires: tuple["Condition", ...] = ()
    """What goes without saying, and has to hold first: `tcp dport` is of TCP."""
    either: bool = False
    """One of the facts is enough, as for `--ports`; of each choice there is one then."""
    unknown: str = ""
    """Why it cannot be evaluated, where it cannot."""


def cannot(text: str, why: str = "nothing that is recorded tells") -> Condition:
    """A condition that cannot be evaluated."""
    return Condition(text=text, unknown=why)
