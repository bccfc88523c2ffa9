"""Compiled decoding of one TRACE message of iptables-legacy, which comes through NFLOG with a prefix such as
`TRACE: nat:DOCKER:rule:2 ` (linux/netfilter/nfnetlink_log.h). Values are big-endian.
"""

from typing import Final

import numpy as np

from ...kernels.loads import address, be32
from ...kernels.njit import uncounted_njit
from ..arrays.hashing import mix
from ..decode.ip import dissect_ip
from .attributes import attribute, behind, intern
from .nftrace import FOREIGN, MALFORMED, WITH_HEADER, WITHOUT_HEADER
from .numbers import (
    NFT_TRACETYPE_POLICY,
    NFT_TRACETYPE_RETURN,
    NFT_TRACETYPE_RULE,
    NFULA_IFINDEX_INDEV,
    NFULA_IFINDEX_OUTDEV,
    NFULA_MARK,
    NFULA_PACKET_HDR,
    NFULA_PAYLOAD,
    NFULA_PREFIX,
)

_TRAC: Final = int.from_bytes(b"TRAC", "big")
_CE__: Final = int.from_bytes(b"CE: ", "big")
_TRACE_BYTES: Final = 7
"""Of `TRACE: `."""
_LEAST_PREFIX: Final = 12
_COLON, _SPACE, _ZERO, _NINE = ord(":"), ord(" "), ord("0"), ord("9")
_P, _R = ord("p"), ord("r")
_MOST_NUMBER: Final = 10_000_000_000


@uncounted_njit
def decode_legacy_trace(data, at, end, row, header, scratch):
    """Fill a TRACE_EVENT row, and the SIGHTING row `header`; returns as decode_nftrace does."""
    prefix = prefix_end = payload = payload_end = np.int64(0)
    row.legacy = 1
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return MALFORMED
        if kind == NFULA_PACKET_HDR and stop - value >= 3:
            row.hook = data[value + 2]
        elif kind == NFULA_MARK and stop - value == 4:
            row.mark = be32(data, value)
        elif kind == NFULA_IFINDEX_INDEV and stop - value == 4:
            row.input_index = be32(data, value)
        elif kind == NFULA_IFINDEX_OUTDEV and stop - value == 4:
            row.output_index = be32(data, value)
        elif kind == NFULA_PAYLOAD:
            payload, payload_end = value, stop
        elif kind == NFULA_PREFIX:
            prefix, prefix_end = value, stop
        at = behind(at, stop)
    if not _parse_prefix(data, prefix, prefix_end, row, scratch.names):
        return FOREIGN
    if payload_end > payload and dissect_ip(address(data), payload, payload_end, header, scratch.reach):
        # Equal contents under other addresses are other packets.
        packet = mix(header.content, min(header.flow, header.flow_reverse))
        row.id = np.uint32(packet ^ (row.table >> np.uint64(8)) ^ np.uint64(row.hook))
        return WITH_HEADER
    return WITHOUT_HEADER


@uncounted_njit
def _parse_prefix(data, at, end, row, names):
    """`TRACE: table:chain:kind:number`. Without "TRACE: " and three colons behind it, it is somebody's own NFLOG rule:
    False. Chain names may hold colons."""
    while end > at and (data[end - 1] == 0 or data[end - 1] == _SPACE):
        end -= 1
    if end - at < _LEAST_PREFIX or be32(data, at) != _TRAC or be32(data, at + 3) != _CE__:
        return False
    table_end = at + _TRACE_BYTES
    while table_end < end and data[table_end] != _COLON:
        table_end += 1
    number = np.int64(0)
    place = np.int64(1)
    kind_end = end - 1
    while kind_end > table_end and _ZERO <= data[kind_end] <= _NINE and place < _MOST_NUMBER:
        number += (np.int64(data[kind_end]) - _ZERO) * place
        place *= 10
        kind_end -= 1
    chain_end = kind_end - 1
    while chain_end > table_end and data[chain_end] != _COLON:
        chain_end -= 1
    if place == 1 or data[kind_end] != _COLON or chain_end <= table_end + 1:
        return False
    row.type = _type_of(data, chain_end + 1, kind_end)
    if row.type == 0:
        return False
    row.rule_number = number
    row.table = intern(data, at + _TRACE_BYTES, table_end, names)
    row.chain = intern(data, table_end + 1, chain_end, names)
    return True


@uncounted_njit
def _type_of(data, at, end):
    """`rule`, `return` or `policy` as nftrace numbers them; 0 for another word."""
    if end - at == 4 and data[at] == _R:
        return NFT_TRACETYPE_RULE
    if end - at == 6 and data[at] == _R:
        return NFT_TRACETYPE_RETURN
    if end - at == 6 and data[at] == _P:
        return NFT_TRACETYPE_POLICY
    return 0
