"""Conntrack events and dumped entries."""

import random

from ..recordings import in_batches, messages
from .kernel import RECORDS, decoded

CT_NEW, CT_DELETE = 0x0100, 0x0102


def seeds() -> list[bytes]:
    return in_batches(messages(CT_NEW, CT_DELETE), 10)


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    return RECORDS.mutant(rng, seed, others)


def run(data: bytes) -> None:
    decoded(data)
