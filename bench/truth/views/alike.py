"""What nothing can tell apart: frames that are byte-equal once what the boxes may change is left out.

Two questions, both answered from the bytes and times of the view alone:

- *same origin*: two frames of the capture as it was given may be one packet already (a mirror, both sides of a router,
  a relay). Pairs of their frames are neither right nor wrong.
- *undeterminable*: packets of equal bytes, in one conversation or in such as have nothing of their own, whose ways
  through the boxes overlap, or of which one was lost, missed or copied: which is which cannot be known.
"""

import struct
from collections import defaultdict

from .layout import ECHOES, PORTS, UDP, inside

NEAR_NS = 2 * 10**9
"""Sightings of one packet in the capture as it was given."""
SLOP_NS = 1_000_000
LEAST_RELAYED = 60
"""Bytes of a datagram that comes back from where it went to: a relay of calls sends on what it gets."""
NO_NAMES = (0, 1)
"""An IP identification that is none: scapy writes 1."""


def masked(layout, data):
    """The bytes of the IP packet without what a router or a translation changes."""
    found = bytearray(data[: layout.end])
    _mask(found, layout)
    if layout.quoted is not None:
        _mask(found, layout.quoted)
    return bytes(found[layout.at :])


def _mask(found, layout):
    at = layout.at
    if layout.version == 4:
        _zero(found, at + 1, 1), _zero(found, at + 8, 1), _zero(found, at + 10, 2)
    else:
        _zero(found, at, 2), _zero(found, at + 7, 1)
    _zero(found, layout.addresses_at, 2 * len(layout.source))
    if layout.ports is not None and layout.protocol in PORTS:
        _zero(found, layout.transport, 4)
    elif layout.kind in ECHOES.get(layout.protocol, ()):
        _zero(found, layout.transport + 4, 2)
    if layout.checksum_at is not None:
        _zero(found, layout.checksum_at, 2)


def _zero(found, at, size):
    size = max(min(size, len(found) - at), 0)
    found[at : at + size] = bytes(size)


def origins(crossing):
    """Frame of the capture -> the first frame that may be the same packet."""
    first, groups = {}, {}
    for number, (layout, record) in enumerate(zip(crossing.layouts, crossing.records, strict=True)):
        first[number] = number
        if layout is None:
            continue
        looks = [(masked(layout, record.data), _sighted_again), (_passport(layout), _routed)]
        inner = inside(layout, record.data)
        if inner is not None:
            looks.append((masked(inner, record.data), _always))
        for key, same in looks:
            for other in reversed(groups.get(key, ())[-8:]):
                if abs(record.time_ns - crossing.records[other].time_ns) > NEAR_NS:
                    break
                if same(layout, crossing.layouts[other]):
                    first[number] = first[other]
                    break
            groups.setdefault(key, []).append(number)
    return first


def _always(_layout, _before):
    """The same packet in a tunnel and in the next one, or out of it."""
    return True


def _has_name(layout):
    return layout.version == 4 and layout.identification not in NO_NAMES


def _sighted_again(layout, before):
    """Equal bytes: the same ends and a name or another distance."""
    same_ends = (layout.source, layout.destination, layout.ports) == (before.source, before.destination, before.ports)
    if same_ends:
        return _has_name(layout) or layout.hops != before.hops
    if layout.protocol == UDP and layout.source == before.destination and layout.length >= LEAST_RELAYED:
        return True
    return _has_name(layout) and layout.hops != before.hops


def _passport(layout):
    """What a middle box that changes more than addresses leaves."""
    return layout.protocol, layout.identification, layout.sequence, layout.payload, layout.kind


def _routed(layout, before):
    return _has_name(layout) and layout.hops != before.hops and layout.offset == before.offset


def undeterminable(view):
    """Packet -> the set (a number) of those it cannot be told from, for the packets that are in one."""
    ways = _ways(view)
    sets = defaultdict(list)
    for packet, way in ways.items():
        sets[way.signature].append(packet)
    own = {ways[members[0]].flow for members in sets.values() if len(members) == 1 and ways[members[0]].complete}
    found, count = {}, 0
    for members in sets.values():
        apart = defaultdict(list)
        for packet in members:
            flow = ways[packet].flow
            apart[flow if flow in own else None].append(packet)
        for rivals in apart.values():
            count += 1
            found |= dict.fromkeys(_overlapping(rivals, ways), count)
    return found


class _Way:
    __slots__ = ("begin", "complete", "end", "flow", "signature")


def _ways(view):
    """Per packet that crosses: when, whether each point saw it once, and its bytes where least was kept."""
    crossing, kind = view.crossing, view.kind
    least = min(kind.snaplen(point) or 1 << 30 for point in range(kind.points))
    found, counts = {}, defaultdict(lambda: defaultdict(int))
    for seen in view.frames:
        if seen.packet is None or seen.direction is None:
            continue
        counts[seen.packet][seen.point] += 1
        way = found.get(seen.packet)
        if way is None:
            one = crossing.sent[seen.origin]
            way = found[seen.packet] = _Way()
            way.begin, way.flow = seen.time_ns, id(one.flow)
            way.signature = _signature(one, crossing.records[seen.origin].data[:least], kind, seen.packet, seen.data)
        way.begin = min(way.begin, seen.time_ns)
        way.end = seen.time_ns
    for seen in view.truth.seen:
        if seen.packet in found:
            way = found[seen.packet]
            way.begin, way.end = min(way.begin, seen.time_ns), max(way.end, seen.time_ns)
    for packet, way in found.items():
        here = counts[packet]
        way.complete = len(here) == kind.points and len(set(here.values())) == 1
    return found


def _signature(one, data, kind, packet, sent):
    boxes = "".join(kind.boxes)
    flow, translated = one.flow, one.flow.client_side == 0
    fixed = (
        flow.client if not translated or "s" not in boxes else None,
        flow.server if not translated or "d" not in boxes else None,
    )
    layout = one.layout
    key = masked(layout, data)
    if packet != one.datagram and layout.version == 4:
        # Sent again, under another identification.
        key = key[:4] + struct.unpack_from("2s", sent, layout.at + 4)[0] + key[6:]
    return key, one.direction, fixed


def _overlapping(packets, ways):
    """Those of equal packets that are under way at once; all, where order does not tell for one is not everywhere."""
    if len(packets) < 2:
        return []
    if not all(ways[packet].complete for packet in packets):
        return packets
    packets = sorted(packets, key=lambda packet: ways[packet].begin)
    found, latest, before = set(), -1, None
    for packet in packets:
        if before is not None and ways[packet].begin < latest + SLOP_NS:
            found |= {before, packet}
        if ways[packet].end > latest:
            latest, before = ways[packet].end, packet
    return found
