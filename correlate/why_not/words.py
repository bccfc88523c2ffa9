"""Facts, rules and conditions in words."""

from typing import Final

from ..netfilter.rules import Rule
from ..result.words import PROTOCOLS, address_text, tcp_flags_text
from .conditions import ADDRESS_TYPES, ADDRESSES, CT_STATES, CT_STATUSES, TYPES, Condition, Fact
from .looks import ABSENT, Value

_PHRASES: Final = {
    Fact.FAMILY: "the family was",
    Fact.PROTOCOL: "the protocol was",
    Fact.SOURCE: "the source was",
    Fact.DESTINATION: "the destination was",
    Fact.SOURCE_PORT: "the source port was",
    Fact.DESTINATION_PORT: "the destination port was",
    Fact.INPUT: "the input interface was",
    Fact.OUTPUT: "the output interface was",
    Fact.PORT_IN: "the bridge port it came in by was",
    Fact.PORT_OUT: "the bridge port to leave by was",
    Fact.CT_STATE: "the ct state was",
    Fact.CT_STATUS: "the ct status was",
    Fact.CT_DIRECTION: "the ct direction was",
    Fact.CT_MARK: "the ct mark was",
    Fact.CT_SOURCE: "the source that its connection began with was",
    Fact.CT_DESTINATION: "the destination that its connection began with was",
    Fact.CT_SOURCE_PORT: "the source port that its connection began with was",
    Fact.CT_DESTINATION_PORT: "the destination port that its connection began with was",
    Fact.CT_REPLY_SOURCE: "the source of the replies was",
    Fact.CT_REPLY_DESTINATION: "the destination of the replies was",
    Fact.CT_REPLY_SOURCE_PORT: "the source port of the replies was",
    Fact.CT_REPLY_DESTINATION_PORT: "the destination port of the replies was",
    Fact.MARK: "the mark was",
    Fact.ICMP_TYPE: "the ICMP type was",
    Fact.ICMP_CODE: "the ICMP code was",
    Fact.TCP_FLAGS: "the TCP flags were",
    Fact.LENGTH: "the length in bytes was",
    Fact.TTL: "the time to live was",
    Fact.FRAGMENT: "the offset of the fragment was",
    Fact.SOURCE_TYPE: "the type of the source was",
    Fact.DESTINATION_TYPE: "the type of the destination was",
    Fact.SOURCE_TYPE_AT_INPUT: "the type of the source at that interface was",
    Fact.DESTINATION_TYPE_AT_INPUT: "the type of the destination at that interface was",
}
"""How a fact is told of a packet: `its destination port was 80`."""
_NAMED_BITS: Final = {
    Fact.CT_STATE: CT_STATES, Fact.CT_STATUS: {name: bit for name, bit in CT_STATUSES.items() if "_" not in name},
}  # fmt: skip
_FAMILIES: Final = {4: "IPv4", 6: "IPv6", 0: "neither IPv4 nor IPv6"}


def value_words(fact: Fact, value: Value) -> str:
    """One value of a fact."""
    if value is None:
        return "not known"
    if value is ABSENT:
        return "none"
    if isinstance(value, str):
        return value or "no interface"
    if not isinstance(value, int):
        return str(value)
    if fact in ADDRESSES:
        return address_text(value >> 64, value & (2**64 - 1))
    if fact in _NAMED_BITS:
        return ",".join(name for name, bit in _NAMED_BITS[fact].items() if value & bit) or "none"
    if fact in TYPES:
        return ADDRESS_TYPES[value].upper()
    match fact:
        case Fact.FAMILY:
            return _FAMILIES.get(value, str(value))
        case Fact.PROTOCOL:
            return PROTOCOLS.get(value, f"protocol {value}")
        case Fact.TCP_FLAGS:
            return tcp_flags_text(value)
        case Fact.MARK | Fact.CT_MARK:
            return f"{value:#x}"
        case Fact.CT_DIRECTION:
            return "reply" if value else "original"
    return str(value)


def was_words(condition: Condition, values: tuple[Value, ...]) -> tuple[str, str]:
    """(`its destination port was`, `80`): what a condition met, of the values of its facts."""
    if len(condition.facts) == 1:
        return _PHRASES[condition.facts[0]], value_words(condition.facts[0], values[0])
    said = [value_words(fact, value) for fact, value in zip(condition.facts, values, strict=True)]
    return ("the ports were", " and ".join(said)) if condition.either else ("these were", " . ".join(said))


def rule_place(rule: Rule) -> str:
    """Where a rule stands: `nat DOCKER rule 2`, `inet fw forw rule 2`, as short as the tools have it."""
    family = "" if rule.family in ("ip", "ip6") else f"{rule.family} "
    return f"{family}{rule.table} {rule.chain} {rule_number(rule)}"


def rule_number(rule: Rule) -> str:
    """`rule 2`."""
    return f"rule {rule.number}" if rule.number else f"rule with handle {rule.handle}"


def chain_place(family: str, table: str, chain: str) -> str:
    """`nat DOCKER`, `inet fw forw`."""
    return f"{table} {chain}" if family in ("ip", "ip6") else f"{family} {table} {chain}"


def counted(packets: int) -> str:
    """`31 packets`."""
    return f"{packets:,} packet{'' if packets == 1 else 's'}"
