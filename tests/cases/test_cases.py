"""Every case, in memory and in parts."""

import json

import pytest

from ttrace.ahead.signatures import Recorded, not_listed, record_into
from ttrace.correlate import correlate_captures
from ttrace.kernels.njit import Kernel
from ttrace.tests.correlate.same_in_parts import assert_same_in_parts

from .case import JSON, TEXT, TEXT_OF_ALL, all_cases, document, text
from .partial import difference

EXPECTATIONS = {JSON, TEXT, TEXT_OF_ALL}
each_case = pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)


@pytest.fixture(scope="module", autouse=True)
def everything_was_compiled_ahead():
    """Where this fails, users would wait for numba: `make signatures` writes down what is new."""
    if Kernel.called is not None:  # it is being written down
        yield
        return
    found = Recorded(set)
    record_into(found)
    yield
    Kernel.called = None
    assert found
    assert not_listed(found) == []


@each_case
def test_it_comes_out_as_expected(case):
    with case.sources() as sources:
        result = correlate_captures(sources)
    expected = {path.name: path.read_text() for path in case.folder.glob("expected*")}
    assert expected.keys() <= EXPECTATIONS
    assert expected, "a case expects something"
    if JSON in expected:
        told = difference(json.loads(expected[JSON]), document(result))
        assert told is None, told
    for name, every_path in ((TEXT, False), (TEXT_OF_ALL, True)):
        assert name not in expected or text(result, every_path=every_path) == expected[name]


@each_case
def test_it_comes_out_the_same_in_parts(case):
    with case.sources() as sources:
        assert_same_in_parts(sources, correlate_captures(sources))


@each_case
def test_its_readme_says_what_it_shows(case):
    lines = (case.folder / "README.md").read_text().splitlines()
    assert lines[0] == f"# {case.name}"
    assert 3 <= len(lines) <= 10
