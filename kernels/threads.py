"""Compiled kernels on several cores: they let go of the interpreter lock (`nogil`), so threads are enough."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Other = TypeVar("Other")

_MOST: Final = 8
"""Threads. Beyond it the memory is what limits."""
_LEAST_ROWS: Final = 1 << 14
"""Fewer are done before a thread has begun."""


def threads() -> int:
    """How many threads are worth it on this machine, for this process."""
    return min(len(os.sched_getaffinity(0)), _MOST)


def run_all(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """The results of `work` for each piece, in order, made on all cores; it must be a kernel or little else.

    Each thread takes the next piece when it is done with one, so several small pieces for each make up for cores that
    others use as well.
    """
    workers = min(threads(), len(pieces))
    if workers < 2:
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, pieces))


def slices(count: int) -> list[slice]:
    """So many rows in pieces for `run_all`."""
    size = max(_LEAST_ROWS, -(-count // (4 * threads())))
    return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]


def side_by_side(one: Callable[[], Result], other: Callable[[], Other]) -> tuple[Result, Other]:
    """The results of two works that need nothing of each other, at the same time: kernels, and whole columns of NumPy,
    which lets go of the lock too. Raises what the first of them raises that does."""
    if threads() < 2:
        return one(), other()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other)
        return one(), waiting.result()
