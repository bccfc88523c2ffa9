"""What a rule looks at, in nft's words."""

from dataclasses import dataclass
from typing import Final

from .conditions import Fact
from .nft_words import NftWords

_IMPLIED = tuple[tuple[Fact, tuple[int, ...]], ...]
_IPV4: Final[_IMPLIED] = ((Fact.FAMILY, (4,)),)
_IPV6: Final[_IMPLIED] = ((Fact.FAMILY, (6,)),)
_TRANSPORTS: Final = {"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132, "udplite": 136}


@dataclass(frozen=True, slots=True)
class Operand:
    """One thing, or several together."""

    facts: tuple[Fact, ...]
    """Empty where one of them cannot be evaluated."""
    implied: _IMPLIED = ()
    """Facts that have to have one of these values first."""

    @property
    def known(self) -> bool:
        """It can be evaluated."""
        return bool(self.facts)


_PLAIN: Final[dict[tuple[str, ...], Operand]] = {
    ("ip", "saddr"): Operand((Fact.SOURCE,), _IPV4), ("ip", "daddr"): Operand((Fact.DESTINATION,), _IPV4),
    ("ip6", "saddr"): Operand((Fact.SOURCE,), _IPV6), ("ip6", "daddr"): Operand((Fact.DESTINATION,), _IPV6),
    ("ip", "protocol"): Operand((Fact.PROTOCOL,), _IPV4), ("ip6", "nexthdr"): Operand((Fact.PROTOCOL,), _IPV6),
    ("ip", "ttl"): Operand((Fact.TTL,), _IPV4), ("ip6", "hoplimit"): Operand((Fact.TTL,), _IPV6),
    ("ip", "length"): Operand((Fact.LENGTH,), _IPV4), ("meta", "length"): Operand((Fact.LENGTH,)),
    ("th", "sport"): Operand((Fact.SOURCE_PORT,)), ("th", "dport"): Operand((Fact.DESTINATION_PORT,)),
    ("tcp", "flags"): Operand((Fact.TCP_FLAGS,), ((Fact.PROTOCOL, (6,)),)),
    ("icmp", "type"): Operand((Fact.ICMP_TYPE,), ((Fact.PROTOCOL, (1,)),)),
    ("icmp", "code"): Operand((Fact.ICMP_CODE,), ((Fact.PROTOCOL, (1,)),)),
    ("icmpv6", "type"): Operand((Fact.ICMP_TYPE,), ((Fact.PROTOCOL, (58,)),)),
    ("icmpv6", "code"): Operand((Fact.ICMP_CODE,), ((Fact.PROTOCOL, (58,)),)),
    ("meta", "l4proto"): Operand((Fact.PROTOCOL,)), ("meta", "nfproto"): Operand((Fact.FAMILY,)),
    ("meta", "protocol"): Operand((Fact.FAMILY,)),
    ("ct", "state"): Operand((Fact.CT_STATE,)), ("ct", "status"): Operand((Fact.CT_STATUS,)),
    ("ct", "direction"): Operand((Fact.CT_DIRECTION,)), ("ct", "mark"): Operand((Fact.CT_MARK,)),
    ("ct", "protocol"): Operand((Fact.PROTOCOL,)), ("ct", "l3proto"): Operand((Fact.FAMILY,)),
    ("mark",): Operand((Fact.MARK,)), ("meta", "mark"): Operand((Fact.MARK,)),
}  # fmt: skip


def _table() -> dict[tuple[str, ...], Operand]:
    found = dict(_PLAIN)
    for name, number in _TRANSPORTS.items():
        found[name, "sport"] = Operand((Fact.SOURCE_PORT,), ((Fact.PROTOCOL, (number,)),))
        found[name, "dport"] = Operand((Fact.DESTINATION_PORT,), ((Fact.PROTOCOL, (number,)),))
    for name, fact in (("iif", Fact.INPUT), ("iifname", Fact.INPUT), ("oif", Fact.OUTPUT), ("oifname", Fact.OUTPUT)):
        found[(name,)] = found["meta", name] = Operand((fact,))
    for name in ("ibrname", "obrname", "ibriport", "obriport"):
        found[(name,)] = found["meta", name] = Operand(())
    tuples = {
        "original": (Fact.CT_SOURCE, Fact.CT_DESTINATION, Fact.CT_SOURCE_PORT, Fact.CT_DESTINATION_PORT),
        "reply": (Fact.CT_REPLY_SOURCE, Fact.CT_REPLY_DESTINATION, Fact.CT_REPLY_SOURCE_PORT,
                  Fact.CT_REPLY_DESTINATION_PORT),
    }  # fmt: skip
    for way, facts in tuples.items():
        for word, fact in zip(("saddr", "daddr", "proto-src", "proto-dst"), facts, strict=True):
            found["ct", way, word] = Operand((fact,))
            found["ct", way, "ip", word] = Operand((fact,), _IPV4)
            found["ct", way, "ip6", word] = Operand((fact,), _IPV6)
    return found


_OPERANDS: Final = _table()
_LONGEST: Final = max(len(words) for words in _OPERANDS)
_OF_TWO_WORDS: Final = frozenset(
    {"meta", "ct", "ip", "ip6", "tcp", "udp", "sctp", "dccp", "udplite", "th", "icmp", "icmpv6", "igmp", "ether",
     "vlan", "arp", "rt", "socket", "osf", "exthdr", "frag", "hbh", "dst", "mh", "ah", "esp", "comp", "ipsec", "gre",
     "gretap", "geneve", "vxlan"}
)  # fmt: skip
"""What begins so and is not above is not evaluated."""
_OF_ONE_WORD: Final = frozenset(
    {"skuid", "skgid", "pkttype", "cpu", "cgroup", "iiftype", "oiftype", "iifgroup", "oifgroup", "rtclassid", "nftrace",
     "time", "hour", "day", "numgen", "jhash", "symhash"}
)  # fmt: skip
_FIB_ENDS: Final = ("oif", "oifname", "type")


def begins_operand(words: NftWords) -> bool:
    """Whether something that is looked at stands next."""
    word = words.next
    return word in _OF_TWO_WORDS or word in _OF_ONE_WORD or word == "fib" or (word,) in _OPERANDS


def read_operand(words: NftWords) -> Operand | None:
    """What stands next, several things with dots between them; None where it is nothing of the kind."""
    found = _read_one(words)
    if found is None:
        return None
    facts, implied, known = list(found.facts), list(found.implied), found.known
    while words.accept("."):
        other = _read_one(words)
        if other is None:
            known = False
            break
        known &= other.known
        facts += other.facts
        implied += [one for one in other.implied if one not in implied]
    return Operand(tuple(facts) if known else (), tuple(implied))


def _read_one(words: NftWords) -> Operand | None:
    if words.next == "fib":
        return _read_fib(words)
    for length in range(_LONGEST, 0, -1):
        known = _OPERANDS.get(tuple(words.peek(ahead) for ahead in range(length)))
        if known is not None:
            words.skip(length)
            return known
    if words.next in _OF_TWO_WORDS:
        words.skip(2)
        return Operand(())
    if words.next in _OF_ONE_WORD or words.next.startswith("@"):
        words.skip()
        return Operand(())
    return None


def _read_fib(words: NftWords) -> Operand:
    """`fib daddr type`, `fib daddr . iif type`; what asks for a route is not evaluated."""
    asked: list[str] = []
    while (not words.ended and words.next not in _FIB_ENDS) or (asked and asked[-1] == "."):
        asked.append(words.take())
    result = words.take()
    known = {
        ("saddr",): Fact.SOURCE_TYPE, ("daddr",): Fact.DESTINATION_TYPE,
        ("saddr", ".", "iif"): Fact.SOURCE_TYPE_AT_INPUT, ("daddr", ".", "iif"): Fact.DESTINATION_TYPE_AT_INPUT,
    }.get(tuple(asked[1:]))  # fmt: skip
    return Operand((known,) if known and result == "type" else ())
