"""The evidence of findings in full, as JSON (docs/json.md)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ...correlate.why.values import Proof, Why
from .contract import SCHEMA, finding_object, path_object


def why_pieces(whys: Sequence[Why]) -> Iterator[str]:
    """The document in pieces, one finding at a time."""
    yield f'{{"schema": {SCHEMA},\n "why": ['
    yield ",".join(f"\n  {json.dumps(_why(why))}" for why in whys)
    yield "\n ]}\n"


def _why(why: Why) -> dict[str, Any]:
    return {
        "finding": finding_object(why.finding),
        "proofs": [_proof(proof) for proof in why.proofs],
        "more": why.more,
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {"path": path_object(proof.path), "facts": [asdict(fact) for fact in proof.facts]}
