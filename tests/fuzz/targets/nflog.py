"""TRACE messages of iptables-legacy. No recording has any, so the seeds are made: the packets of nftrace messages in
NFLOG's clothes."""

import random
import struct

from ..recordings import ETHERNET, frames, in_batches
from .kernel import RECORDS, decoded

PREFIXES = (b"TRACE: raw:PREROUTING:policy:2 ", b"TRACE: nat:DOCKER:rule:17 ",
            b"TRACE: filter:FORWARD:return:9999999999 ",
            b"TRACE: filter:a:b:c:rule:1 ", b"somebody's own ", b"TRACE: ")  # fmt: skip


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _message(prefix: bytes, packet: bytes) -> bytes:
    body = _attribute(1, b"\x08\0\3\0") + _attribute(4, struct.pack(">I", 3)) + _attribute(5, struct.pack(">I", 4))
    body += _attribute(9, packet) + _attribute(10, prefix + b"\0")
    return struct.pack("<IHHIIBBH", 20 + len(body), 0x0400, 0, 0, 0, 2, 0, 0) + body


def seeds() -> list[bytes]:
    packets = [frame[14:114] for frame in frames(ETHERNET)][::11]
    return in_batches([_message(PREFIXES[i % len(PREFIXES)], packet) for i, packet in enumerate(packets)], 12)


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    return RECORDS.mutant(rng, seed, others)


def run(data: bytes) -> None:
    decoded(data)
