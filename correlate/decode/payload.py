"""What stands for a payload: a hash of its ends, and the residue of its checksum that NAT leaves as it is."""

import numpy as np

from ...kernels.njit import njit
from ..arrays.hashing import hash_bytes


@njit(cache=True)
def payload_hash(data, start, end):
    """Hash of the first 96 and last 32 bytes: a segment of 64 KiB costs no more than a small one. Never 0."""
    if end - start <= 128:
        return hash_bytes(data, start, end, np.uint64(3)) | np.uint64(1)
    state = hash_bytes(data, start, start + 96, np.uint64(end - start))
    return hash_bytes(data, end - 32, end, state) | np.uint64(1)


@njit(cache=True, inline="always")
def _words(value):
    """What leaves the same remainder by 0xffff as the sum of the four 16-bit words of a 64-bit number, for 2^16 leaves
    1."""
    return (value & np.uint64(0xFFFFFFFF)) + (value >> np.uint64(32))


@njit(cache=True, inline="always")
def remainders_residue(field, addresses, others, ports):
    """See checksum_residue. `addresses`: the sum of their words, or what leaves the same remainder by 0xffff; `others`:
    of what else is in the pseudo header."""
    total = field + addresses + ports
    residue = np.uint16(total % np.uint64(0xFFFF) + np.uint64(1))
    absent = field == 0 or field % np.uint64(0xFFFF) == (addresses + others) % np.uint64(0xFFFF)
    return np.uint16(0) if absent else residue


@njit(cache=True)
def checksum_residue(field, row, length):
    """What NAT leaves of a TCP or UDP checksum: the sum over all but addresses and ports, so it stands for the whole
    payload, however little of it was captured. 1 to 65535; 0 when the field tells nothing.

    The field is the complement of a ones' complement sum (RFC 1071), in which 0 and 0xffff are the same. With checksum
    offload it holds the sum of the pseudo header only (`length`: bytes of header and payload), and 0 in UDP means none.
    """
    addresses = (
        _words(row.source_high) + _words(row.source_low) + _words(row.destination_high) + _words(row.destination_low)
    )
    ports = np.uint64(row.source_port) + np.uint64(row.destination_port)
    return remainders_residue(np.uint64(field), addresses, np.uint64(row.protocol) + np.uint64(length), ports)


@njit(cache=True, inline="always")
def contradict(payload, residue, other_payload, other_residue):
    """Equal content, but not the same packet: the payloads differ or, where one was cut, the checksums."""
    if payload != 0 and other_payload != 0:
        return payload != other_payload
    return residue != 0 and other_residue != 0 and residue != other_residue


@njit(cache=True)
def by_payload(rows, sightings):
    """(numbers of the rows, by payload; where in them those of each payload begin, and one more). Equal ones stay in
    their order; where the payload of some is not known, all stand together."""
    whole = np.array([0, rows.size])
    order = np.arange(rows.size)
    keys = np.empty(rows.size, np.uint64)
    differ = False
    for i in range(rows.size):
        keys[i] = sightings[rows[i]].payload
        if keys[i] == 0:
            return order, whole
        differ |= keys[i] != keys[0]
    if not differ:
        return order, whole
    order = np.argsort(keys, kind="mergesort")
    start = np.empty(rows.size + 1, np.int64)
    found = np.int64(0)
    for i in range(rows.size):
        if i == 0 or keys[order[i]] != keys[order[i - 1]]:
            start[found] = i
            found += 1
    start[found] = rows.size
    return order, start[: found + 1]
