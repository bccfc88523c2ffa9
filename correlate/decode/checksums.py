"""Compiled check of the checksums of captured frames, for the few of which somebody asks.

No stage before the findings needs them, and adding up all bytes of all packets would read all of a file from memory,
where decoding reads the ends of each packet. RFC 1071 (the sum), 791 (IPv4 header), 9293 (TCP), 768 and 8200, 8.1
(UDP), 792 and 4443 (ICMP).
"""

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.loads import address, be16, load8
from ...kernels.njit import njit
from ...pcapng.capture_file import Interface
from ..protocols import ETHERTYPE_ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ICMP, ICMPV6, TCP, UDP
from ..schema import SIGHTING
from .encapsulation import MOST_LEVELS
from .ip import dissect_network
from .link_layer import ethernet_start, network_start
from .tunnels import Tunnel, find_tunnel, vxlan_at


class Sum(IntEnum):
    """What a checksum says."""

    UNKNOWN = 0
    """There is none, or not all of what it is of was captured, or it is of several packets that were put together."""
    RIGHT = 1
    OFFLOADED = 2
    """The sum of the pseudo header, or nothing: the device was to fill it in, or another one had done so before."""
    WRONG = 3


SUMS: Final = np.dtype([("header", "u1"), ("transport", "u1"), ("outer", "u1")])
"""Sum of each kind of one frame: of its IPv4 headers, of what the innermost carries, of UDP around it. Of several the
one that says most against it."""
SUMMED: Final = (TCP, UDP, ICMP, ICMPV6)
"""Protocols whose checksum is known here."""
MOST_BYTES: Final = 1500
"""Of a datagram, of which the sum says something: longer ones may be several that were put together (GRO), or are to
be cut (GSO)."""

_UNKNOWN, _RIGHT, _OFFLOADED, _WRONG = (np.uint8(int(one)) for one in Sum)
_FULL: Final = np.uint64(0xFFFF)
_NO_TUNNEL: Final = int(Tunnel.NONE)
_IPV4_BYTES, _IPV6_BYTES, _UDP_BYTES, _TCP_BYTES = 20, 40, 8, 20
_NOT_THERE: Final = -1


@njit(cache=True)
def _added(data, at, stop):
    """The sum of the 16-bit words of data[at:stop], a last byte with a zero behind it; not folded."""
    total = np.uint64(0)
    while at + 2 <= stop:
        total += np.uint64(be16(data, at))
        at += 2
    if at < stop:
        total += np.uint64(load8(data, at)) << np.uint64(8)
    return total


@njit(cache=True)
def _same(one, other):
    """Two ones' complement sums, in which 0 and 0xffff are one number."""
    return one % _FULL == other % _FULL


@njit(cache=True)
def _header_sum(data, at, end):
    """Sum of an IPv4 header, all of which is there."""
    size = np.int64(load8(data, at) & 15) * 4
    length = np.int64(be16(data, at + 2))
    if size < _IPV4_BYTES or at + size > end or length < size or length > MOST_BYTES:
        return _UNKNOWN
    if _same(_added(data, at, at + size), _FULL):
        return _RIGHT
    return _OFFLOADED if be16(data, at + 10) == 0 else _WRONG


@njit(cache=True)
def _place_of_sum(protocol):
    """Where in a transport header the checksum stands."""
    if protocol == TCP:
        return 16
    if protocol == UDP:
        return 6
    return 2 if protocol in (ICMP, ICMPV6) else _NOT_THERE


