"""The extension headers of IPv6, and what stands behind them."""

import numpy as np

from ...kernels.loads import be16, load8
from ...kernels.njit import njit
from ..protocols import DESTINATION_OPTIONS, FRAGMENT_HEADER, FRAGMENT_OFFSET, HOP_BY_HOP, ROUTING_HEADER


@njit(cache=True)
def behind_extensions(data, at, end, following):
    """What stands behind the extension headers in data[at:end] (RFC 8200, 4): hop-by-hop, routing, destination options,
    fragment. `following`: the type of the first.

    Returns (its protocol, where it begins, fragment flags and offset as IPv4 has them, identification).
    """
    fragment = np.uint16(0)
    ip_id = np.uint16(0)
    while at + 8 <= end:
        if following in (HOP_BY_HOP, ROUTING_HEADER, DESTINATION_OPTIONS):
            following, size = load8(data, at), np.int64(load8(data, at + 1)) * 8 + 8
        elif following == FRAGMENT_HEADER:
            offset = be16(data, at + 2)
            fragment = np.uint16((offset >> np.uint32(3)) | ((offset & np.uint32(1)) << np.uint32(13)))
            ip_id = np.uint16(be16(data, at + 6))
            following, size = load8(data, at), np.int64(8)
        else:
            break
        at += size
        if fragment & np.uint16(FRAGMENT_OFFSET):
            break  # what follows in a later fragment is payload, whatever its type
    return following, at, fragment, ip_id
