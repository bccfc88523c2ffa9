"""The expressions of a rule, as the kernel sends them, to what it matches and does (linux/netfilter/nf_tables.h).

Expressions load into registers, change what is there, and compare it: so each comparison is said of what its register
holds. What is not known here becomes a statement of its name alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .netlink_values import attributes, by_type, name, number
from .rule_operands import Operand, ct_operand, meta_operand, payload_operand

NFTA_EXPR_NAME, NFTA_EXPR_DATA = 1, 2
_VERDICT_REGISTER: Final = 0
_OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=")
"""enum nft_cmp_ops."""
_WITHOUT_WORDS: Final = {"counter"}
"""What changes nothing for a packet, and snapshots do not quote either."""


class Match(NamedTuple):
    """What must hold."""

    operand: Operand
    operator: str
    """One of _OPERATORS, `range`, `!range`, `in` or `!in` (a set)."""
    values: tuple[bytes, ...]
    """Compared with: one, or the ends of a range."""
    text: str = ""
    """Instead of values: the name of a set."""


class Extension(NamedTuple):
    """A match or target of x_tables, with the structure that iptables and the kernel share."""

    is_target: bool
    name: str
    revision: int
    info: bytes


class Translation(NamedTuple):
    """nat, masq or redir."""

    kind: str
    """snat, dnat, masquerade or redirect."""
    family: int
    addresses: tuple[Operand, ...]
    """None, one, or the ends of a range."""
    ports: tuple[Operand, ...]
    flags: int
    """NF_NAT_RANGE_*."""


class Verdict(NamedTuple):
    """A verdict of the rule itself."""

    code: int
    chain: str


class Other(NamedTuple):
    """Any other expression: its name, and its attributes by type."""

    name: str
    values: dict[int, bytes]


Statement = Match | Extension | Translation | Verdict | Other


@dataclass(slots=True)
class _Reader:
    family: str
    registers: dict[int, Operand] = field(default_factory=dict)
    protocol: int | None = None
    """Of the transport header, once a rule has asked for it."""

    def register(self, value: bytes | None) -> int:
        """Four registers of 16 bytes are 16 of 4 bytes as well: 1 to 4 are 8, 12, 16 and 20."""
        which = number(value)
        return 4 * which + 4 if 1 <= which <= 4 else which

    def held(self, value: bytes | None) -> Operand:
        return self.registers.get(self.register(value), Operand("…"))

    def joined(self, value: bytes | None) -> Operand:
        """What a set is asked for: also several things in registers behind each other."""
        first = self.register(value)
        parts = [self.held(value)]
        at = first + max(-(-parts[0].size // 4), 1)
        while at in self.registers and parts[-1].size and at > first:
            parts.append(self.registers[at])
            at += max(-(-parts[-1].size // 4), 1)
        return parts[0] if len(parts) == 1 else Operand(" . ".join(part.name for part in parts))


def statements(expressions: bytes, family: str) -> list[Statement]:
    """What a rule matches and does, from the list of its expressions (NFTA_RULE_EXPRESSIONS)."""
    reader = _Reader(family)
    found: list[Statement] = []
    for _, element in attributes(expressions):
        expression = by_type(element)
        kind, data = name(expression.get(NFTA_EXPR_NAME)), by_type(expression.get(NFTA_EXPR_DATA, b""))
        if kind not in _WITHOUT_WORDS:
            found += _READERS.get(kind, lambda _, data, kind=kind: iter([Other(kind, data)]))(reader, data)
    return _with_ranges(found)


def _with_ranges(found: list[Statement]) -> list[Statement]:
    """Not less than one value and not more than another is a range, which most rules have as two comparisons."""
    said: list[Statement] = []
    for one in found:
        last = said[-1] if said else None
        if (
            isinstance(one, Match) and isinstance(last, Match) and last.operand == one.operand
            and (last.operator, one.operator) == (">=", "<=")
        ):  # fmt: skip
            said[-1] = Match(one.operand, "range", last.values + one.values)
        else:
            said.append(one)
    return said


def _load(reader: _Reader, into: bytes | None, operand: Operand) -> None:
    first = reader.register(into)
    # The size is what a message says, which may be anything.
    for stale in [register for register in reader.registers if first < register < first + -(-operand.size // 4)]:
        del reader.registers[stale]
    reader.registers[first] = operand


def _meta(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    if 3 in data:  # NFTA_META_SREG: it is set, not read
        yield Other("meta set", {1: data.get(2, b""), 2: reader.held(data[3]).value})
    else:
        _load(reader, data.get(1), meta_operand(number(data.get(2))))


def _payload(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    if 5 in data:  # NFTA_PAYLOAD_SREG: a header is changed
        yield Other("payload set", data)
    else:
        base, offset, size = (number(data.get(kind)) for kind in (2, 3, 4))
        _load(reader, data.get(1), payload_operand(reader.family, reader.protocol, base, offset, size))


def _ct(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    if 4 in data:  # NFTA_CT_SREG
        yield Other("ct set", data)
    else:
        _load(reader, data.get(1), ct_operand(number(data.get(2)), data.get(3)))


def _fib(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    flags = number(data.get(3))
    what = [word for bit, word in enumerate(("saddr", "daddr", "mark", "iif", "oif")) if flags >> bit & 1]
    result = {1: "oif", 2: "oifname", 3: "type"}.get(number(data.get(2)), "…")
    form = "address type" if result == "type" else "name" if result == "oifname" else ""
    _load(reader, data.get(1), Operand(f"fib {' . '.join(what)} {result}", form, size=4))
    yield from ()


def _bitwise(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    before = reader.held(data.get(1))
    plain = number(data.get(6)) == 0 and not any(by_type(data.get(5, b"")).get(1, b""))
    mask = by_type(data.get(4, b"")).get(1, b"") if plain else b""
    after = before._replace(mask=mask) if mask else Operand("…", size=before.size)
    _load(reader, data.get(2), after)
    yield from ()


def _compare(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    operand, value = reader.held(data.get(1)), by_type(data.get(3, b"")).get(1, b"")
    operator = number(data.get(2))
    if operand.form == "protocol" and operator == 0 and len(value) == 1 and not operand.mask:
        reader.protocol = value[0]
    if operand.form == "nfproto" and operator == 0 and value in (b"\2", b"\n"):
        reader.family = "ip" if value == b"\2" else "ip6"
    yield Match(operand, _OPERATORS[operator] if operator < len(_OPERATORS) else "…", (value,))


def _range(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    ends = tuple(by_type(data.get(kind, b"")).get(1, b"") for kind in (3, 4))
    yield Match(reader.held(data.get(1)), "!range" if number(data.get(2)) else "range", ends)


def _lookup(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    asked = reader.joined(data.get(2))
    set_name = name(data.get(1))
    # Sets without a name of their own are elsewhere: what is in them is not told with the rule.
    text = "{ … }" if set_name.startswith(("__set", "__map")) else f"@{set_name}"
    if 3 in data:  # NFTA_LOOKUP_DREG: a map
        target = reader.register(data[3])
        what = f"{asked.name} {'vmap' if target == _VERDICT_REGISTER else 'map'} {text}"
        if target == _VERDICT_REGISTER:
            yield Other(what, {})
        else:
            _load(reader, data[3], Operand(what))
    else:
        yield Match(asked, "!in" if number(data.get(5)) & 1 else "in", (), text)


def _immediate(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    content = by_type(data.get(2, b""))
    if 2 in content:  # NFTA_DATA_VERDICT
        verdict = by_type(content[2])
        code = number(verdict.get(1))
        yield Verdict(code - (1 << 32) if code >> 31 else code, name(verdict.get(2)))
    else:
        value = content.get(1, b"")
        _load(reader, data.get(1), Operand("", value=value, size=len(value)))


def _nat(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    yield Translation(
        "dnat" if number(data.get(1)) else "snat", number(data.get(2)), _ends(reader, data, 3, 4),
        _ends(reader, data, 5, 6), number(data.get(7)),
    )  # fmt: skip


def _masquerade(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    yield Translation("masquerade", 0, (), _ends(reader, data, 2, 3), number(data.get(1)))


def _redirect(reader: _Reader, data: dict[int, bytes]) -> Iterator[Statement]:
    yield Translation("redirect", 0, (), _ends(reader, data, 1, 2), number(data.get(3)))


def _ends(reader: _Reader, data: dict[int, bytes], low: int, high: int) -> tuple[Operand, ...]:
    """One value, or the two ends of a range, from the registers that the attributes name."""
    ends = tuple(reader.held(data[kind]) for kind in (low, high) if kind in data)
    return ends[:1] if len(ends) == 2 and ends[0] == ends[1] else ends


def _extension(_: _Reader, data: dict[int, bytes], *, is_target: bool) -> Iterator[Statement]:
    yield Extension(is_target, name(data.get(1)), number(data.get(2)), data.get(3, b""))


_READERS: Final[dict[str, Callable[[_Reader, dict[int, bytes]], Iterator[Statement]]]] = {
    "meta": _meta, "payload": _payload, "ct": _ct, "fib": _fib, "bitwise": _bitwise, "cmp": _compare,
    "range": _range, "lookup": _lookup, "immediate": _immediate, "nat": _nat, "masq": _masquerade,
    "redir": _redirect,
    "match": lambda reader, data: _extension(reader, data, is_target=False),
    "target": lambda reader, data: _extension(reader, data, is_target=True),
}  # fmt: skip
