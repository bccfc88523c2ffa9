"""Messages of ruleset changes as the kernel sends them, put together from what nf_tables.h says."""

import struct
from ipaddress import IPv4Address

from ..frames import NEW_GENERATION, attribute, message, word

NEW_RULE, DELETED_RULE, DELETED_CHAIN, DELETED_TABLE = 0x0A06, 0x0A08, 0x0A05, 0x0A02
IP, INET = 2, 1


def expression(name: str, *attributes: bytes) -> bytes:
    return attribute(1, attribute(1, name.encode() + b"\0") + attribute(2, b"".join(attributes)))


def meta(key: int) -> bytes:
    return expression("meta", word(2, key), word(1, 1))


def payload(base: int, offset: int, size: int, register: int = 1) -> bytes:
    return expression("payload", word(1, register), word(2, base), word(3, offset), word(4, size))


def compare(value: bytes, operator: int = 0, register: int = 1) -> bytes:
    return expression("cmp", word(1, register), word(2, operator), attribute(3, attribute(1, value)))


def mask(bits: bytes) -> bytes:
    nothing = attribute(5, attribute(1, bytes(len(bits))))
    return expression("bitwise", word(1, 1), word(2, 1), word(3, len(bits)), attribute(4, attribute(1, bits)), nothing)


def constant(register: int, value: bytes) -> bytes:
    return expression("immediate", word(1, register), attribute(2, attribute(1, value)))


def verdict(code: int, chain: str = "") -> bytes:
    said = word(1, code & 0xFFFFFFFF) + (attribute(2, chain.encode() + b"\0") if chain else b"")
    return expression("immediate", word(1, 0), attribute(2, attribute(2, said)))


def extension(kind: str, name: str, revision: int, info: bytes) -> bytes:
    """`match` or `target` of x_tables."""
    return expression(kind, attribute(1, name.encode() + b"\0"), word(2, revision), attribute(3, info))


def tcp_to(port: int) -> bytes:
    return meta(16) + compare(b"\x06") + payload(2, 2, 2) + compare(struct.pack(">H", port))


def dnat_range(flags: int, first: str, last: str, ports: tuple[int, int] = (0, 0)) -> bytes:
    """struct nf_nat_range2."""
    low, high = (IPv4Address(address).packed + bytes(12) for address in (first, last))
    return struct.pack("<I", flags) + low + high + struct.pack(">HHHxx", *ports, 0) + bytes(4)


def dnat(address: str, port: int) -> bytes:
    return extension("target", "DNAT", 2, dnat_range(3, address, address, (port, port)))


def rule_attributes(table: str, chain: str, handle: int, expressions: bytes) -> bytes:
    named = attribute(1, table.encode() + b"\0") + attribute(2, chain.encode() + b"\0")
    return named + attribute(3, struct.pack(">Q", handle)) + attribute(4, expressions)


def rule(kind: int, table: str, chain: str, handle: int, expressions: bytes, family: int = IP) -> bytes:
    """NEW_RULE or DELETED_RULE."""
    return message(kind, rule_attributes(table, chain, handle, expressions), family=family)


def deleted_table(table: str, family: int = IP) -> bytes:
    return message(DELETED_TABLE, attribute(1, table.encode() + b"\0"), family=family)


def deleted_chain(table: str, chain: str, family: int = IP) -> bytes:
    return message(
        DELETED_CHAIN, attribute(1, table.encode() + b"\0") + attribute(3, chain.encode() + b"\0"), family=family
    )


def generation(number: int) -> bytes:
    return message(NEW_GENERATION, word(1, number), family=0)
