"""The hashes tell apart what differs in few bits, as much as random numbers would."""

import numpy as np
import pytest
from numba import njit

from ttrace.correlate.arrays.hashing import (
    SEED,
    flow_hash,
    flow_hashes,
    hash_bytes,
    last_step,
    spread,
    step,
)

MANY = 1 << 18
MAPPED = 0x0000FFFF00000000


def assert_like_random(hashes):
    """No two equal, and in no 32 bits of them many more than chance has."""
    assert distinct(hashes) == hashes.size
    by_chance = hashes.size**2 / 2**33
    for shift in (0, 16, 32):
        window = (hashes >> np.uint64(shift)).astype(np.uint32)
        assert hashes.size - distinct(window) < 6 * by_chance + 10


def distinct(numbers):
    """How many there are; np.unique takes fifteen times as long."""
    return 1 + np.count_nonzero(np.diff(np.sort(numbers)))


@njit
def _flows(kind):
    out = np.empty(MANY, np.uint64)
    for i in range(MANY):
        a, b, port = np.uint64(i & 511), np.uint64(i >> 9), np.uint64(80)
        s_low, d_low = np.uint64(MAPPED + 0x0A000001), np.uint64(MAPPED + 0xC0A80001)
        high, s_port, d_port, protocol = np.uint64(0), port, port, np.uint64(6)
        if kind == 0:
            s_low, d_low = s_low + a, d_low + b
        elif kind == 1:
            s_port, d_port = a, b
        elif kind == 2:
            s_low, s_port = s_low + a, b
        elif kind == 3:  # the ports in the bits of the subnet
            high, s_port = np.uint64(0xFD00 << 48) + a, b
        else:
            protocol, s_port = a, b
        out[i] = flow_hash(protocol, high, s_low, np.uint64(0), d_low, s_port, d_port)
    return out


@pytest.mark.parametrize("kind", range(5))
def test_flows_that_differ_in_few_bits(kind):
    assert_like_random(_flows(kind))


@njit
def _contents(kind):
    out = np.empty(MANY, np.uint64)
    for i in range(MANY):
        a, b = np.uint64(i & 511), np.uint64(i >> 9)
        if kind == 0:  # protocol and length, beside no identification
            out[i] = step(SEED, a, b)
        elif kind == 1:
            out[i] = last_step(step(SEED, np.uint64(52), np.uint64(6)), (a << np.uint64(32)) | b, np.uint64(0))
        else:
            out[i] = last_step(step(SEED, np.uint64(52), np.uint64(6)), a, b)
    return out


@pytest.mark.parametrize("kind", range(3))
def test_words_that_differ_in_few_bits(kind):
    assert_like_random(_contents(kind))


@njit
def _bytes(data, size, at):
    out = np.empty(MANY, np.uint64)
    for i in range(MANY):
        data[:] = 0
        for k in range(18):
            bit = (k + at) % (size * 8)
            data[bit >> 3] ^= np.uint8(((i >> k) & 1) << (bit & 7))
        out[i] = hash_bytes(data, 0, size, np.uint64(3))
    return out


@pytest.mark.parametrize("size", [3, 4, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 96, 128])
def test_bytes_that_differ_in_few_bits(size):
    for at in (0, 5, size * 8 - 18):
        assert_like_random(_bytes(np.zeros(size, np.uint8), size, at))


def test_zeros_of_different_lengths_are_different():
    zeros = np.zeros(200, np.uint8)
    assert len({int(hash_bytes(zeros, 0, size, np.uint64(3))) for size in range(200)}) == 200


def test_a_hash_is_that_of_its_bytes_wherever_they_are():
    data = np.frombuffer(bytes(range(1, 251)), np.uint8)
    for size in (0, 1, 3, 5, 8, 13, 16, 20, 40, 100):
        own = data[50 : 50 + size].copy()
        assert hash_bytes(data, 50, 50 + size, np.uint64(9)) == hash_bytes(own, 0, size, np.uint64(9))


def test_both_ways_of_a_flow():
    ends = (np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4), np.uint64(5), np.uint64(6))
    there, back = flow_hashes(np.uint64(17), *ends)
    assert there == flow_hash(np.uint64(17), *ends)
    assert back == flow_hash(np.uint64(17), *ends[2:4], *ends[:2], ends[5], ends[4])
    assert there != back


def test_what_is_spread_stays_different_and_reaches_the_upper_bits():
    small = spread(np.arange(MANY, dtype=np.uint16 if MANY < 1 << 16 else np.uint32))
    assert small.dtype == np.uint64
    assert np.unique(small).size == MANY
    assert np.unique(small >> np.uint64(40)).size > MANY // 2
