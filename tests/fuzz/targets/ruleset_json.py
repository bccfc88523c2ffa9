"""The JSON that nft gives of a ruleset, and all else of a `ruleset` snapshot: other values, or damaged text."""

import json
import random

from ttrace.correlate.netfilter.rules import parse_ruleset
from ttrace.correlate.netfilter.translation_targets import translation_targets
from ttrace.correlate.nodes.snapshots import SHAPES, _parse, fits

from ..mutator import byte_mutant, json_mutant
from ..recordings import snapshots


def seeds() -> list[bytes]:
    return [json.dumps(snapshot["data"]).encode() for snapshot in snapshots() if snapshot["kind"] == "ruleset"]


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    if rng.random() < 0.3:
        return byte_mutant(rng, seed, others)
    return json.dumps(json_mutant(rng, json.loads(seed))).encode()


def run(data: bytes) -> None:
    value = _parse(data)
    if fits(value, SHAPES["ruleset"]):
        ruleset = parse_ruleset(value)
        translation_targets([*ruleset.rules.values(), *ruleset.legacy.values()])
