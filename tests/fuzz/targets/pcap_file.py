"""The reader of classic pcap."""

import random

from ttrace.pcapng.chunks import open_in_chunks
from ttrace.pcapng.read import read_capture
from ttrace.tests.pcapng.blocks import BIG, LITTLE

from ..mutator import Records
from ..recordings import ETHERNET, frames
from .reading import guarded_files, written

_HEAD = 24


def seeds() -> list[bytes]:
    found = [frame[:200] for frame in frames(ETHERNET)][::9]
    packets = [[(1_700_000_000 + i, i, frame) for i, frame in enumerate(found[at : at + 12])] for at in (0, 12, 24)]
    return [w.pcap(*p, nanoseconds=n) for w in (LITTLE, BIG) for n in (False, True) for p in packets]


def _split(data: bytes) -> list[bytes]:
    order = "little" if data[:1] in b"\xd4\x4d" else "big"
    found, at = [data[:_HEAD]], _HEAD
    while at + 16 <= len(data):
        size = int.from_bytes(data[at + 8 : at + 12], order)
        found.append(data[at : at + 16 + size])
        at += 16 + size
    return found


RECORDS = Records(_split, b"".join)


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    return RECORDS.mutant(rng, seed, others)


def run(data: bytes) -> None:
    with guarded_files(), written(data) as (path,):
        whole = read_capture(path)
        chunked = open_in_chunks(path)
        pieces = [chunk.capture.records.tobytes() for chunk in chunked.chunks(3)]
        assert b"".join(pieces) == whole.records.tobytes()
