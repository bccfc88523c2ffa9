"""Trace messages for the connections of synthesis.py: those that the kernels of pcaps/docker-demo sent for a SYN and
its answer, with the addresses, ports and numbers of other connections in them.

So chains, rules, verdicts and the order of the messages are real; docker-demo has the same addresses and translations.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ttrace.pcapng.blocks import NETLINK_HEADER, LinkType
from ttrace.pcapng.read import read_capture

DEMO: Final = Path(__file__).parent.parent / "pcaps" / "docker-demo"
_TRACE: Final = 0x0A11
_ID, _NETWORK, _TRANSPORT, _CONNTRACK_ID = 6, 8, 9, 18
_CONTAINER: Final = bytes((172, 17, 0, 2))
_SYN, _ACK = 2, 0x10


@dataclass(frozen=True)
class Message:
    """One trace message of the recording."""

    data: bytes
    attributes: dict[int, tuple[int, int]]
    """Kind to where its value begins and ends."""

    def value(self, kind):
        begin, end = self.attributes.get(kind, (0, 0))
        return self.data[begin:end]

    @property
    def flags(self):
        """TCP flags of the header, None without one."""
        header = self.value(_TRANSPORT)
        return header[13] if len(header) == 20 else None


def recorded_messages(node):
    """The trace messages of a node's root namespace: (of the first SYN, of the SYN-ACK after it)."""
    capture = read_capture(DEMO / f"{node}.pcapng")
    root = next(i for i, f in enumerate(capture.interfaces) if f.link_type == LinkType.NETLINK)
    runs = []
    for record in capture.records[capture.records["interface"] == root]:
        begin = int(record["offset"]) + len(NETLINK_HEADER)
        data = bytes(capture.data[begin : begin + int(record["captured"]) - len(NETLINK_HEADER)])
        if struct.unpack_from("<H", data, 4)[0] != _TRACE:
            continue
        message = Message(data, _attributes(data))
        if message.flags is not None and (not runs or message.flags != runs[-1][0].flags):
            runs.append([])
        runs[-1].append(message)
    return runs[0], runs[1]


def _attributes(data):
    at, found = 20, {}
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("<HH", data, at)
        found[kind & 0x7FFF] = (at + 4, at + length)
        at += (length + 3) & ~3
    return found


def trace_blocks(node, interface, connections, times_ns):
    """The pcapng blocks of all messages for the SYNs of `connections`, and for their SYN-ACKs: two arrays of bytes, a
    row per connection.

    `interface` is that of the messages; `times_ns`: when the node saw the SYNs, and the SYN-ACKs.
    """
    return [
        _blocks(run, interface, connections, when, answer)
        for answer, (run, when) in enumerate(zip(recorded_messages(node), times_ns, strict=True))
    ]


def messages_per_connection(node):
    return sum(map(len, recorded_messages(node)))


def _blocks(run, interface, connections, when, answer):
    blocks = [_block(message.data, interface) for message in run]
    starts = np.cumsum([0, *map(len, blocks)])
    rows = np.tile(np.frombuffer(b"".join(blocks), np.uint8), (connections.size, 1))
    for place, (start, message) in enumerate(zip(starts, run, strict=False)):
        time_ns = when + 2_000 + place * 50
        _put(rows, start + 12, "<u4", time_ns >> 32)
        _put(rows, start + 16, "<u4", time_ns & 0xFFFFFFFF)
        _vary(rows, int(start) + 28 + len(NETLINK_HEADER), message, connections, answer)
    return rows


def _block(data, interface):
    captured = NETLINK_HEADER + data
    padded = captured + bytes(-len(captured) % 4)
    length = 32 + len(padded)
    head = struct.pack("<7I", 6, length, interface, 0, 0, len(captured), len(captured))
    return head + padded + struct.pack("<I", length)


def _vary(rows, start, message, connections, answer):
    """The numbers of synthesis.py's packets: step 0 of a connection is its SYN, step 1 the answer."""
    for kind in (_ID, _CONNTRACK_ID):
        if kind in message.attributes:
            numbers = connections + 1 if kind == _CONNTRACK_ID else connections * 2 + answer + 1
            _put(rows, start + message.attributes[kind][0], ">u4", numbers)
    if _NETWORK not in message.attributes:
        return
    network, transport = start + message.attributes[_NETWORK][0], start + message.attributes[_TRANSPORT][0]
    header = message.value(_NETWORK)
    _put(rows, network + 2, ">u2", np.full(connections.size, 140))
    _put(rows, network + 4, ">u2", connections * 31 + answer & 0xFFFF)
    _put(rows, network + 6, ">u2", np.zeros(connections.size))
    _put(rows, network + 10, ">u2", np.zeros(connections.size))
    for at in (12, 16):
        if header[at : at + 4] == _CONTAINER:
            _put(rows, network + at, ">u4", int.from_bytes(_CONTAINER) + connections // 40_000)
    _put(rows, transport + 2 * answer, ">u2", 20_000 + connections % 40_000)
    _put(rows, transport + 4, ">u4", connections * 1_000_003 + answer * 100 & 0xFFFFFFFF)
    _put(rows, transport + 8, ">u4", (connections * 7_000_003 + 100 if answer else connections * 0) & 0xFFFFFFFF)
    _put(rows, transport + 12, ">u2", np.full(connections.size, 0x5012 if answer else 0x5002))
    _put(rows, transport + 14, ">u2", np.full(connections.size, 502))
    _put(rows, transport + 16, ">u2", np.zeros(connections.size))


def _put(rows, at, kind, values):
    size = np.dtype(kind).itemsize
    rows[:, at : at + size] = np.asarray(values).astype(kind).view(np.uint8).reshape(-1, size)
