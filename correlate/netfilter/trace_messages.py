"""Compiled decoding of one trace message: nftrace, or TRACE of iptables-legacy through NFLOG.

Attribute numbers: linux/netfilter/nf_tables.h (NFTA_TRACE_*) and nfnetlink_log.h (NFULA_*). Values are big-endian.
"""

import numpy as np

from ...kernels.loads import be32, be64
from ...kernels.njit import njit
from ..arrays.hashing import mix
from ..decode.ip import dissect_ip
from .attributes import attribute, intern


@njit(cache=True)
def _trace_header(data, network, network_end, transport, transport_end, scratch, copied, header, reach):
    """Dissect the header copy of a trace message: network (<= 40 bytes) and transport (<= 20 bytes) put behind each
    other.

    `copied` is `scratch`, read-only as a file is: for numba another type, and all that dissects is compiled once.
    """
    size = 0
    for at in range(network, min(network_end, network + 40)):
        scratch[size] = data[at]
        size += 1
    for at in range(transport, min(transport_end, transport + 20)):
        scratch[size] = data[at]
        size += 1
    if size > 40 and scratch[0] >> 4 == 6 and scratch[6] == 0 and network_end - network <= 40:
        # The copy ends before the hop-by-hop header, which multicast listener reports carry (RFC 3810): ICMPv6 follows.
        scratch[6] = 58
    return dissect_ip(copied, np.int64(0), np.int64(size), header, reach)


@njit(cache=True)
def decode_trace(data, at, end, row, header, names, scratch, copied, reach):
    """One NFT_MSG_TRACE; returns 1 when `header` was filled, 0 when the message has none, -1 when it is malformed."""
    network = network_end = transport = transport_end = np.int64(0)
    row.policy = 255
    row.conntrack_direction = 255
    row.hook = 255
    row.verdict = -100
    row.header = -1
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return -1
        size = stop - value
        if kind == 1:
            row.table = intern(data, value, stop, names)
        elif kind == 2:
            row.chain = intern(data, value, stop, names)
        elif kind == 3 and size == 8:
            row.handle = be64(data, value)
        elif kind == 5:
            inner = value
            while inner < stop:
                inner_kind, inner_value, inner_stop = attribute(data, inner, stop)
                if inner_kind < 0:
                    return -1
                if inner_kind == 1 and inner_stop - inner_value == 4:
                    row.verdict = np.int32(be32(data, inner_value))
                elif inner_kind == 2:
                    row.jump = intern(data, inner_value, inner_stop, names)
                inner += ((inner_stop - inner) + 3) & ~np.int64(3)
        elif kind == 7 or kind == 0:
            pass
        elif kind == 8:
            network, network_end = value, stop
        elif kind == 9:
            transport, transport_end = value, stop
        elif size == 4:
            word = be32(data, value)
            if kind == 4:
                row.type = word
            elif kind == 6:
                row.id = word
            elif kind == 10:
                row.input_index = word
            elif kind == 12:
                row.output_index = word
            elif kind == 14:
                row.mark = word
            elif kind == 16:
                row.policy = word
            elif kind == 18:
                row.conntrack_id = word
            elif kind == 20:
                row.conntrack_status = word
            elif kind == 21:
                row.conntrack_state = word
        elif kind == 19 and size == 1:
            row.conntrack_direction = data[value]
        at += ((stop - at) + 3) & ~np.int64(3)
    if network_end > network:
        if _trace_header(data, network, network_end, transport, transport_end, scratch, copied, header, reach):
            return 1
        return 0
    return 0


@njit(cache=True)
def decode_legacy(data, at, end, row, header, names, reach):
    """One NFLOG message with the prefix `TRACE: table:chain:kind:number `; same returns as decode_trace."""
    prefix = prefix_end = payload = payload_end = np.int64(0)
    row.policy = 255
    row.conntrack_direction = 255
    row.hook = 255
    row.verdict = -100
    row.header = -1
    row.legacy = 1
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return -1
        if kind == 1 and stop - value >= 3:
            row.hook = data[value + 2]
        elif kind == 4 and stop - value == 4:
            row.input_index = be32(data, value)
        elif kind == 5 and stop - value == 4:
            row.output_index = be32(data, value)
        elif kind == 9:
            payload, payload_end = value, stop
        elif kind == 10:
            prefix, prefix_end = value, stop
        at += ((stop - at) + 3) & ~np.int64(3)
    while prefix_end > prefix and (data[prefix_end - 1] == 0 or data[prefix_end - 1] == 32):
        prefix_end -= 1
    # A prefix without "TRACE: " and three colons behind it is somebody's own NFLOG rule. Chain names may hold colons.
    if prefix_end - prefix < 12 or be32(data, prefix) != 0x54524143 or be32(data, prefix + 3) != 0x43453A20:
        return -2
    table_end = prefix + 7
    while table_end < prefix_end and data[table_end] != 58:
        table_end += 1
    number = np.int64(0)
    place = np.int64(1)
    kind_end = prefix_end - 1
    while kind_end > table_end and 48 <= data[kind_end] <= 57 and place < 10_000_000_000:
        number += (np.int64(data[kind_end]) - 48) * place
        place *= 10
        kind_end -= 1
    chain_end = kind_end - 1
    while chain_end > table_end and data[chain_end] != 58:
        chain_end -= 1
    if place == 1 or data[kind_end] != 58 or chain_end <= table_end + 1:
        return -2
    size = kind_end - chain_end - 1
    if size == 4 and data[chain_end + 1] == 114:  # rule
        row.type = 3
    elif size == 6 and data[chain_end + 1] == 114:  # return
        row.type = 2
    elif size == 6 and data[chain_end + 1] == 112:  # policy
        row.type = 1
    else:
        return -2
    row.rule_number = number
    row.table = intern(data, prefix + 7, table_end, names)
    row.chain = intern(data, table_end + 1, chain_end, names)
    if payload_end > payload and dissect_ip(data, payload, payload_end, header, reach):
        # Equal contents under other addresses are other packets.
        packet = mix(header.content, min(header.flow, header.flow_reverse))
        row.id = np.uint32(packet ^ (row.table >> np.uint64(8)) ^ np.uint64(row.hook))
        return 1
    return 0
