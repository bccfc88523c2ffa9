"""The evidence of findings in full, as JSON (docs/json.md)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ...correlate.why.values import Proof, Why
from .contract import finding_object, path_object
from .layout import Members, lines, small_document


def why_pieces(whys: Sequence[Why]) -> Iterator[str]:
    """The document in pieces, one finding at a time."""
    return small_document({}, [Members("why", "why", map(_why, whys))])


def why_lines(whys: Sequence[Why]) -> Iterator[str]:
    """The same as lines."""
    return lines({}, [Members("why", "why", map(_why, whys))])


def _why(why: Why) -> dict[str, Any]:
    return {
        "finding": finding_object(why.finding),
        "proofs": [_proof(proof) for proof in why.proofs],
        "more": why.more,
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {"path": path_object(proof.path), "facts": [asdict(fact) for fact in proof.facts]}
