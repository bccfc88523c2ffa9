"""What people and programs read of a result: `telling` decides what is told, each form lays it out."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..correlate.compare.comparison import Comparison
    from ..correlate.result.correlation import Correlation
    from ..correlate.result.select import Selection
    from .telling import Telling

__all__ = ["Form", "render", "render_comparison", "render_explanations", "render_telling"]


class Form(str, Enum):
    """Forms of the result of `ttrace correlate`."""

    __str__ = str.__str__

    text = "text"
    json = "json"
    jsonl = "jsonl"


def render(result: "Correlation", selection: "Selection", form: str) -> Iterator[str]:
    """What is selected of a result in memory, in pieces, to be written one after the other. `form`: one of Form."""
    from .telling import Telling

    return render_telling(Telling.of(result, selection), form)


def render_telling(telling: "Telling", form: str) -> Iterator[str]:
    """The same of a result of any size. Raises TtraceError on the way when there is no room for temporary files."""
    match Form(form):
        case Form.text:
            if telling.why:
                from .text.why import why_pieces

                return why_pieces(telling.whys)
            from .text.report import text_pieces

            return text_pieces(telling)
        case Form.json:
            if telling.why:
                from .json.why_object import why_pieces

                return why_pieces(telling.whys)
            from .json.result import json_pieces

            return json_pieces(telling)
        case Form.jsonl:
            if telling.why:
                from .json.why_object import why_lines

                return why_lines(telling.whys)
            from .json.result import line_pieces

            return line_pieces(telling)


def render_explanations(result: "Correlation", sightings: Sequence[int], form: str) -> Iterator[str]:
    """Why the frames of these `sightings` (rows) are matched with others, in pieces. `form`: one of Form."""
    match Form(form):
        case Form.text:
            from .text import explanation as in_text

            return in_text.explanation_pieces(result, sightings)
        case Form.json:
            from .json import explanation as in_json

            return in_json.explanation_pieces(result, sightings)
        case Form.jsonl:
            from .json import explanation as in_json

            return in_json.explanation_lines(result, sightings)


def render_comparison(comparison: "Comparison", form: str) -> Iterator[str]:
    """What two runs differ in, in pieces. `form`: one of Form."""
    match Form(form):
        case Form.text:
            from .text import comparison as in_text

            return in_text.comparison_pieces(comparison)
        case Form.json:
            from .json import comparison as in_json

            return in_json.comparison_pieces(comparison)
        case Form.jsonl:
            from .json import comparison as in_json

            return in_json.comparison_lines(comparison)
