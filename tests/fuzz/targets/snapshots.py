"""Snapshots of both nodes: other values, other texts, parts that do not fit; through the whole way, with the packets
that they explain."""

import json
import random

from ..mutator import byte_mutant, json_mutant
from ..recordings import join_blocks, recordings, snapshot_frame, split_blocks
from .reading import guarded_files, written
from .whole import report

_TAGS = 12
"""Bytes of what stands before the JSON."""


def seeds() -> list[bytes]:
    # Of each master, its head with the snapshots of the start, and some packets and messages.
    return [join_blocks(split_blocks(data)[:120]) for data in recordings()[::2]]


def mutate(rng: random.Random, seed: bytes, _others: list[bytes]) -> bytes:
    blocks = split_blocks(seed)
    places = [i for i, block in enumerate(blocks) if b'"ttrace": "snapshot"' in block[24:80]]
    for at in rng.sample(places, min(len(places), rng.choice((1, 1, 2, 8)))):
        frame = _frame_of(blocks[at])
        value = json.loads(frame[frame.index(b"{") :])
        how = rng.random()
        if how < 0.6:
            made = snapshot_frame(value | {"data": json_mutant(rng, value.get("data"))})
        elif how < 0.8:
            made = snapshot_frame(json_mutant(rng, value))
        elif how < 0.9:
            made = frame[:_TAGS] + byte_mutant(rng, frame[_TAGS:])
        else:
            parts = rng.choice((1, 2, 3, -1, 10**9))
            text = json.dumps(value.get("data"))
            made = snapshot_frame(value | {"data": text, "part": rng.choice((1, 2, 0, -5)), "parts": parts})
        blocks[at] = _with_frame(blocks[at], made[:200_000])
    return join_blocks(blocks)


def _frame_of(block: bytes) -> bytes:
    return block[24 : 24 + int.from_bytes(block[16:20], "little")]


def _with_frame(block: bytes, frame: bytes) -> bytes:
    size = len(frame).to_bytes(4, "little")
    return block[:16] + size + size + frame + bytes(-len(frame) % 4)


def run(data: bytes) -> None:
    with guarded_files(), written(data) as paths:
        report(paths)
