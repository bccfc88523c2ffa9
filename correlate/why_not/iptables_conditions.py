"""What a line of iptables-save asks of a packet."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from .conditions import (
    ADDRESS_TYPES,
    CT_STATES,
    CT_STATUSES,
    DIRECTIONS,
    TCP_FLAGS,
    Condition,
    Fact,
    Name,
    Span,
    Wanted,
    cannot,
)
from .values import ICMP_TYPES, ICMPV6_TYPES, addresses, bits, number_of, numbers, protocol_number

_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_TARGETS: Final = ("-j", "-g", "--jump", "--goto")
_ANY_ICMP_TYPE: Final = 255
_MATCHES: Final = frozenset(
    {"tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmp6", "icmpv6", "multiport", "conntrack", "state", "mark",
     "connmark", "addrtype", "iprange", "physdev", "ttl", "hl", "length", "set", "comment"}
)  # fmt: skip
"""Those whose options are read one by one; others are not evaluated as a whole."""
_STATIC_STATES: Final = {"SNAT": 16, "DNAT": 32}
"""States of `--ctstate` that are bits of the status."""


def iptables_conditions(text: str) -> list[Condition]:
    """The conditions of a rule, in its order; what cannot be evaluated says so."""
    words = _WORD.findall(text)
    found: list[Condition] = []
    at, module, inverted = (2 if words[:1] == ["-A"] else 0), "", False
    while at < len(words) and words[at] not in _TARGETS:
        word = words[at]
        at += 1
        if word == "!":
            inverted = True
            continue
        if word in ("-m", "--match") and at < len(words):
            module = words[at]
            at += 1
            if module not in _MATCHES:
                end = _end_of_match(words, at)
                found.append(cannot(" ".join(["-m", *words[at - 1 : end]])))
                at = end
            inverted = False
            continue
        end = _end_of_option(words, at)
        said = " ".join([*(["!"] if inverted else []), word, *words[at:end]])
        for one in _option(word, words[at:end], module, said):
            found.append(replace(one, negated=one.negated != inverted))
        at, inverted = end, False
    return found


def _end_of_match(words: list[str], at: int) -> int:
    """Where the options of a match end: at the next one, or at the target."""
    while at < len(words) and words[at] not in ("-m", "--match", *_TARGETS):
        at += 1
    return at


def _end_of_option(words: list[str], at: int) -> int:
    """Where the values of an option end."""
    while at < len(words) and words[at] != "!" and not (words[at].startswith("-") and not words[at][1:2].isdigit()):
        at += 1
    return at


def _option(option: str, values: list[str], module: str, text: str) -> Iterator[Condition]:
    """The condition of one option, not inverted; none for what asks nothing."""
    if option == "--comment" or (option in ("-p", "--protocol") and values == ["all"]):
        return
    reader = _OPTIONS.get(option)
    if option == "--mark":
        reader = _marked(Fact.CT_MARK if module == "connmark" else Fact.MARK)
    read = reader(values) if reader and (values or option in _WITHOUT_VALUE) else None
    yield replace(read, text=text) if read else cannot(text, *_REASONS.get(option, ()))


def _of(*facts: Fact, wanted: list[Wanted | None], mask: int | None = None, either: bool = False) -> Condition | None:
    if any(one is None for one in wanted):
        return None
    choices = tuple((one,) for one in wanted if one is not None)
    return Condition(text="", facts=facts, wanted=choices, mask=mask, either=either)


_Reader = Callable[[list[str]], Condition | None]


def _address(fact: Fact) -> _Reader:
    return lambda values: _of(fact, wanted=[addresses(one) for one in values[0].split(",")])


def _interface(fact: Fact) -> _Reader:
    def read(values: list[str]) -> Condition | None:
        name = values[0].strip('"')
        return _of(fact, wanted=[Name(name[:-1], begins=True) if name.endswith("+") else Name(name)])

    return read


def _protocol(values: list[str]) -> Condition | None:
    number = protocol_number(values[0])
    return _of(Fact.PROTOCOL, wanted=[None if number is None else Span(number, number)])


def _ports(*facts: Fact) -> _Reader:
    return lambda values: _of(
        *facts, wanted=[numbers(one, ":") for one in values[0].split(",")], either=len(facts) > 1
    )  # fmt: skip


def _number(fact: Fact, between: str = ":") -> _Reader:
    return lambda values: _of(fact, wanted=[numbers(values[0], between)])


def _bounded(fact: Fact, low: int, high: int) -> _Reader:
    """Less or greater than a number: `low`, `high` say by how much the ends of a span are off it."""

    def read(values: list[str]) -> Condition | None:
        number = number_of(values[0])
        if number is None:
            return None
        return _of(fact, wanted=[Span(0, number - 1) if low else Span(number + 1, high)])

    return read


def _icmp(names: Mapping[str, int]) -> _Reader:
    def read(values: list[str]) -> Condition | None:
        kind, _, code = values[0].partition("/")
        number = number_of(kind) if kind[:1].isdigit() else names.get(kind)
        if kind == "any" or number == _ANY_ICMP_TYPE:
            return _of(Fact.ICMP_TYPE, wanted=[Span(0, 255)])
        if number is None or (code and number_of(code) is None):
            return None
        wanted: tuple[Wanted, ...] = (Span(number, number), *([Span(int(code), int(code))] if code else []))
        facts = (Fact.ICMP_TYPE, Fact.ICMP_CODE) if code else (Fact.ICMP_TYPE,)
        return Condition(text="", facts=facts, wanted=(wanted,))

    return read


def _tcp_flags(values: list[str]) -> Condition | None:
    mask = bits(TCP_FLAGS, values[0])
    flags = bits(TCP_FLAGS, values[1]) if len(values) > 1 else None
    return _of(Fact.TCP_FLAGS, wanted=[None if flags is None else Span(flags, flags)], mask=mask) if mask else None


def _one_bit_of(fact: Fact, mask: int | None) -> Condition | None:
    """One bit of these has to be set at least."""
    found = _of(fact, wanted=[Span(0, 0)], mask=mask) if mask else None
    return replace(found, negated=True) if found else None


def _states(values: list[str]) -> Condition | None:
    words = values[0].split(",")
    if all(word in _STATIC_STATES for word in words):
        return _one_bit_of(Fact.CT_STATUS, bits({k.lower(): v for k, v in _STATIC_STATES.items()}, values[0]))
    return _one_bit_of(Fact.CT_STATE, bits(CT_STATES, values[0]))


def _status(values: list[str]) -> Condition | None:
    if values[0] == "NONE":
        return _of(Fact.CT_STATUS, wanted=[Span(0, 0)])
    return _one_bit_of(Fact.CT_STATUS, bits(CT_STATUSES, values[0]))


def _marked(fact: Fact) -> _Reader:
    def read(values: list[str]) -> Condition | None:
        value, _, mask = values[0].partition("/")
        number, bits_ = number_of(value), number_of(mask) if mask else None
        if number is None or (mask and bits_ is None):
            return None
        return _of(fact, wanted=[Span(number, number)], mask=bits_)

    return read


def _types(fact: Fact) -> _Reader:
    def read(values: list[str]) -> Condition | None:
        names = values[0].lower().split(",")
        if not all(name in ADDRESS_TYPES for name in names):
            return None
        return _of(fact, wanted=[Span(ADDRESS_TYPES.index(name), ADDRESS_TYPES.index(name)) for name in names])

    return read


def _direction(values: list[str]) -> Condition | None:
    number = DIRECTIONS.get(values[0].lower())
    return _of(Fact.CT_DIRECTION, wanted=[None if number is None else Span(number, number)])


def _fragment(_: list[str]) -> Condition | None:
    return _of(Fact.FRAGMENT, wanted=[Span(1, 0xFFFF)])


def _there(fact: Fact) -> _Reader:
    """Any bridge port at all."""
    return lambda _: Condition(text="", facts=(fact,), wanted=((Name(""),),), negated=True)


_REASONS: Final = {"--match-set": ("what was in the set is not recorded",)}
_WITHOUT_VALUE: Final = ("-f", "--fragment", "--syn", "--physdev-is-in", "--physdev-is-out")
_OPTIONS: Final[dict[str, _Reader]] = {
    "-s": _address(Fact.SOURCE), "--source": _address(Fact.SOURCE), "-d": _address(Fact.DESTINATION),
    "--destination": _address(Fact.DESTINATION), "--src-range": _address(Fact.SOURCE),
    "--dst-range": _address(Fact.DESTINATION), "-i": _interface(Fact.INPUT), "-o": _interface(Fact.OUTPUT),
    "--in-interface": _interface(Fact.INPUT), "--out-interface": _interface(Fact.OUTPUT),
    "-p": _protocol, "--protocol": _protocol, "-f": _fragment, "--fragment": _fragment,
    "--sport": _ports(Fact.SOURCE_PORT), "--dport": _ports(Fact.DESTINATION_PORT),
    "--source-port": _ports(Fact.SOURCE_PORT), "--destination-port": _ports(Fact.DESTINATION_PORT),
    "--sports": _ports(Fact.SOURCE_PORT), "--dports": _ports(Fact.DESTINATION_PORT),
    "--source-ports": _ports(Fact.SOURCE_PORT), "--destination-ports": _ports(Fact.DESTINATION_PORT),
    "--ports": _ports(Fact.SOURCE_PORT, Fact.DESTINATION_PORT),
    "--icmp-type": _icmp(ICMP_TYPES), "--icmpv6-type": _icmp(ICMPV6_TYPES), "--tcp-flags": _tcp_flags,
    "--syn": lambda _: _tcp_flags(["FIN,SYN,RST,ACK", "SYN"]),
    "--ctstate": _states, "--state": _states, "--ctstatus": _status, "--ctdir": _direction, "--ctproto": _protocol,
    "--ctorigsrc": _address(Fact.CT_SOURCE), "--ctorigdst": _address(Fact.CT_DESTINATION),
    "--ctreplsrc": _address(Fact.CT_REPLY_SOURCE), "--ctrepldst": _address(Fact.CT_REPLY_DESTINATION),
    "--ctorigsrcport": _ports(Fact.CT_SOURCE_PORT), "--ctorigdstport": _ports(Fact.CT_DESTINATION_PORT),
    "--ctreplsrcport": _ports(Fact.CT_REPLY_SOURCE_PORT), "--ctrepldstport": _ports(Fact.CT_REPLY_DESTINATION_PORT),
    "--src-type": _types(Fact.SOURCE_TYPE), "--dst-type": _types(Fact.DESTINATION_TYPE),
    "--physdev-in": _interface(Fact.PORT_IN), "--physdev-out": _interface(Fact.PORT_OUT),
    "--physdev-is-in": _there(Fact.PORT_IN), "--physdev-is-out": _there(Fact.PORT_OUT),
    "--ttl-eq": _number(Fact.TTL), "--hl-eq": _number(Fact.TTL), "--length": _number(Fact.LENGTH),
    "--ttl-lt": _bounded(Fact.TTL, 1, 0), "--hl-lt": _bounded(Fact.TTL, 1, 0),
    "--ttl-gt": _bounded(Fact.TTL, 0, 255), "--hl-gt": _bounded(Fact.TTL, 0, 255),
}  # fmt: skip
