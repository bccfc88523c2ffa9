"""Paths -> what people and programs read: text, the JSON contract."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .json import explanation as explanation_json
from .json.contract import json_pieces
from .telling.parts import Views
from .text import explanation as explanation_text
from .text.report import text_pieces

if TYPE_CHECKING:
    from ..correlate.result.correlation import Correlation
    from ..correlate.result.select import Selection

__all__ = ["Views", "render", "render_explanations", "render_views"]

_FORMS = {"text": text_pieces, "json": json_pieces}
_EXPLANATIONS = {"text": explanation_text.explanation_pieces, "json": explanation_json.explanation_pieces}


def render(result: "Correlation", selection: "Selection", form: str) -> Iterator[str]:
    """The result in pieces, to be written one after the other. `form` is `text` or `json`."""
    return render_views(Views.of_one(result, selection), form)


def render_views(views: Views, form: str) -> Iterator[str]:
    """The same of a result that may come in parts."""
    return _FORMS[form](views)


def render_explanations(result: "Correlation", sightings: Sequence[int], form: str) -> Iterator[str]:
    """Why the frames of these `sightings` (rows) are matched with others, in pieces. `form` is `text` or `json`."""
    return _EXPLANATIONS[form](result, sightings)
