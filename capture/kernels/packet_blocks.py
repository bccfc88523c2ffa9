"""Compiled writing of packets from a ring as enhanced packet blocks (layouts in `layouts.py`)."""

from typing import Final

import numpy as np

from .batch import add_piece, is_full
from .block_head import put_head
from .columns import (
    BATCH_PACKETS,
    LAST_PACKET_NS,
    RING_ETHERNET,
    RING_INTERFACE,
    RING_LEFT,
    RING_NEXT,
    RING_PACKETS,
    RING_WATCHED,
    SINK_BYTES,
    WRITTEN_PACKETS,
)
from .compiled import inlined_njit
from .intake import Intake, Integer, Integers, Sink, Words
from .layouts import (
    ADDRESSES_BYTES,
    DIRECTION_IN,
    DIRECTION_OUT,
    EPB_DATA,
    EPB_FLAGS_HEAD,
    EPB_OPTIONS,
    EPB_TRAILER,
    ETH_P_8021Q,
    OPTIONS_END,
    PACKET_CAPTURED_WORD,
    PACKET_DATA_HALFWORD,
    PACKET_LENGTH_WORD,
    PACKET_NEXT_WORD,
    PACKET_OUTGOING,
    PACKET_STATUS_WORD,
    PACKET_TAG_PROTOCOL_HALFWORD,
    PACKET_TAG_WORD,
    PACKET_TYPE_BYTE,
    TAG_BYTES,
    TP_STATUS_VLAN_TPID_VALID,
    TP_STATUS_VLAN_VALID,
)
from .rings import finish_block, packet_time
from .syscalls import memcpy
from .watching import look_at_packets

_DIRECT_BYTES: Final = 1 << 12  # packets of this length or more are not copied
_OVERHEAD: Final = EPB_DATA + EPB_OPTIONS + EPB_TRAILER


@inlined_njit
def write_packets(
    intake: Intake, sink: Sink, progress: Integers, ring: Integer, until_ns: Integer, begin: Integer, position: Integer
) -> tuple[Integer, Integer]:
    """Write packets of the ring's current block that are not later than `until_ns`, while the batch has room.

    Blocks are put at `position` of the sink; what was put from `begin` on is no piece of the batch yet. Returns both as
    they are then.
    """
    words, rings = intake.words, intake.rings
    packet = rings[ring, RING_NEXT]
    wanted = min(rings[ring, RING_LEFT], sink.packet_limit - progress[WRITTEN_PACKETS] - progress[BATCH_PACKETS])
    count = 0
    while count < wanted and position < SINK_BYTES:
        header = packet >> 2
        time_ns = packet_time(words, packet)
        is_direct = words[header + PACKET_CAPTURED_WORD] >= _DIRECT_BYTES
        if time_ns > until_ns or (is_direct and is_full(progress, position)):
            break
        progress[LAST_PACKET_NS] = time_ns
        begin, position = _write_packet(intake, sink, progress, ring, packet, time_ns, begin, position)
        packet += np.int64(words[header + PACKET_NEXT_WORD])
        count += 1
    if rings[ring, RING_WATCHED]:
        look_at_packets(intake, ring, rings[ring, RING_NEXT], count)
    rings[ring, RING_NEXT] = packet
    rings[ring, RING_LEFT] -= count
    rings[ring, RING_PACKETS] += count
    progress[BATCH_PACKETS] += count
    if count and rings[ring, RING_LEFT] == 0:
        finish_block(rings, ring)
    return begin, position


