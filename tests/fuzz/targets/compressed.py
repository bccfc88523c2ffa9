"""Compressed captures: gzip, zstd and lz4, whole, cut, damaged, several behind each other."""

import gzip
import random

import lz4.frame
import zstandard

from ttrace.pcapng.read import read_capture

from ..mutator import Records, byte_mutant
from ..recordings import recordings
from .reading import guarded_files, written

_PACK = (gzip.compress, zstandard.compress, lz4.frame.compress)


def seeds() -> list[bytes]:
    return [pack(data[:4000]) for data in recordings()[::3] for pack in _PACK]


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    if rng.random() < 0.2:
        return Records(lambda data: [data], b"".join).mutant(rng, seed, others)
    return seed[:5] + byte_mutant(rng, seed[5:], others)


def run(data: bytes) -> None:
    with guarded_files(), written(data) as (path,):
        read_capture(path)
