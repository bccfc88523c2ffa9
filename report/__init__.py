"""Paths -> what people and programs read: text, the JSON contract."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .contract import json_pieces
from .text import text_pieces

if TYPE_CHECKING:
    from ..correlate.result import Correlation
    from ..correlate.select import Selection

__all__ = ["render"]

_FORMS = {"text": text_pieces, "json": json_pieces}


def render(result: "Correlation", selection: "Selection", form: str) -> Iterator[str]:
    """The result in pieces, to be written one after the other. `form` is `text` or `json`."""
    return _FORMS[form](result, selection)
