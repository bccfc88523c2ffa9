"""Which shift holds at which position of a stream."""

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import group_ids, hashed
from .byte_stream import unwrapped
from .pairs import Votes


def shift_at(
    votes: Votes,
    place: npt.NDArray[np.int64],
    stream: npt.NDArray[np.int64],
    number: npt.NDArray[np.integer],
    times_ns: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(By how much the sequence numbers of a stream are shifted at a place, per number; whether that is known).

    Before the first position of which votes tell, the shift is the one told of it, and so on behind the last. Between
    two it is known where both are alike: where not, something in between changed the length of a payload.
    """
    size = votes.shift.size
    group, _ = group_ids(hashed(np.concatenate([votes.place * 2 + votes.stream, place * 2 + stream])))
    numbers = np.concatenate([votes.number, number.astype(np.int64)])
    position = unwrapped(numbers, group.astype(np.int64), np.concatenate([votes.time_ns, times_ns]))
    # First where votes begin and end, then what is asked.
    group = np.concatenate([group[:size], group])
    position = np.concatenate([position[:size] + votes.length, position])
    told = np.concatenate([votes.shift, votes.shift, np.zeros(place.size, np.int64)])
    asked = np.arange(position.size) >= 2 * size
    order = np.lexsort((asked, position, group))
    is_vote, of, where = ~asked[order], group[order], position[order]
    index = np.arange(order.size)
    before = np.maximum.accumulate(np.where(is_vote, index, -1))
    after = np.minimum.accumulate(np.where(is_vote, index, order.size)[::-1])[::-1]
    has_before = (before >= 0) & (of[np.maximum(before, 0)] == of)
    has_after = (after < order.size) & (of[np.minimum(after, order.size - 1)] == of)
    shift = told[order]
    first, second = shift[np.maximum(before, 0)], shift[np.minimum(after, order.size - 1)]
    found = np.where(has_before, first, np.where(has_after, second, 0))
    exact = has_before & (where[np.maximum(before, 0)] == where)
    known = exact | ~has_before | ~has_after | (first == second)
    back = np.empty(order.size, np.int64)
    back[order] = index
    return found[back[2 * size :]], known[back[2 * size :]]