@njit(cache=True)
def _transport_sum(data, network, payload, end, stop, row):
    """Sum of what the datagram at `network` carries; the rest as dissect_network gives it."""
    place = _place_of_sum(row.protocol)
    plain = payload - network == (_IPV4_BYTES if row.ip_version == 4 else _IPV6_BYTES)
    least = _TCP_BYTES if row.protocol == TCP else _UDP_BYTES
    # Behind options and extension headers another address may be the one that is meant.
    if place < 0 or not plain or row.fragment != 0 or row.length > MOST_BYTES or end < stop or stop - payload < least:
        return _UNKNOWN
    field = np.uint64(be16(data, payload + place))
    if row.protocol == UDP:
        said = np.int64(be16(data, payload + 4))
        if field == 0 or said < _UDP_BYTES or payload + said > stop:
            return _UNKNOWN
        stop = payload + said
    total, addresses = _added(data, payload, stop), np.uint64(0)
    if row.protocol != ICMP:
        first, last = (network + 12, network + 20) if row.ip_version == 4 else (network + 8, network + 40)
        addresses = _added(data, first, last) + np.uint64(row.protocol)
    length = np.uint64(stop - payload) if row.protocol != ICMP else np.uint64(0)
    if _same(total + addresses + length, _FULL):
        return _RIGHT
    # Before a super-packet is cut, the sum may be without the length.
    left = field == 0 or (row.protocol != ICMP and (_same(field, addresses + length) or _same(field, addresses)))
    return _OFFLOADED if left else _WRONG


@njit(cache=True)
def _check_frame(data, frame, wanted, levels, reach, vxlan, out):
    """The sums of one frame, `frame` = (its start, its end, its link type), whose innermost datagram is the SIGHTING
    row `wanted`. `levels`: blank rows."""
    at, end, link_type = frame
    network = network_start(data, at, end, link_type, levels[0])
    for level in range(levels.size):
        row = levels[level]
        if row.ethertype != ETHERTYPE_IPV4 and row.ethertype != ETHERTYPE_IPV6:
            return
        payload, captured, stop = dissect_network(data, network, end, row, reach)
        if payload < 0:
            return
        if row.ip_version == 4:
            out.header = max(out.header, _header_sum(data, network, captured))
        found = _transport_sum(data, network, payload, captured, stop, row)
        kind, _, inner, ethertype = find_tunnel(data, payload, captured, stop, row, vxlan)
        if kind == _NO_TUNNEL or level + 1 == levels.size:
            same = row.protocol == wanted.protocol and row.length == wanted.length and row.ip_id == wanted.ip_id
            out.transport = found if same and row.ip_version == wanted.ip_version else _UNKNOWN
            break
        out.outer = max(out.outer, found)
        network, end = inner, captured
        if ethertype == ETHERTYPE_ETHERNET:
            network = ethernet_start(data, inner, end, levels[level + 1])
        else:
            levels[level + 1].ethertype = ethertype
    # The sum around it is of the packet as it will be once it has been filled in.
    if out.transport == _OFFLOADED:
        out.outer = _UNKNOWN


@njit(cache=True)
def _check(capture, records, link_types, wanted, comparing, levels, out):
    # Addresses in place of arrays, as in frames.py: so the kernels that are compiled for it do here, too.
    data, vxlan = address(capture), address(comparing[1])
    reach = (comparing[0][0], comparing[0][1])
    last = levels.size - 1
    for i in range(records.size):
        for level in range(last):
            levels[level] = levels[last]
        record = records[i]
        start = np.int64(record.offset)
        frame = (start, start + np.int64(record.captured), link_types[record.interface])
        _check_frame(data, frame, wanted[i], levels[:last], reach, vxlan, out[i])


def check_sums(
    data: npt.NDArray[np.uint8],
    records: npt.NDArray[np.void],
    interfaces: list[Interface],
    wanted: npt.NDArray[np.void],
    reach: npt.NDArray[np.int64],
) -> npt.NDArray[np.void]:
    """SUMS of frames of one file. `records`: RECORD rows; `wanted`: the SIGHTING row of each; `reach`: with which these
    were made (compared_bytes.py)."""
    found = np.zeros(records.size, SUMS)
    link_types = np.array([interface.link_type for interface in interfaces], np.int64)
    _check(data, records, link_types, wanted, (reach, vxlan_at(())), np.zeros(MOST_LEVELS + 2, SIGHTING), found)
    return found
