"""Compiled decoding of one nftrace message (NFT_MSG_TRACE of linux/netfilter/nf_tables.h). Values are big-endian."""

from typing import Final

import numpy as np

from ...kernels.loads import address, be32, be64
from ...kernels.njit import uncounted_njit
from ..decode.ip import dissect_ip
from ..protocols import HOP_BY_HOP, ICMPV6
from .attributes import attribute, behind, intern
from .numbers import (
    NFT_TRACE_NETWORK_BYTES,
    NFT_TRACE_TRANSPORT_BYTES,
    NFTA_TRACE_CHAIN,
    NFTA_TRACE_CT_DIRECTION,
    NFTA_TRACE_CT_ID,
    NFTA_TRACE_CT_STATE,
    NFTA_TRACE_CT_STATUS,
    NFTA_TRACE_ID,
    NFTA_TRACE_IIF,
    NFTA_TRACE_MARK,
    NFTA_TRACE_NETWORK_HEADER,
    NFTA_TRACE_OIF,
    NFTA_TRACE_POLICY,
    NFTA_TRACE_RULE_HANDLE,
    NFTA_TRACE_TABLE,
    NFTA_TRACE_TRANSPORT_HEADER,
    NFTA_TRACE_TYPE,
    NFTA_TRACE_VERDICT,
    NFTA_VERDICT_CHAIN,
    NFTA_VERDICT_CODE,
)

WITH_HEADER: Final = 1
"""What decoding a trace message returns: it came with a header, which is filled;"""
WITHOUT_HEADER: Final = 0
"""it had none;"""
MALFORMED: Final = -1
FOREIGN: Final = -2
"""it is none of a trace."""
_IPV6_BYTES: Final = 40
_NEXT_HEADER_OFFSET: Final = 6


@uncounted_njit
def decode_nftrace(data, at, end, row, header, scratch):
    """Fill a TRACE_EVENT row, and the SIGHTING row `header` where the message, attributes data[at:end], has one."""
    network = network_end = transport = transport_end = np.int64(0)
    while at < end:
        kind, value, stop = attribute(data, at, end)
        size = stop - value
        if kind < 0:
            return MALFORMED
        if kind == NFTA_TRACE_TABLE:
            row.table = intern(data, value, stop, scratch.names)
        elif kind == NFTA_TRACE_CHAIN:
            row.chain = intern(data, value, stop, scratch.names)
        elif kind == NFTA_TRACE_RULE_HANDLE and size == 8:
            row.handle = be64(data, value)
        elif kind == NFTA_TRACE_VERDICT:
            if not _decode_verdict(data, value, stop, row, scratch.names):
                return MALFORMED
        elif kind == NFTA_TRACE_NETWORK_HEADER:
            network, network_end = value, stop
        elif kind == NFTA_TRACE_TRANSPORT_HEADER:
            transport, transport_end = value, stop
        elif kind == NFTA_TRACE_CT_DIRECTION and size == 1:
            row.conntrack_direction = data[value]
        elif size == 4:
            _set_word(row, kind, be32(data, value))
        at = behind(at, stop)
    if network_end > network:
        size = _put_together(data, network, network_end, transport, transport_end, scratch.bytes)
        if dissect_ip(address(scratch.copied), np.int64(0), size, header, scratch.reach):
            return WITH_HEADER
    return WITHOUT_HEADER


@uncounted_njit
def _set_word(row, kind, word):
    """An attribute of 32 bits."""
    if kind == NFTA_TRACE_TYPE:
        row.type = word
    elif kind == NFTA_TRACE_ID:
        row.id = word
    elif kind == NFTA_TRACE_IIF:
        row.input_index = word
    elif kind == NFTA_TRACE_OIF:
        row.output_index = word
    elif kind == NFTA_TRACE_MARK:
        row.mark = word
    elif kind == NFTA_TRACE_POLICY:
        row.policy = word
    elif kind == NFTA_TRACE_CT_ID:
        row.conntrack_id = word
    elif kind == NFTA_TRACE_CT_STATUS:
        row.conntrack_status = word
    elif kind == NFTA_TRACE_CT_STATE:
        row.conntrack_state = word


@uncounted_njit
def _decode_verdict(data, at, end, row, names):
    """NFTA_TRACE_VERDICT: the code, and the chain of a jump; False when it is malformed."""
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return False
        if kind == NFTA_VERDICT_CODE and stop - value == 4:
            row.verdict = np.int32(be32(data, value))
        elif kind == NFTA_VERDICT_CHAIN:
            row.jump = intern(data, value, stop, names)
        at = behind(at, stop)
    return True


@uncounted_njit
def _put_together(data, network, network_end, transport, transport_end, out):
    """The header copy: network and transport header, which the message has apart, behind each other; its size."""
    size = np.int64(0)
    for at in range(network, min(network_end, network + NFT_TRACE_NETWORK_BYTES)):
        out[size] = data[at]
        size += 1
    for at in range(transport, min(transport_end, transport + NFT_TRACE_TRANSPORT_BYTES)):
        out[size] = data[at]
        size += 1
    is_6 = size > _IPV6_BYTES and out[0] >> 4 == 6
    if is_6 and out[_NEXT_HEADER_OFFSET] == HOP_BY_HOP and network_end - network <= NFT_TRACE_NETWORK_BYTES:
        # The copy ends before the hop-by-hop header, which multicast listener reports carry (RFC 3810): ICMPv6 follows.
        out[_NEXT_HEADER_OFFSET] = ICMPV6
    return size
