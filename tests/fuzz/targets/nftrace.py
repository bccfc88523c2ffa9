"""nftrace messages, up to chain evaluations."""

import random

from ..recordings import in_batches, messages
from .kernel import RECORDS, decoded

NFT_TRACE = 0x0A11


def seeds() -> list[bytes]:
    return in_batches(messages(NFT_TRACE)[::3], 15)


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    return RECORDS.mutant(rng, seed, others)


def run(data: bytes) -> None:
    decoded(data)
