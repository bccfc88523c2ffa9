"""How what is told is laid out: as one document, or with a line for each object, which says what it is."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

SCHEMA: Final = 1
SEPARATOR: Final = ",\n  "
"""Before each member of a list of the document; the comma of the first is left out."""


@dataclass(frozen=True, slots=True)
class Members:
    """A list of the document."""

    name: str
    one: str
    """What a line of it is called."""
    objects: Iterable[object]

    def texts(self) -> Iterator[str]:
        """The members, as `document` takes them."""
        return (SEPARATOR + json.dumps(one) for one in self.objects)


def document(head: Mapping[str, object], lists: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """One object: the schema, the fields of `head`, and the lists. The texts of these come in pieces, with SEPARATOR
    before each member."""
    fields = "".join(f',\n "{name}": {json.dumps(value)}' for name, value in head.items())
    yield f'{{"schema": {SCHEMA}{fields}'
    for name, members in lists:
        yield f',\n "{name}": ['
        skipped = len(",")
        for piece in members:
            yield piece[skipped:]
            skipped = 0
        yield "\n ]"
    yield "}\n"


def small_document(head: Mapping[str, object], lists: Iterable[Members]) -> Iterator[str]:
    """The same of lists whose members are made one by one."""
    return document(head, ((members.name, members.texts()) for members in lists))


def lines(head: Mapping[str, object], lists: Iterable[Members]) -> Iterator[str]:
    """What is in such a document as lines: the schema, each field of `head`, each member."""
    yield line("schema", SCHEMA)
    yield from (line(name, value) for name, value in head.items())
    for members in lists:
        yield from (line(members.one, one) for one in members.objects)


def line(name: str, value: object) -> str:
    """An object in a line of its own."""
    before, behind = around(name)
    return f"{before}{json.dumps(value)}{behind}"


def around(name: str) -> tuple[str, str]:
    """What stands before and behind the text of an object in its line."""
    return f'{{"{name}": ', "}\n"
