"""Compiled decoding of the raw NETLINK_NETFILTER messages in a capture: trace events and conntrack entries.

Message and attribute numbers: linux/netfilter/nf_tables.h (NFTA_TRACE_*), nfnetlink_conntrack.h (CTA_*),
nfnetlink_log.h (NFULA_*). All attribute values are big-endian, the netlink headers are in host order (little-endian in
our files).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from ..pcapng.blocks import LinkType
from ..pcapng.read import CaptureFile
from .dissect import be16, be32, be64, dissect_ip, flow_hash, hash_bytes, query_ports
from .schema import CONNTRACK, SIGHTING, TRACE_EVENT

_PSEUDO_HEADER: Final = 16
_NAME_SLOTS: Final = 1 << 14
"""Room for table and chain names of one file; a node with more distinct names than this loses the names beyond."""


@dataclass(slots=True, kw_only=True)
class KernelMessages:
    """What the kernel said on one node, decoded."""

    events: npt.NDArray[np.void]
    """TRACE_EVENT rows, in the order of their sockets."""
    headers: npt.NDArray[np.void]
    """SIGHTING rows of the packet headers that came with the events."""
    conntrack: npt.NDArray[np.void]
    """CONNTRACK rows, in order."""
    names: dict[int, str]
    """Hash in the events to the name of the table or chain."""
    ruleset_changes_ns: npt.NDArray[np.int64]
    """When a ruleset was changed (NFT_MSG_NEWGEN), with the namespace in the second column."""
    malformed: int
    """Messages that did not decode."""


@njit(cache=True)
def _u16(data, at):
    return np.int64(data[at]) | (np.int64(data[at + 1]) << 8)


@njit(cache=True)
def _intern(data, start, end, names):
    """Hash of a name; remembers in `names` (hash, offset, length) where it stands."""
    while end > start and data[end - 1] == 0:
        end -= 1
    key = hash_bytes(data, start, end, np.uint64(1)) | np.uint64(1)
    mask = names.shape[0] - 1
    slot = np.int64(key & np.uint64(mask))
    for _ in range(names.shape[0]):
        if names[slot, 0] == key:
            break
        if names[slot, 0] == 0:
            names[slot, 0] = key
            names[slot, 1] = start
            names[slot, 2] = end - start
            break
        slot = (slot + 1) & mask
    return key


@njit(cache=True)
def _attribute(data, at, end):
    """(type, first byte of the value, end of the value) of the attribute at `at`; type -1 when there is none."""
    if at + 4 > end:
        return -1, end, end
    length = _u16(data, at)
    if length < 4 or at + length > end:
        return -1, end, end
    return _u16(data, at + 2) & 0x3FFF, at + 4, at + length


@njit(cache=True)
def _trace_header(data, network, network_end, transport, transport_end, scratch, header):
    """Dissect the header copy of a trace message: network (<= 40 bytes) and transport (<= 20 bytes) put behind each
    other."""
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
    return dissect_ip(scratch, 0, size, header)


@njit(cache=True)
def _decode_trace(data, at, end, row, header, names, scratch):
    """One NFT_MSG_TRACE; returns 1 when `header` was filled, 0 when the message has none, -1 when it is malformed."""
    network = network_end = transport = transport_end = np.int64(0)
    row.policy = 255
    row.conntrack_direction = 255
    row.hook = 255
    row.verdict = -100
    row.header = -1
    while at < end:
        kind, value, stop = _attribute(data, at, end)
        if kind < 0:
            return -1
        size = stop - value
        if kind == 1:
            row.table = _intern(data, value, stop, names)
        elif kind == 2:
            row.chain = _intern(data, value, stop, names)
        elif kind == 3 and size == 8:
            row.handle = be64(data, value)
        elif kind == 5:
            inner = value
            while inner < stop:
                inner_kind, inner_value, inner_stop = _attribute(data, inner, stop)
                if inner_kind < 0:
                    return -1
                if inner_kind == 1 and inner_stop - inner_value == 4:
                    row.verdict = np.int32(be32(data, inner_value))
                elif inner_kind == 2:
                    row.jump = _intern(data, inner_value, inner_stop, names)
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
        if _trace_header(data, network, network_end, transport, transport_end, scratch, header):
            return 1
        return 0
    return 0


@njit(cache=True)
def _decode_legacy(data, at, end, row, header, names):
    """One NFLOG message with the prefix `TRACE: table:chain:kind:number `; same returns as _decode_trace."""
    prefix = prefix_end = payload = payload_end = np.int64(0)
    row.policy = 255
    row.conntrack_direction = 255
    row.hook = 255
    row.verdict = -100
    row.header = -1
    row.legacy = 1
    while at < end:
        kind, value, stop = _attribute(data, at, end)
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
    row.table = _intern(data, prefix + 7, table_end, names)
    row.chain = _intern(data, table_end + 1, chain_end, names)
    if payload_end > payload and dissect_ip(data, payload, payload_end, header):
        row.id = np.uint32(header.content ^ (row.table >> np.uint64(8)) ^ np.uint64(row.hook))
        return 1
    return 0


@njit(cache=True)
def _decode_tuple(data, at, end, out):
    """CTA_TUPLE_*: out[0:6] = source high, low, destination high, low, source port, destination port; out[6] =
    protocol."""
    out[:] = 0
    identifier = np.uint32(0)
    icmp_type = np.int64(-1)
    while at < end:
        kind, value, stop = _attribute(data, at, end)
        if kind < 0:
            return False
        inner = value if kind <= 2 else stop  # CTA_TUPLE_ZONE is no nest
        while inner < stop:
            part, start, finish = _attribute(data, inner, stop)
            if part < 0:
                return False
            size = finish - start
            if kind == 1:
                if (part == 1 or part == 2) and size == 4:
                    out[part * 2 - 1] = np.uint64(0x0000FFFF00000000) | np.uint64(be32(data, start))
                elif (part == 3 or part == 4) and size == 16:
                    out[part * 2 - 6] = be64(data, start)
                    out[part * 2 - 5] = be64(data, start + 8)
            elif part == 1 and size == 1:
                out[6] = data[start]
            elif part == 2 and size == 2:
                out[4] = be16(data, start)
            elif part == 3 and size == 2:
                out[5] = be16(data, start)
            elif (part == 4 or part == 7) and size == 2:  # ICMP and ICMPv6 identifier
                identifier = be16(data, start)
            elif (part == 5 or part == 8) and size == 1:
                icmp_type = np.int64(data[start])
            inner += (size + 7) & ~np.int64(3)
        at += ((stop - at) + 3) & ~np.int64(3)
    if icmp_type >= 0:
        out[4], out[5] = query_ports(icmp_type, identifier)
    return True


@njit(cache=True)
def _flows_of(original, reply, row):
    row.protocol = original[6]
    o, r, protocol = original, reply, original[6]
    row.original = flow_hash(protocol, o[0], o[1], o[2], o[3], o[4], o[5])
    row.restored = flow_hash(protocol, o[2], o[3], o[0], o[1], o[5], o[4])
    row.reply = flow_hash(protocol, r[0], r[1], r[2], r[3], r[4], r[5])
    row.translated = flow_hash(protocol, r[2], r[3], r[0], r[1], r[5], r[4])
    row.original_source_high, row.original_source_low, row.original_source_port = o[0], o[1], o[4]
    row.original_destination_high, row.original_destination_low, row.original_destination_port = o[2], o[3], o[5]
    row.reply_source_high, row.reply_source_low, row.reply_source_port = r[0], r[1], r[4]
    row.reply_destination_high, row.reply_destination_low, row.reply_destination_port = r[2], r[3], r[5]


@njit(cache=True)
def _decode_conntrack(data, at, end, row, original, reply):
    found = 0
    while at < end:
        kind, value, stop = _attribute(data, at, end)
        if kind < 0:
            return False
        if kind == 1 and _decode_tuple(data, value, stop, original):
            found |= 1
        elif kind == 2 and _decode_tuple(data, value, stop, reply):
            found |= 2
        elif kind == 3 and stop - value == 4:
            row.status = be32(data, value)
        elif kind == 12 and stop - value == 4:
            row.id = be32(data, value)
        elif kind == 27 and stop - value == 8:  # CTA_TIMESTAMP_EVENT
            row.time_ns = np.int64(be64(data, value))
        at += ((stop - at) + 3) & ~np.int64(3)
    if found != 3:
        return False
    _flows_of(original, reply, row)
    return True


@njit(cache=True)
def _count(data, records, is_netlink):
    traces = 0
    entries = 0
    generations = 0
    for i in range(records.size):
        record = records[i]
        if record.interface < np.uint32(is_netlink.size) and is_netlink[record.interface] and record.captured >= 36:
            kind = _u16(data, np.int64(record.offset) + 20)
            if kind == 0x0A11 or kind == 0x0400:
                traces += 1
            elif kind == 0x0100 or kind == 0x0102:
                entries += 1
            elif kind == 0x0A0F:
                generations += 1
    return traces, entries, generations


@njit(cache=True)
def _decode(data, records, is_netlink, namespaces, file, events, headers, entries, generations, names):
    scratch = np.zeros(64, np.uint8)
    original = np.zeros(7, np.uint64)
    reply = np.zeros(7, np.uint64)
    e = h = c = g = malformed = 0
    for i in range(records.size):
        record = records[i]
        if record.interface >= np.uint32(is_netlink.size) or not is_netlink[record.interface]:
            continue
        if record.captured < 36:
            malformed += 1
            continue
        start = np.int64(record.offset) + 16
        length = _u16(data, start) | (_u16(data, start + 2) << 16)
        if length < 20 or length > np.int64(record.captured) - 16:
            malformed += 1
            continue
        end = start + length
        kind = _u16(data, start + 4)
        if kind == 0x0A11 or kind == 0x0400:
            row = events[e]
            header = headers[h]
            row.time_ns = record.time_ns
            row.file = file
            row.frame = i + 1
            row.namespace = namespaces[record.interface]
            row.family = data[start + 16]
            if kind == 0x0A11:
                state = _decode_trace(data, start + 20, end, row, header, names, scratch)
            else:
                state = _decode_legacy(data, start + 20, end, row, header, names)
            if state == 1:
                row.header = h
                header.time_ns = record.time_ns
                header.frame = i + 1
                header.file = file
                header.namespace = row.namespace
                header.ethertype = 0x0800 if header.ip_version == 4 else 0x86DD
                h += 1
            if state >= 0:
                e += 1
            else:
                if state == -1:
                    malformed += 1
                events[e] = np.zeros(1, events.dtype)[0]
        elif kind == 0x0100 or kind == 0x0102:
            row = entries[c]
            row.time_ns = record.time_ns
            row.namespace = namespaces[record.interface]
            flags = _u16(data, start + 6)
            if kind == 0x0102:
                row.event = 3
            elif flags & 0x2:  # NLM_F_MULTI: an answer to our dump
                row.event = 0
            elif flags & 0x400:  # NLM_F_CREATE
                row.event = 1
            else:
                row.event = 2
            if _decode_conntrack(data, start + 20, end, row, original, reply):
                c += 1
            else:
                malformed += 1
                entries[c] = np.zeros(1, entries.dtype)[0]
        elif kind == 0x0A0F:
            generations[g, 0] = record.time_ns
            generations[g, 1] = namespaces[record.interface]
            g += 1
    return e, h, c, g, malformed


def decode_messages(capture: CaptureFile, file: int, namespaces: npt.NDArray[np.uint16]) -> KernelMessages:
    """Decode every kernel message of one capture file.

    `namespaces` gives the namespace index of each of the file's interfaces. A malformed message is counted and left
    out.
    """
    is_netlink = np.array([i.link_type == LinkType.NETLINK for i in capture.interfaces], np.bool_)
    traces, entries, generations = (0, 0, 0)
    if is_netlink.any() and capture.records.size:
        traces, entries, generations = _count(capture.data, capture.records, is_netlink)
    event_rows = np.zeros(traces + 1, TRACE_EVENT)
    header_rows = np.zeros(traces + 1, SIGHTING)
    entry_rows = np.zeros(entries + 1, CONNTRACK)
    generation_rows = np.zeros((generations, 2), np.int64)
    e = h = c = malformed = 0
    names: dict[int, str] = {}
    if traces + entries + generations:
        table = np.zeros((_NAME_SLOTS, 3), np.uint64)
        e, h, c, _, malformed = _decode(
            capture.data, capture.records, is_netlink, namespaces, file,
            event_rows, header_rows, entry_rows, generation_rows, table,
        )  # fmt: skip
        for key, offset, length in table[table[:, 0] != 0].tolist():
            names[key] = bytes(capture.data[offset : offset + length]).decode(errors="replace")
    return KernelMessages(
        events=event_rows[:e],
        headers=header_rows[:h],
        conntrack=entry_rows[:c],
        names=names,
        ruleset_changes_ns=generation_rows,
        malformed=malformed,
    )
