"""64-bit hashes of what packets are told apart by.

Two kinds of steps. `mix` takes one word and is a bijection of it. `_fold` multiplies two words to 128 bits and folds
these in half, which takes in 16 bytes for the price of one multiplication; `step` and `hash_bytes` chain folds in the
way of wyhash (github.com/wangyi-fudan/wyhash, public domain). Equal input gives equal hashes; among n different ones
about n^2 / 2^65 collide, whatever they have in common (tests/correlate/arrays/test_hashing.py).
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...kernels.loads import le32, le64, load8
from ...kernels.njit import intrinsic, njit

_S0 = np.uint64(0x2D358DCCAA6C78A5)
_S1 = np.uint64(0x8BB84B93962EACC9)
_S2 = np.uint64(0x4B33A62ED433D4A3)
_S3 = np.uint64(0x4D5A2DA51DE1AA47)
SEED = np.uint64(0xA0761D6478BD642F)
"""To begin with. Not 0: with a second word of 0 the first would be lost in `step`."""
SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio. It is odd, so multiples of it differ, and their upper bits depend on all bits."""
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
"""The multipliers of SplitMix64 (prng.di.unimi.it/splitmix64.c, public domain)."""


@njit(cache=True, inline="always")
def mix(state, value):
    """One step of a hash (the finalizer of SplitMix64)."""
    z = (state ^ np.uint64(value)) + SPREAD
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def spread(values: npt.NDArray[np.integer]) -> npt.NDArray[np.uint64]:
    """Numbers that may be small or alike, so that they can be put together with others: a bijection, and cheap."""
    return values.astype(np.uint64, copy=False) * SPREAD


def _product(part: Any) -> Any:  # noqa: ANN401 - llvmlite is untyped
    """Signature and code of something made of the halves of a 128-bit product: `part` takes the builder and the
    halves."""
    from llvmlite import ir
    from numba import types

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        word, double = ir.IntType(64), ir.IntType(128)
        product = builder.mul(*(builder.zext(argument, double) for argument in arguments))
        return part(builder, builder.trunc(product, word), builder.trunc(builder.lshr(product, double(64)), word))

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def _fold(typing: Any, a: Any, b: Any) -> Any:  # noqa: ANN401, ARG001 - numba types it
    """Both halves of the product of two words in one."""
    return _product(lambda builder, low, high: builder.xor(low, high))


@intrinsic
def _high(typing: Any, a: Any, b: Any) -> Any:  # noqa: ANN401, ARG001
    """The upper half of the product of two words."""
    return _product(lambda _builder, _low, high: high)


@njit(cache=True, inline="always")
def step(state, first, second):
    """Take two words into a hash, with more to come."""
    return _fold(np.uint64(first) ^ _S1, np.uint64(second) ^ state)


@njit(cache=True, inline="always")
def last_step(state, first, second):
    """Take the last two words into a hash."""
    first, second = np.uint64(first) ^ _S1, np.uint64(second) ^ state
    return _fold((first * second) ^ _S0, _high(first, second) ^ _S3)


@njit(cache=True, inline="always")
def hash_words(data, start, end, state):
    """hash_bytes of 8 to 16 bytes."""
    state = state + np.uint64(end - start) * SPREAD
    return last_step(state, le64(data, start), le64(data, end - 8))


@njit(cache=True)
def hash_bytes(data, start, end, state):
    """Hash of data[start:end], sixteen bytes a step; what is left over is read together with bytes before it."""
    size = end - start
    if size <= 0:
        return last_step(state, np.uint64(0), np.uint64(0))
    state = state + np.uint64(size) * SPREAD
    at = start
    while at + 16 < end:
        state = step(state, le64(data, at), le64(data, at + 8))
        at += 16
    if size >= 16:
        low, high = le64(data, end - 16), le64(data, end - 8)
    elif size >= 8:
        low, high = le64(data, start), le64(data, end - 8)
    elif size >= 4:
        low, high = np.uint64(le32(data, start)), np.uint64(le32(data, end - 4))
    else:
        low = (
            np.uint64(load8(data, start))
            | (np.uint64(load8(data, start + (size >> 1))) << np.uint64(8))
            | (np.uint64(load8(data, end - 1)) << np.uint64(16))
        )
        high = np.uint64(0)
    return last_step(state, low, high)


@njit(cache=True, inline="always")
def _end_hash(high, low, port):
    """One end of a flow. The port is spread over the word it is put to, or addresses and ports that differ in the same
    few bits would be one."""
    return _fold(np.uint64(low) ^ _S1, np.uint64(high) + np.uint64(port) * SPREAD + _S2)


@njit(cache=True, inline="always")
def _way(protocol, source, destination):
    return _fold(source ^ _S1, destination + np.uint64(protocol) * SPREAD + _S3)


@njit(cache=True)
def flow_hash(protocol, s_high, s_low, d_high, d_low, s_port, d_port):
    """Hash of one direction of a flow."""
    return _way(protocol, _end_hash(s_high, s_low, s_port), _end_hash(d_high, d_low, d_port))


@njit(cache=True)
def flow_hashes(protocol, s_high, s_low, d_high, d_low, s_port, d_port):
    """The same of both directions: this one, and that with source and destination exchanged."""
    source, destination = _end_hash(s_high, s_low, s_port), _end_hash(d_high, d_low, d_port)
    return _way(protocol, source, destination), _way(protocol, destination, source)