@inlined_njit
def _write_packet(
    intake: Intake,
    sink: Sink,
    progress: Integers,
    ring: Integer,
    packet: Integer,
    time_ns: Integer,
    begin: Integer,
    position: Integer,
) -> tuple[Integer, Integer]:
    """Write the packet whose tpacket3_hdr is at the arena offset `packet`; the rest is as in `write_packets`."""
    words, header = intake.words, packet >> 2
    captured = np.int64(words[header + PACKET_CAPTURED_WORD])
    data = packet + np.int64(intake.halfwords[(packet >> 1) + PACKET_DATA_HALFWORD])
    is_direct = captured >= _DIRECT_BYTES
    is_tagged = intake.rings[ring, RING_ETHERNET] == 1 and _has_tag(words, packet, captured)
    tag = TAG_BYTES if is_tagged else 0
    length = np.int64(words[header + PACKET_LENGTH_WORD]) + tag
    total = _OVERHEAD + captured + tag + (-captured & 3)
    put_head(sink.words, position >> 2, total, intake.rings[ring, RING_INTERFACE], time_ns, captured + tag, length)
    position += EPB_DATA
    if is_tagged:
        position = _put_tagged_addresses(intake, packet, data, sink, position)
        data += ADDRESSES_BYTES
        captured -= ADDRESSES_BYTES
    address = intake.octets.ctypes.data + data
    if is_direct:
        begin, position = _point_at(sink, progress, address, captured, begin, position)
    else:
        position = _copy(sink, address, captured, position)
    outgoing = intake.octets[packet + PACKET_TYPE_BYTE] == PACKET_OUTGOING
    return begin, _put_end(sink.words, position, total, DIRECTION_OUT if outgoing else DIRECTION_IN)


@inlined_njit
def _has_tag(words: Words, packet: Integer, captured: Integer) -> bool:
    """Whether the kernel took a VLAN tag out that can be put back: its place is behind both addresses."""
    is_there = words[(packet >> 2) + PACKET_STATUS_WORD] & TP_STATUS_VLAN_VALID != 0
    return bool(is_there and captured >= ADDRESSES_BYTES)


@inlined_njit
def _put_tagged_addresses(intake: Intake, packet: Integer, data: Integer, sink: Sink, position: Integer) -> Integer:
    """Write the Ethernet addresses at the arena offset `data` and the tag behind them; returns where they end."""
    memcpy(sink.octets.ctypes.data + position, intake.octets.ctypes.data + data, ADDRESSES_BYTES)
    protocol: Integer = ETH_P_8021Q
    if intake.words[(packet >> 2) + PACKET_STATUS_WORD] & TP_STATUS_VLAN_TPID_VALID:
        protocol = np.int64(intake.halfwords[(packet >> 1) + PACKET_TAG_PROTOCOL_HALFWORD])
    control = np.int64(intake.words[(packet >> 2) + PACKET_TAG_WORD])
    tag = position + ADDRESSES_BYTES
    sink.octets[tag] = protocol >> 8
    sink.octets[tag + 1] = protocol & 0xFF
    sink.octets[tag + 2] = (control >> 8) & 0xFF
    sink.octets[tag + 3] = control & 0xFF
    return tag + TAG_BYTES


@inlined_njit
def _point_at(
    sink: Sink, progress: Integers, address: Integer, length: Integer, begin: Integer, position: Integer
) -> tuple[Integer, Integer]:
    """Make `length` bytes at `address` a piece of the batch, and what is before them; only their padding is written."""
    add_piece(sink, progress, sink.octets.ctypes.data + begin, position - begin)
    add_piece(sink, progress, address, length)
    padding = -length & 3
    sink.words[position >> 2] = 0
    position += 4 if padding else 0
    return position - padding, position


@inlined_njit
def _copy(sink: Sink, address: Integer, length: Integer, position: Integer) -> Integer:
    """Copy `length` bytes from `address` to `position`; returns where they end with their padding."""
    end = position + length + (-length & 3)
    sink.words[(end - 4) >> 2] = 0  # the padding, and for an empty packet no harm
    memcpy(sink.octets.ctypes.data + position, address, length)
    return end


@inlined_njit
def _put_end(blocks: Words, position: Integer, total: Integer, direction: Integer) -> Integer:
    """Write the options, which say the direction, and the end of a block of `total` bytes; returns where it ends."""
    word = position >> 2
    blocks[word] = EPB_FLAGS_HEAD
    blocks[word + 1] = direction
    blocks[word + 2] = OPTIONS_END
    blocks[word + 3] = total
    return position + EPB_OPTIONS + EPB_TRAILER
