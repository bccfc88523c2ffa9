"""JSON around blanks is JSON: whatever stands at the blanks, the whole is what `json.dumps` writes."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.report.json.pieces import Pool
from ttrace.report.json.templates import BLANK, Cut, Templates, cut

NAMES = st.text(st.characters(), max_size=8) | st.sampled_from(['"', "\\", "\n", "\x7f", "\u2028", "\ud800", "é", "😀"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | NAMES
BLANKED = st.recursive(
    LEAVES | st.just(BLANK),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def filled(value: object, fillings: list[object]) -> object:
    """The value with the blanks replaced, in their order."""
    if value is BLANK:
        return fillings.pop(0)
    if isinstance(value, dict):
        return {name: filled(inner, fillings) for name, inner in value.items()}
    return [filled(inner, fillings) for inner in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(BLANKED, st.lists(LEAVES, min_size=12, max_size=12))
def test_texts_with_what_stands_between_them_are_the_json_of_the_whole(value, fillings):
    first, *others = cut(value)
    told = first + "".join(json.dumps(one) + text for one, text in zip(fillings, others, strict=False))
    assert told == json.dumps(filled(value, list(fillings)))


def test_what_is_equal_is_made_once():
    pool, made = Pool(), []
    templates = Templates(pool)

    def make(row: int) -> object:
        made.append(row)
        return {"place": row, "time": BLANK}

    for _ in range(2):
        places = np.array([5, 6, 5, 6]), np.array([1, 1, 1, 2], np.uint8)
        before, behind = templates.around(places, make)
        assert before.tolist() == [pool.number(f'{{"place": {row}, "time": ') for row in (0, 1, 0, 3)]
        assert set(behind.tolist()) == {pool.number("}")}
    assert made == [0, 1, 3]


def test_texts_may_be_given_as_they_are():
    pool = Pool()
    (number,) = Templates(pool).around([np.array([3])], lambda _: Cut(["as it is"]))
    assert number.tolist() == [pool.number("as it is")]
