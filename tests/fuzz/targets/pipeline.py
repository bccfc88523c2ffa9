"""The whole way of two files, one of them or both damaged: every report, in every form."""

import random

from ..mutator import Records
from ..recordings import join_blocks, join_messages, recordings, split_blocks, split_messages
from . import pcap_file
from .reading import guarded_files, written
from .whole import report

RECORDS = Records(split_blocks, join_blocks)
_KEPT = 150
"""Blocks of a recording behind its snapshots."""


def seeds() -> list[bytes]:
    """Pairs of files, each behind its length."""
    found = []
    for master, slave in zip(recordings()[::2], recordings()[1::2], strict=True):
        found.append(join_messages([_shorter(master), _shorter(slave)]))
        found.append(join_messages([_shorter(slave)]))
    return [*found, *(join_messages([pcap, _shorter(recordings()[0])]) for pcap in pcap_file.seeds()[::5])]


def _shorter(data: bytes) -> bytes:
    blocks = split_blocks(data)
    return join_blocks([block for block in blocks if len(block) < 4000][:_KEPT])


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    files = split_messages(seed)
    for at in rng.sample(range(len(files)), rng.randrange(len(files)) + 1):
        records = RECORDS if files[at][:4] == b"\x0a\x0d\x0d\x0a" else pcap_file.RECORDS
        files[at] = records.mutant(rng, files[at], [*split_messages(rng.choice(others))])
    return join_messages(files)


def run(data: bytes) -> None:
    with guarded_files(), written(*split_messages(data)[:3]) as paths:
        if paths:
            report(paths)
