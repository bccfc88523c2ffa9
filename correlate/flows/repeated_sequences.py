"""Sequence numbers with which several TCP flows begin: scanners and floods do that, and then a SYN says little of its
flow."""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..arrays.grouping import group_ids, hashed
from ..protocols import TCP, TCP_RST
from .sessions import opens_connection


@njit(cache=True, nogil=True)
def _syn_key(row):
    """Place and sequence number in one."""
    return (np.int64(row.place) << 32) | np.int64(row.sequence)


def are_repeated(sightings: npt.NDArray[np.void], repeated: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per SIGHTING row: it is a SYN with one of these sequence numbers (see repeated_sequences), or a RST that follows
    from one: the next number, or an acknowledgment of it without a number of its own."""
    found = np.zeros(sightings.size, np.bool_)
    _mark_repeated(sightings, repeated, found)
    return found


@njit(cache=True, nogil=True)
def _mark_repeated(sightings, repeated, found):
    """`repeated`: ascending."""
    for i in range(sightings.size if repeated.size else 0):
        row = sightings[i]
        sequence = np.int64(row.sequence)
        if row.protocol != TCP:
            continue
        if row.tcp_flags & np.uint16(TCP_RST):
            sequence = (np.int64(row.acknowledgment) if sequence == 0 else sequence) - 1
        elif not opens_connection(row):
            continue
        key = (np.int64(row.place) << 32) | (sequence & 0xFFFFFFFF)
        at = np.searchsorted(repeated, key)
        found[i] = at < repeated.size and repeated[at] == key


@njit(cache=True, nogil=True)
def _find_syns(sightings):
    """(Place and sequence number in one, flow) of every SYN."""
    keys = np.empty(1024, np.int64)
    flows = np.empty(1024, np.uint64)
    count = 0
    for i in range(sightings.size):
        row = sightings[i]
        if not opens_connection(row):
            continue
        if count == keys.size:
            keys, flows = _twice_as_long(keys), _twice_as_long(flows)
        keys[count] = _syn_key(row)
        flows[count] = row.flow
        count += 1
    return keys[:count].copy(), flows[:count].copy()


@njit(cache=True, nogil=True)
def _twice_as_long(column):
    longer = np.empty(2 * column.size, column.dtype)
    for k in range(column.size):
        longer[k] = column[k]
    return longer


def begun_sequences(sightings: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """(place and sequence number in one, flow) of the SYNs among SIGHTING rows, each once."""
    return _once(*_find_syns(sightings))


def repeated_sequences(keys: npt.NDArray[np.int64], flows: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Places and sequence numbers that several flows begin with there, ascending; arguments: see begun_sequences.

    Scanners and floods do that; then 16 bits of IP id are all that tells their packets apart.
    """
    keys, _ = _once(keys, flows)
    found, count = np.unique(keys, return_counts=True)
    return found[count > 2]  # a hairpin shows one flow under two


def _once(
    keys: npt.NDArray[np.int64], flows: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    _, first = group_ids(hashed(keys, flows))
    return keys[first], flows[first]
