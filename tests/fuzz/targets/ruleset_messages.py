"""What the kernel says of changes of the rules, and the words that are made of it."""

import random
import struct

from ttrace.correlate.netfilter.rule_history import build_histories
from ttrace.correlate.netfilter.rule_words import words_of
from ttrace.correlate.netfilter.rulebook import kind_of, statement_of
from ttrace.tests.correlate.netfilter import rule_messages as made

from ..recordings import in_batches, messages
from .kernel import RECORDS, decoded

TYPES = tuple(range(0x0A00, 0x0A1D))


def seeds() -> list[bytes]:
    recorded = messages(*(kind for kind in TYPES if kind != 0x0A11))
    return in_batches([*recorded, *map(_netlink, _made())], 6)


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    return RECORDS.mutant(rng, seed, others)


def run(data: bytes) -> None:
    told = decoded(data).ruleset
    for message in told:
        message.generation  # noqa: B018 - a property that parses
        family, table, chain, _ = message.of
        for native in (None, False, True):
            words = words_of(family, table, chain, message.data, native=native)
            statement_of(words), kind_of(words)
    build_histories(told, {})


def _made() -> list[bytes]:
    """Rules as iptables and nft make them; the frames, without their first 16 bytes."""
    connections = bytes(146) + struct.pack("<HHHH", 1, 0, 4 | 2, 0) + bytes(8)
    expressions = (
        made.tcp_to(8080) + made.dnat("172.17.0.3", 80),
        made.meta(6) + made.compare(b"eth0\0") + made.verdict(-3, "DOCKER"),
        made.payload(1, 12, 4) + made.mask(b"\xff\xff\xff\0") + made.compare(bytes([10, 0, 0, 0]), 1) + made.verdict(0),
        made.extension("match", "tcp", 0, struct.pack("<HHHHBBBB", 0, 65535, 1, 1023, 0, 6, 2, 2)) + made.verdict(1),
        made.extension("match", "multiport", 1, struct.pack("<BB15H15BB", 1, 2, 80, 443, *[0] * 13, *[0] * 15, 0)),
        made.extension("match", "conntrack", 3, connections) + made.extension("target", "LOG", 0, bytes(32)),
        made.extension("match", "comment", 0, b'"a" b\n\x1b'.ljust(256, b"\0")) + made.verdict(-4, "X"),
        made.constant(1, bytes([10, 0, 0, 1])) + made.expression("nat", made.word(1, 0), made.word(2, 2)),
        made.expression("lookup", made.attribute(1, b"__set0\0"), made.word(2, 1)) + made.expression("masq"),
        made.expression("ct", made.word(1, 1), made.word(2, 0))
        + made.expression("counter")
        + made.expression("reject"),
    )
    rules = [
        made.rule(made.NEW_RULE, "nat", "POSTROUTING", i, one, f)
        for i, one in enumerate(expressions, 1)
        for f in (2, 1)
    ]
    ends = [made.deleted_table("nat"), made.deleted_chain("nat", "C"), made.generation(7)]
    return [*rules, *ends, made.rule(made.DELETED_RULE, "nat", "C", 5, b"")]


def _netlink(frame: bytes) -> bytes:
    return frame[16:]
