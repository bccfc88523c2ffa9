"""The pieces of several parts come by their ids, whichever part they are of."""

from collections.abc import Iterator

import pytest

from ttrace.report.telling.in_order import in_order_of_ids
from ttrace.report.telling.parts import Parts


def parts(*ids: list[int]) -> Parts:
    """Parts that are known by their ids alone."""
    return Parts(count=len(ids), in_full=True, each=lambda: ((part, None) for part in ids))


def pieces(part: list[int], _selection: None) -> Iterator[tuple[int, str]]:
    yield from ((number, f"№{number}") for number in part)


@pytest.mark.parametrize("of", [([1, 2, 3, 4],), ([1, 3], [2, 4]), ([4], [], [1, 2, 3]), ([2, 4], [1], [3])], ids=str)
def test_pieces_of_all_parts_come_by_their_ids(of):
    assert "".join(in_order_of_ids(parts(*of), pieces, ", ")) == "№1, №2, №3, №4"


@pytest.mark.parametrize("of", [([],), ([], [])], ids=str)
def test_nothing_is_nothing(of):
    assert list(in_order_of_ids(parts(*of), pieces, ", ")) == []


def test_of_a_single_part_each_piece_is_written_before_the_next_is_made():
    made = []

    def noted(part: list[int], _selection: None) -> Iterator[tuple[int, str]]:
        for number in part:
            made.append(number)
            yield number, str(number)

    assert next(in_order_of_ids(parts([1, 2]), noted, "")) == "1"
    assert made == [1]
