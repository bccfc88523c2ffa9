"""The pcapng reader: one walk, pieces on all cores, and chunks have to find the same."""

import random

from ttrace.pcapng import parallel_walk, read
from ttrace.pcapng.chunks import open_in_chunks
from ttrace.pcapng.read import read_capture

from ..mutator import Records
from ..recordings import join_blocks, recordings, split_blocks
from .reading import guarded_files, written

RECORDS = Records(split_blocks, join_blocks)


def seeds() -> list[bytes]:
    # The head, and one from the middle where packets and messages are.
    return [join_blocks([*blocks[:30], *blocks[-60:]]) for blocks in map(split_blocks, recordings())]


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    return RECORDS.mutant(rng, seed, others)


def run(data: bytes) -> None:
    with guarded_files(), written(data) as (path,):
        whole = read_capture(path)
        for row in whole.records:
            assert int(row["offset"]) + int(row["captured"]) <= len(data)
        least = parallel_walk.LEAST_PIECE
        parallel_walk.LEAST_PIECE = read.LEAST_PIECE = 2048
        try:
            at_once = read_capture(path)
        finally:
            parallel_walk.LEAST_PIECE = read.LEAST_PIECE = least
        assert at_once.records.tobytes() == whole.records.tobytes()
        assert at_once.malformed == whole.malformed
        chunked = open_in_chunks(path)
        pieces = [chunk.capture.records for chunk in chunked.chunks(7)]
        assert sum(piece.size for piece in pieces) == whole.records.size
        assert b"".join(piece.tobytes() for piece in pieces) == whole.records.tobytes()
        assert chunked.capture.malformed == whole.malformed
        assert chunked.capture.truncated_at == whole.truncated_at
