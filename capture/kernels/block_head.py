"""Compiled: what stands in front of every packet block."""

from .compiled import inlined_njit
from .intake import Integer, Words
from .layouts import (
    EPB_CAPTURED_WORD,
    EPB_INTERFACE_WORD,
    EPB_LENGTH_WORD,
    EPB_TIME_HIGH_WORD,
    EPB_TIME_LOW_WORD,
    EPB_TOTAL_WORD,
    EPB_TYPE,
    EPB_TYPE_WORD,
)


@inlined_njit
def put_head(
    words: Words,
    word: Integer,
    total: Integer,
    interface: Integer,
    time_ns: Integer,
    captured: Integer,
    length: Integer,
) -> None:
    """Write the head of an enhanced packet block of `total` bytes at word `word`.

    The packet has `length` bytes, `captured` of them follow.
    """
    words[word + EPB_TYPE_WORD] = EPB_TYPE
    words[word + EPB_TOTAL_WORD] = total
    words[word + EPB_INTERFACE_WORD] = interface
    words[word + EPB_TIME_HIGH_WORD] = time_ns >> 32
    words[word + EPB_TIME_LOW_WORD] = time_ns & 0xFFFFFFFF
    words[word + EPB_CAPTURED_WORD] = captured
    words[word + EPB_LENGTH_WORD] = length
