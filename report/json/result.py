"""A result as JSON: as one document, or with a line for each object."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from ...correlate.result.correlation import Correlation
from ...correlate.result.select import Selection
from ..telling import Telling, Texts
from .connections import ConnectionTexts
from .contract import capture_object, finding_object
from .layout import SEPARATOR, Members, around, document, lines
from .paths import PathTexts


def json_pieces(telling: Telling) -> Iterator[str]:
    """The document in pieces, so that a large one never stands in memory whole."""
    findings, captured = telling.head
    head = {"captures": [capture_object(told.facts) for told in captured.files]}
    connections = partial(_connection_texts, before=SEPARATOR, behind="")
    paths = partial(_path_texts, before=SEPARATOR, behind="")
    lists = (
        ("findings", Members("findings", "finding", map(finding_object, findings)).texts()),
        ("connections", (str(data, "ascii") for data in telling.in_order(connections))),
        ("paths", (str(data, "ascii") for data in telling.in_order(paths))),
    )
    return document(head, lists)


def line_pieces(telling: Telling) -> Iterator[str]:
    """The lines in pieces of whole ones. Of a result in parts each part is written before the next one is read: nothing
    waits for the others, and nothing goes through a temporary file."""
    findings, captured = telling.head
    captures = Members("captures", "capture", (capture_object(told.facts) for told in captured.files))
    yield from lines({}, (captures, Members("findings", "finding", map(finding_object, findings))))
    writers = ((_connection_texts, *around("connection")), (_path_texts, *around("path")))
    for result, selection in telling.parts.each():
        for texts_of, before, behind in writers:
            for texts in texts_of(result, selection, before=before, behind=behind):
                yield str(texts.data, "ascii")


def _connection_texts(result: Correlation, selection: Selection, *, before: str, behind: str) -> Iterator[Texts]:
    return ConnectionTexts(result, selection, before=before, behind=behind).texts()


def _path_texts(result: Correlation, selection: Selection, *, before: str, behind: str) -> Iterator[Texts]:
    return PathTexts(result, before=before, behind=behind).of(np.flatnonzero(selection.paths))
