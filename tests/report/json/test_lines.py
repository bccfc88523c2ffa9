"""`--format jsonl`: an object a line, the same objects as in the document."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.progress import unheard
from ttrace.report import Form, render_comparison, render_explanations, render_telling
from ttrace.report.telling import Telling
from ttrace.report.telling.comparing import compare

from ..scenes import request_and_answer

LISTS = {"capture": "captures", "finding": "findings", "connection": "connections", "path": "paths"}
"""Name of a line to the list of the document."""
DROPPED = [str(Path(__file__).parents[3] / "pcaps/docker-dropped" / f"{node}.pcapng") for node in ("master", "slave")]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return request_and_answer(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def whole(files):
    return correlate_captures(files)


@pytest.fixture
def parted(files):
    found = correlate_in_parts(files, unheard, most=4, workers=1)
    assert found.count > 1
    yield found
    found.close()


def lines_of(pieces: Iterable[str]) -> list[tuple[str, object]]:
    """(what it is, the object) of each line, of pieces of whole lines."""
    found = []
    for piece in pieces:
        assert piece.endswith("\n")
        for text in piece.splitlines():
            ((name, value),) = json.loads(text).items()
            found.append((name, value))
    return found


def lines(result, **asked) -> list[tuple[str, object]]:
    return lines_of(render_telling(Telling.chosen(result, **asked), Form.jsonl))


def document(result, **asked) -> dict:
    return json.loads("".join(render_telling(Telling.chosen(result, **asked), Form.json)))


@pytest.mark.parametrize("asked", [{}, {"paths": [4]}, {"expression": "port 9"}], ids=str)
def test_the_lines_are_the_objects_of_the_document(whole, asked):
    found, expected = lines(whole, **asked), document(whole, **asked)
    assert found[0] == ("schema", expected["schema"])
    assert found[1:] == [(name, one) for name, of in LISTS.items() for one in expected[of]]


def test_in_parts_each_connection_stands_before_its_paths(whole, parted):
    found = lines(parted)
    assert sorted(map(repr, found)) == sorted(map(repr, lines(whole)))
    known = set()
    for name, value in found:
        if name == "connection":
            known.add(value["id"])
        assert name != "path" or value["connection"] in known


def test_in_parts_a_part_is_written_before_the_next_is_read_and_without_a_temporary_file(parted, monkeypatch):
    telling, read = Telling.chosen(parted), []
    assert telling.head

    def each():
        for number, part in enumerate(telling.parts.each()):
            read.append(number)
            yield part

    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    pieces = render_telling(replace(telling, parts=replace(telling.parts, each=each)), Form.jsonl)
    read_before = []
    for piece in pieces:
        if piece.startswith('{"path": '):
            read_before.append(read.copy())
    every = list(range(parted.count))
    assert read == every + every  # for the findings, and then for the lines
    assert read_before == [every + every[: number + 1] for number in every]


def test_other_documents_have_lines_too(whole):
    telling = Telling.chosen(correlate_captures(DROPPED), why=[1])
    (schema, why), expected = lines_of(render_telling(telling, Form.jsonl)), render_telling(telling, Form.json)
    assert (schema, why[0]) == (("schema", 1), "why")
    assert json.loads("".join(expected))["why"] == [why[1]]
    explained = lines_of(render_explanations(whole, [0, 1], Form.jsonl))
    assert [name for name, _ in explained] == ["schema", "explanation", "explanation"]
    comparison = compare(whole, correlate_captures(DROPPED))
    said, found = (
        lines_of(render_comparison(comparison, Form.jsonl)),
        json.loads("".join(render_comparison(comparison, Form.json))),
    )
    names = {"pair": "pairs", "finding": "findings"}
    assert said[:4] == [(name, found[name]) for name in ("schema", "good", "bad", "notes")]
    assert said[4:] == [
        (name, one)
        for name in ("pair", "equal", "only_good", "only_bad", "finding", "recorded_otherwise")
        for one in found[names.get(name, name)]
    ]
