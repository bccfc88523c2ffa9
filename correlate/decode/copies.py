"""Whether a frame is a copy of one before it: a mirror port shows what comes in and what goes out, so each twice."""

from typing import Final

import numpy as np

from ...kernels.njit import njit
from .payload import contradict

COPY_NS: Final = 10_000_000
"""Copies come at most so long after their original: as long as the queue of a port may be."""


@njit(cache=True)
def alike(one, other):
    """Two sightings of equal content and flow at one capture point, where neither direction, TTL nor payload says that
    they are two packets, or one that passed twice."""
    return (
        one.place == other.place
        and one.flow == other.flow
        and one.ip_id == other.ip_id
        and one.fragment == other.fragment
        and one.ttl == other.ttl
        and one.direction == other.direction
        and not contradict(one.payload, one.residue, other.payload, other.residue)
    )


@njit(cache=True)
def comes_soon(one, other):
    """The second may be a copy of the first."""
    return np.abs(other.time_ns - one.time_ns) <= COPY_NS and alike(one, other)


@njit(cache=True)
def has_own_id(row):
    """Whether its IP id is hardly that of another packet. 0 stands for none, and so does 1: what scapy makes has it."""
    return row.ip_id > 1


@njit(cache=True)
def is_copy(one, other):
    """The second is a copy of the first, for nobody sends two packets with one IP id in so short a time."""
    return has_own_id(one) and comes_soon(one, other)
