"""Captured frames -> SIGHTING rows. What a tunnel carries is the packet; the header around it goes to the OUTER table.

So a packet has the same flow and content inside a tunnel and outside it, and is matched like one that was never in it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.loads import address, be32, load8, prefetch
from ...kernels.njit import njit
from ...kernels.threads import run_all
from ...pcapng.blocks import LinkType
from ...pcapng.read import CaptureFile, is_packet_interface
from ...pcapng.stream import PER_CHUNK, CaptureStream, Chunk
from ..arrays.hashing import hash_bytes
from ..protocols import ETHERTYPE_ARP, ETHERTYPE_ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6
from ..schema import NOTE_CUT, OUTER, SIGHTING
from .compared_bytes import WHOLE, whole_reach
from .flow_columns import MAPPED, set_flow
from .ip import dissect_network
from .ip_short_way import dissect_plain
from .link_layer import ethernet_start, network_start
from .tunnels import Tunnel, find_tunnel, may_be_tunnel, vxlan_at

_MOST_LEVELS: Final = 4
"""Tunnels within each other that are opened; what is deeper stays closed."""
_PIECE: Final = 1 << 15
"""Records that one core dissects before it takes the next ones."""
_ETHERNET: Final = int(LinkType.ETHERNET)
_NO_TUNNEL: Final = int(Tunnel.NONE)
_ARP_BYTES: Final = 28
_IPV4_BYTES: Final = 4
"""An ARP packet between IPv4 addresses has so many, and says that theirs have so many."""
_OTHER_BYTES: Final = 64
"""By which a frame is known that is not IP."""
_AHEAD: Final = 12
"""Records between the one that is dissected and the one whose bytes are asked for; the memory takes as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """The captured packets of one or more files."""

    rows: npt.NDArray[np.void]
    """SIGHTING rows, in file order. `outer` is a row of `outers`, from 1."""
    outers: npt.NDArray[np.void]
    """OUTER rows: the outermost header of each encapsulated packet."""
    kept: npt.NDArray[np.int64]
    """Packets by IP version and the bytes kept of their transport headers, see reach.py."""
    table: npt.NDArray[np.void] | None = None
    """SIGHTING rows that begin with `rows`, where there is room behind them."""

    def and_behind(self, more: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """`rows` and SIGHTING rows behind them as one table: without a copy of `rows` where there is room."""
        size = self.rows.size + more.size
        if more.size == 0:
            return self.rows
        if self.table is None or self.table.size < size:
            return np.concatenate([self.rows, more])
        self.table[self.rows.size : size] = more
        return self.table[:size]


@njit(cache=True)
def _dissect_other(data, at, end, row, original):
    """A frame that is not IP: ARP by its addresses (RFC 826), anything else by its first bytes."""
    row.length = original
    if row.ethertype == ETHERTYPE_ARP and at + _ARP_BYTES <= end and load8(data, at + 5) == _IPV4_BYTES:
        row.source_low = MAPPED | np.uint64(be32(data, at + 14))
        row.destination_low = MAPPED | np.uint64(be32(data, at + 24))
        end = at + _ARP_BYTES
    # Not IP, so it never leaves its link by way of a router: the kind in place of the protocol.
    kind = np.uint64(row.ethertype) << np.uint64(16)
    set_flow(row, kind, np.uint64(0), row.source_low, np.uint64(0), row.destination_low, 0, 0)
    row.content = hash_bytes(data, at, min(at + _OTHER_BYTES, end), kind)


@njit(cache=True)
def _dissect_inner(data, at, end, stop, kind, row, reach):
    """The packet in a tunnel; returns what dissect_network does, with the first -1 when it cannot be read and `at` for
    what is not IP."""
    network = ethernet_start(data, at, end, row) if kind == ETHERTYPE_ETHERNET else at
    if kind != ETHERTYPE_ETHERNET:
        row.ethertype = kind
    if row.ethertype != ETHERTYPE_IPV4 and row.ethertype != ETHERTYPE_IPV6:
        _dissect_other(data, network, end, row, stop - at)
        return np.int64(-2), end, stop
    return dissect_network(data, network, end, row, reach)


@njit(cache=True)
def _descend(data, at, end, stop, rows, levels, outer, reach, vxlan):
    """Put the innermost packet of a tunnel in the place of rows[0] and what is around it into `outer`.

    Arguments behind `data` as dissect_network returned them. `levels`: scratch of SIGHTING rows, the last one blank.
    Returns whether it is one that can be read, and how many bytes of the innermost datagram's payload were captured, -1
    when all.
    """
    deepest = levels.size - 2
    levels[0] = rows[0]
    depth = 0
    cut = np.int64(-1)
    while depth < deepest:
        kind, key, inner, ethertype = find_tunnel(data, at, end, stop, levels[depth], vxlan)
        if kind == _NO_TUNNEL:
            break
        levels[depth + 1] = levels[deepest + 1]
        row = levels[depth + 1]
        at, end, stop = _dissect_inner(data, inner, end, stop, ethertype, row, reach)
        if at == -1 or row.notes & np.uint8(NOTE_CUT):
            cut = end - at if at >= 0 else cut
            break
        if depth == 0:
            outer.kind = kind
            outer.key = key
        depth += 1
        if at < 0:
            break
    if depth == 0:
        return False, cut
    around = levels[0]
    outer.levels = depth
    outer.namespace = around.namespace
    outer.protocol = around.protocol
    outer.source_high = around.source_high
    outer.source_low = around.source_low
    outer.destination_high = around.destination_high
    outer.destination_low = around.destination_low
    outer.source_port = around.source_port
    outer.destination_port = around.destination_port
    outer.ip_version = around.ip_version
    outer.flow = around.flow
    outer.content = around.content
    rows[0] = levels[depth]
    row = rows[0]
    row.time_ns = around.time_ns
    row.frame = around.frame
    row.file = around.file
    row.place = around.place
    row.namespace = around.namespace
    row.direction = around.direction
    return True, end - at if at >= 0 and end < stop else np.int64(-1)


@njit(cache=True, nogil=True)
def _count_packets(records, link_types):
    """How many records belong to capture points."""
    count = 0
    for i in range(records.size):
        interface = records[i].interface
        count += interface < np.uint32(link_types.size) and link_types[interface] >= 0
    return count


@njit(cache=True, inline="always")
def _fetch_ahead(data, record):
    """Have the bytes of a packet in the cache that will be read of it: headers, and both ends of the payload."""
    at = np.int64(record.offset)
    size = np.int64(record.captured)
    prefetch(data, at)
    prefetch(data, at + 64)
    if size > 128:
        prefetch(data, at + 128)
        prefetch(data, at + size - 32)
        prefetch(data, at + size - 1)


@njit(cache=True)
def _dissect_any(data, start, end, original, link_type, row, reach):
    """Dissect the frame data[start:end], whatever it is. Returns what dissect_network does."""
    at = network_start(data, start, end, link_type, row)
    payload, captured, stop = np.int64(-1), end, end
    if row.ethertype == ETHERTYPE_IPV4 or row.ethertype == ETHERTYPE_IPV6:
        payload, captured, stop = dissect_network(data, at, end, row, reach)
    if payload < 0:
        _dissect_other(data, at, end, row, original)
    return payload, captured, stop


@njit(cache=True, nogil=True)
def _dissect_records(
    capture, records, first, link_types, places, namespaces, file, out, outers, levels, reaches, vxlan_ports, kept
):
    """Dissect the packets among RECORD rows, of which the first is number `first` of its file, into `out`; returns how
    many rows of `outers` that took. `capture`: the bytes of the file."""
    # What is called for each packet takes no arrays (loads.py).
    data, vxlan = address(capture), address(vxlan_ports)
    reach = (reaches[0], reaches[1])
    count = np.int64(0)  # for numba, the constant 0 would be a type of its own, with kernels of its own
    encapsulated = 0
    plain = 0
    whole = reach[0] >= WHOLE
    for i in range(records.size):
        if i + _AHEAD < records.size:
            _fetch_ahead(data, records[i + _AHEAD])
        record = records[i]
        interface = np.int64(record.interface)
        link_type = link_types[interface] if interface < link_types.size else np.int64(-1)
        if link_type < 0:
            continue
        row = out[count]
        row.time_ns = record.time_ns
        row.frame = first + i + 1
        row.file = file
        row.place = places[interface]
        row.namespace = namespaces[interface]
        row.direction = record.direction
        start = np.int64(record.offset)
        end = start + np.int64(record.captured)
        count += 1
        if whole and link_type == _ETHERNET and dissect_plain(data, start, end, row, vxlan):
            plain += 1
            continue
        payload, captured, stop = _dissect_any(data, start, end, np.int64(record.original), link_type, row, reach)
        if payload < 0:
            continue
        version = row.ip_version
        here = captured - payload if captured < stop else np.int64(-1)
        if row.fragment == 0 and may_be_tunnel(data, payload, captured, row, vxlan):
            opened, inside = _descend(
                data, payload, captured, stop, out[count - 1 : count], levels, outers[encapsulated], reach, vxlan
            )
            version = row.ip_version
            if opened:
                encapsulated += 1
                row.outer = encapsulated
                here = inside
            elif inside >= 0:  # too little with this reach
                version = levels[1].ip_version
                here = inside
        if version != 0:
            kept[np.int64(version == 6), here if 0 <= here < WHOLE else WHOLE] += 1
    kept[0, WHOLE] += plain
    return encapsulated


@njit(cache=True, nogil=True)
def number_outers(rows, before):
    """Count the rows of the OUTER table from the beginning of it, `before` rows above those of this piece."""
    for i in range(rows.size):
        if rows[i].outer:
            rows[i].outer += before


def _link_types(capture: CaptureFile) -> npt.NDArray[np.int64]:
    """Per interface of a file its link type, -1 for what is no capture point."""
    return np.array([i.link_type if is_packet_interface(i) else -1 for i in capture.interfaces], np.int64)


def _ends(capture: CaptureFile, pieces: list[slice]) -> list[int]:
    """How many packets there are up to the end of each piece of the records, from 0."""
    records, link_types = capture.records, _link_types(capture)
    return np.cumsum([0, *run_all(lambda piece: _count_packets(records[piece], link_types), pieces)]).tolist()


def _pieces(capture: CaptureFile) -> list[slice]:
    return [slice(at, at + _PIECE) for at in range(0, capture.records.size, _PIECE)]


def count_packets(capture: CaptureFile) -> int:
    """How many rows dissect_packets makes of a file."""
    return _ends(capture, _pieces(capture))[-1]


def dissect_packets(
    capture: CaptureFile,
    file: int,
    places: npt.NDArray[np.uint32],
    namespaces: npt.NDArray[np.uint16],
    reach: npt.NDArray[np.int64] | None = None,
    vxlan_ports: Iterable[int] = (),
    rows: npt.NDArray[np.void] | None = None,
) -> Observations:
    """All captured packets of one file, in file order.

    `places` and `namespaces` give the capture point and the namespace of each of the file's interfaces; `reach`
    says how many bytes of the transport headers count (reach.py; default: all there are); `vxlan_ports`: UDP ports of
    VXLAN alone; `rows`: where to put them, as many blank SIGHTING rows as there are packets. Netlink and snapshot
    frames are left out.
    """
    link_types, pieces = _link_types(capture), _pieces(capture)
    records, vxlan = capture.records, vxlan_at(vxlan_ports)
    reach = whole_reach() if reach is None else reach
    guessed = link_types.size > 0 and bool((link_types >= 0).all()) and (rows is None or rows.size == records.size)
    # Where all interfaces are capture points, nearly always each record is a packet; to count them takes a tenth of it.
    ends = [*(piece.start for piece in pieces), records.size] if guessed else _ends(capture, pieces)
    table = np.zeros(ends[-1], SIGHTING) if rows is None else rows

    def dissect(number: int) -> Observations:
        piece, out = pieces[number], table[ends[number] : ends[number + 1]]
        outers, levels = np.zeros(out.size, OUTER), np.zeros(_MOST_LEVELS + 2, SIGHTING)
        kept = np.zeros((2, WHOLE + 1), np.int64)
        encapsulated = _dissect_records(
            capture.data, records[piece], capture.first + piece.start, link_types, places, namespaces, file,
            out, outers, levels, reach, vxlan, kept,
        )  # fmt: skip
        return Observations(rows=out, outers=outers[:encapsulated].copy(), kept=kept)

    found = run_all(dissect, range(len(pieces)))
    if guessed and not all(part.rows["frame"][-1] for part in found):  # a row that is blank: frames count from 1
        ends = _ends(capture, pieces)
        table = np.zeros(ends[-1], SIGHTING)
        found = run_all(dissect, range(len(pieces)))
    return put_together(table, found)


def put_together(
    rows: npt.NDArray[np.void], parts: list[Observations], table: npt.NDArray[np.void] | None = None
) -> Observations:
    """Parts of one table of observations as the whole (`rows`, of which theirs are slices, in order). `table`: see
    Observations."""
    before = 0
    for part in parts:
        if before and part.outers.size:
            number_outers(part.rows, before)
        before += part.outers.size
    return Observations(
        rows=rows,
        outers=np.concatenate([np.empty(0, OUTER), *(p.outers for p in parts)]),
        kept=sum((p.kept for p in parts), np.zeros((2, WHOLE + 1), np.int64)),
        table=table,
    )


def stream_observations(
    stream: CaptureStream,
    file: int,
    places: npt.NDArray[np.uint32],
    namespaces: npt.NDArray[np.uint16],
    reach: npt.NDArray[np.int64] | None = None,
    vxlan_ports: Iterable[int] = (),
    records_per_chunk: int = PER_CHUNK,
) -> Iterator[tuple[Chunk, Observations]]:
    """The same, a chunk of the file at a time: its records, and what dissect_packets makes of them.

    `frame` is that of the whole file; `outer` is a row of the `outers` of the chunk. Put together with `concatenate`,
    the chunks are what dissect_packets gives for all of the file. What needs other packets of a file (fragments.py)
    is left to the caller.
    """
    for chunk in stream.chunks(records_per_chunk):
        yield chunk, dissect_packets(chunk.capture, file, places, namespaces, reach, vxlan_ports)


def concatenate(files: list[Observations]) -> Observations:
    """The packets of all files as one table."""
    if len(files) == 1:
        return files[0]
    rows = np.concatenate([np.empty(0, SIGHTING), *(f.rows for f in files)])
    ends = np.cumsum([0, *(f.rows.size for f in files)]).tolist()
    slices = [rows[start:end] for start, end in pairwise(ends)]
    return put_together(rows, [replace(f, rows=part) for f, part in zip(files, slices, strict=True)])
