"""The raw NETLINK_NETFILTER messages of a capture -> tables of trace events and conntrack entries."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.blocks import LinkType
from ...pcapng.read import CaptureFile
from ..decode.compared_bytes import whole_reach
from ..schema import CONNTRACK, SIGHTING, TRACE_EVENT
from ..sightings import EVALUATION
from .attributes import u16
from .conntrack_messages import decode_conntrack
from .trace_messages import decode_legacy, decode_trace

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
def _count(data, records, is_netlink):
    traces = 0
    entries = 0
    generations = 0
    for i in range(records.size):
        record = records[i]
        if record.interface < np.uint32(is_netlink.size) and is_netlink[record.interface] and record.captured >= 36:
            kind = u16(data, np.int64(record.offset) + 20)
            if kind == 0x0A11 or kind == 0x0400:
                traces += 1
            elif kind == 0x0100 or kind == 0x0102:
                entries += 1
            elif kind == 0x0A0F:
                generations += 1
    return traces, entries, generations


@njit(cache=True)
def _decode(
    data,
    records,
    first,
    is_netlink,
    namespaces,
    file,
    events,
    headers,
    entries,
    generations,
    names,
    scratch,
    copied,
    reach,
):
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
        length = u16(data, start) | (u16(data, start + 2) << 16)
        if length < 20 or length > np.int64(record.captured) - 16:
            malformed += 1
            continue
        end = start + length
        kind = u16(data, start + 4)
        if kind == 0x0A11 or kind == 0x0400:
            row = events[e]
            header = headers[h]
            row.time_ns = record.time_ns
            row.file = file
            row.frame = first + i + 1
            row.namespace = namespaces[record.interface]
            row.family = data[start + 16]
            if kind == 0x0A11:
                state = decode_trace(data, start + 20, end, row, header, names, scratch, copied, reach)
            else:
                state = decode_legacy(data, start + 20, end, row, header, names, reach)
            if state == 1:
                row.header = h
                header.time_ns = record.time_ns
                header.frame = first + i + 1
                header.file = file
                header.namespace = row.namespace
                header.kind = EVALUATION
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
            flags = u16(data, start + 6)
            if kind == 0x0102:
                row.event = 3
            elif flags & 0x2:  # NLM_F_MULTI: an answer to our dump
                row.event = 0
            elif flags & 0x400:  # NLM_F_CREATE
                row.event = 1
            else:
                row.event = 2
            if decode_conntrack(data, start + 20, end, row, original, reply):
                c += 1
            else:
                malformed += 1
                entries[c] = np.zeros(1, entries.dtype)[0]
        elif kind == 0x0A0F:
            generations[g, 0] = record.time_ns
            generations[g, 1] = namespaces[record.interface]
            g += 1
    return e, h, c, g, malformed


def decode_messages(
    capture: CaptureFile,
    file: int,
    namespaces: npt.NDArray[np.uint16],
    reach: npt.NDArray[np.int64] | None = None,
) -> KernelMessages:
    """Decode every kernel message of one capture file.

    `namespaces` gives the namespace index of each of the file's interfaces; `reach` says how many bytes of the
    transport headers count (reach.py; default: all there are). A malformed message is counted and left out.
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
    if is_netlink.any() and capture.records.size:
        table = np.zeros((_NAME_SLOTS, 3), np.uint64)
        scratch = np.zeros(64, np.uint8)
        copied = scratch[:]
        copied.flags.writeable = False
        e, h, c, _, malformed = _decode(
            capture.data, capture.records, capture.first, is_netlink, namespaces, file,
            event_rows, header_rows, entry_rows, generation_rows, table, scratch, copied,
            whole_reach() if reach is None else reach,
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
