"""Sequence numbers of TCP -> positions in the stream of bytes."""

import numpy as np
import numpy.typing as npt


def unwrapped(
    sequence: npt.NDArray[np.int64], group: npt.NDArray[np.int64], times_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Positions in the stream of their direction: each number within 2 GiB of the one before it in time, so that a wrap
    does no harm (RFC 9293, 3.4). The first of each `group` is at 0."""
    if sequence.size == 0:
        return sequence
    order = np.lexsort((times_ns, group))
    step = np.zeros(sequence.size, np.int64)
    ordered = sequence[order]
    step[1:] = (ordered[1:] - ordered[:-1] + 2**31) % 2**32 - 2**31
    step[1:][group[order][1:] != group[order][:-1]] = 0
    position = np.cumsum(step)
    start = np.flatnonzero(np.append(True, group[order][1:] != group[order][:-1]))
    position -= np.repeat(position[start], np.diff(np.append(start, position.size)))
    unwrapped = np.empty_like(position)
    unwrapped[order] = position
    return unwrapped
