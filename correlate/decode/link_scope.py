"""Packets that go no further than the link they are seen on."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..protocols import ICMPV6, ICMPV6_LISTENER_QUERY, ICMPV6_LISTENER_REPORT

_GROUPS_4: Final = np.uint64(0xE0000000)
"""224.0.0.0: from here on addresses are multicast (RFC 5771), reserved or broadcast."""
_GROUPS_6: Final = np.uint64(0xFF)
"""First byte of a multicast address (RFC 4291, 2.7)."""
_LINK_LOCAL_6: Final = np.uint64(0xFE80 >> 6)
"""First ten bits of a link-local address (RFC 4291, 2.5.6)."""


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
        return (row.destination_low & np.uint64(0xFFFFFFFF)) >= _GROUPS_4
    if row.ip_version == 6:
        high = row.destination_high
        return (high >> np.uint64(56)) == _GROUPS_6 or (high >> np.uint64(54)) == _LINK_LOCAL_6
    return row.ip_version == 0


def is_link_chatter(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """ARP, multicast, IPv6 neighbour discovery: what links say among themselves."""
    kind = rows["icmp_type"]
    neighbours = (rows["protocol"] == ICMPV6) & (kind >= ICMPV6_LISTENER_QUERY) & (kind <= ICMPV6_LISTENER_REPORT)
    return stays_on_link(rows) | neighbours
