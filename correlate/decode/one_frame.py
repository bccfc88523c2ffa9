"""Compiled dissection of one frame, whatever it is: IP, or else ARP and what is known by its first bytes."""

from typing import Final

import numpy as np

from ...kernels.loads import be32, load8
from ...kernels.njit import njit
from ..arrays.hashing import hash_bytes
from ..protocols import ETHERTYPE_ARP, ETHERTYPE_ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6
from .compared_bytes import ARP_BYTES, OTHER_BYTES
from .flow_columns import MAPPED, set_flow
from .ip import dissect_network
from .link_layer import ethernet_start, network_start

_IPV4_BYTES: Final = 4
"""Of an address. An ARP packet says how many there are, and with so many has ARP_BYTES."""
NOT_IP: Final = np.int64(-2)
"""From dissect_inner, in place of where the payload begins: it is a frame that is known by its first bytes."""


@njit(cache=True)
def _dissect_other(data, at, end, row, original):
    """A frame that is not IP: ARP by its addresses (RFC 826), anything else by its first bytes."""
    row.length = original
    if row.ethertype == ETHERTYPE_ARP and at + ARP_BYTES <= end and load8(data, at + 5) == _IPV4_BYTES:
        row.icmp_type = load8(data, at + 7)
        row.source_low = MAPPED | np.uint64(be32(data, at + 14))
        row.destination_low = MAPPED | np.uint64(be32(data, at + 24))
        end = at + ARP_BYTES
    # Not IP, so it never leaves its link by way of a router: the kind in place of the protocol.
    kind = np.uint64(row.ethertype) << np.uint64(16)
    set_flow(row, kind, np.uint64(0), row.source_low, np.uint64(0), row.destination_low, np.uint64(0), np.uint64(0))
    row.content = hash_bytes(data, at, min(at + OTHER_BYTES, end), kind)


@njit(cache=True)
def dissect_any(data, start, end, original, link_type, row, reach):
    """Dissect the frame data[start:end], whatever it is. Returns what dissect_network does."""
    at = network_start(data, start, end, link_type, row)
    payload, captured, stop = np.int64(-1), end, end
    if row.ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        payload, captured, stop = dissect_network(data, at, end, row, reach)
    if payload < 0:
        _dissect_other(data, at, end, row, original)
    return payload, captured, stop


@njit(cache=True)
def dissect_inner(data, at, end, stop, kind, row, reach):
    """The packet in a tunnel, of EtherType `kind`. Returns what dissect_network does, with NOT_IP for what is none."""
    network = at
    if kind == ETHERTYPE_ETHERNET:
        network = ethernet_start(data, at, end, row)
    else:
        row.ethertype = kind
    if row.ethertype not in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        _dissect_other(data, network, end, row, stop - at)
        return NOT_IP, end, stop
    return dissect_network(data, network, end, row, reach)
