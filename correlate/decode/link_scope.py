"""Packets that go no further than the link they are seen on."""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit


def stays_on_link(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Not IP, or to a multicast, broadcast or link-local group: goes no further than the link it is seen on."""
    found = np.empty(rows.size, np.bool_)
    _stay_on_link(rows, found)
    return found


@njit(cache=True, nogil=True)
def _stay_on_link(rows, found):
    for i in range(rows.size):
        found[i] = row_stays_on_link(rows[i])


@njit(cache=True, nogil=True)
def row_stays_on_link(row):
    """The same of one row, for kernels."""
    if row.ip_version == 4:
        return (row.destination_low & np.uint64(0xFFFFFFFF)) >= np.uint64(0xE0000000)
    if row.ip_version == 6:
        high = row.destination_high
        return (high >> np.uint64(56)) == np.uint64(0xFF) or (high >> np.uint64(54)) == np.uint64(0x3FA)
    return row.ip_version == 0


def is_link_chatter(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """ARP, multicast, IPv6 neighbour discovery: what links say among themselves."""
    neighbours = (rows["protocol"] == 58) & (rows["icmp_type"] >= 130) & (rows["icmp_type"] <= 143)
    return stays_on_link(rows) | neighbours
