"""Captured frames -> SIGHTING rows. What a tunnel carries is the packet; the header around it goes to the OUTER table.

So a packet has the same flow and content inside a tunnel and outside it, and is matched like one that was never in it.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.loads import address, prefetch
from ...kernels.njit import njit
from ...kernels.threads import run_all
from ...pcapng.blocks import LinkType
from ...pcapng.chunks import PER_CHUNK, Chunk, ChunkedFile
from ...pcapng.read import CaptureFile, is_packet_interface
from ...pcapng.rows import copied
from ..schema import OUTER, SIGHTING
from .compared_bytes import WHOLE, whole_reach
from .encapsulation import SCRATCH_ROWS, open_tunnels
from .ip_short_way import dissect_plain
from .observations import Observations, put_together
from .one_frame import dissect_any
from .tunnels import may_be_tunnel, vxlan_at

_PIECE: Final = 1 << 15
"""Records that one core dissects before it takes the next ones."""
_AHEAD: Final = 12
"""Records between the one that is dissected and the one whose bytes are asked for; the memory takes as long."""
_ETHERNET: Final = int(LinkType.ETHERNET)


class _Interfaces(NamedTuple):
    """What is known of each interface of a file."""

    link_types: npt.NDArray[np.int64]
    """-1 for what is no capture point."""
    places: npt.NDArray[np.uint32]
    """Its capture point."""
    namespaces: npt.NDArray[np.uint16]


class _Comparing(NamedTuple):
    """How packets are to be read."""

    reach: npt.NDArray[np.int64]
    """See compared_bytes.py."""
    vxlan: npt.NDArray[np.bool_]
    """See vxlan_at."""


class _Tables(NamedTuple):
    """Where to put what is found."""

    rows: npt.NDArray[np.void]
    """Blank SIGHTING rows, as many as there are packets."""
    outers: npt.NDArray[np.void]
    """Blank OUTER rows, as many."""
    levels: npt.NDArray[np.void]
    """Scratch of open_tunnels."""
    kept: npt.NDArray[np.int64]
    """See Observations."""

    @classmethod
    def around(cls, rows: npt.NDArray[np.void]) -> "_Tables":
        """With blank ones beside these rows."""
        outers, levels = np.zeros(rows.size, OUTER), np.zeros(SCRATCH_ROWS, SIGHTING)
        return cls(rows, outers, levels, np.zeros((2, WHOLE + 1), np.int64))


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


@njit(cache=True, nogil=True)
def _dissect_records(capture, records, first, file, interfaces, comparing, tables):
    """Dissect the packets among RECORD rows, of which the first is number `first` of its file; returns how many rows of
    `tables.outers` that took. `capture`: the bytes of the file.

    In one piece, for what is called here for each packet should not take arrays: each would be counted as in use, with
    two atomic operations (kernels/loads.py).
    """
    data, vxlan = address(capture), address(comparing.vxlan)
    link_types, rows, levels, kept = interfaces.link_types, tables.rows, tables.levels, tables.kept
    reach = (comparing.reach[0], comparing.reach[1])
    count = np.int64(0)  # for numba, the constant 0 would be a type of its own, with kernels of its own
    encapsulated = plain = 0
    whole = reach[0] >= WHOLE
    for i in range(records.size):
        if i + _AHEAD < records.size:
            _fetch_ahead(data, records[i + _AHEAD])
        record = records[i]
        interface = np.int64(record.interface)
        link_type = link_types[interface] if interface < link_types.size else np.int64(-1)
        if link_type < 0:
            continue
        row = rows[count]
        row.time_ns = record.time_ns
        row.frame = first + i + 1
        row.file = file
        row.place = interfaces.places[interface]
        row.namespace = interfaces.namespaces[interface]
        row.direction = record.direction
        start = np.int64(record.offset)
        end = start + np.int64(record.captured)
        count += 1
        if whole and link_type == _ETHERNET and dissect_plain(data, start, end, row, vxlan):
            plain += 1
            continue
        where = dissect_any(data, start, end, np.int64(record.original), link_type, row, reach)
        payload, captured, stop = where
        if payload < 0:
            continue
        version = row.ip_version
        here = captured - payload if captured < stop else np.int64(-1)
        if row.fragment == 0 and may_be_tunnel(data, payload, captured, row, vxlan):
            opened, inside = open_tunnels(
                data, where, rows[count - 1 : count], levels, tables.outers[encapsulated], reach, vxlan
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

    `places` and `namespaces` give the capture point and the namespace of each of the file's interfaces; `reach` says
    how many bytes of the transport headers count (compared_bytes.py; default: all there are); `vxlan_ports`: UDP ports
    of VXLAN alone; `rows`: where to put them, as many blank SIGHTING rows as there are packets. Netlink and snapshot
    frames are left out.
    """
    link_types, pieces = _link_types(capture), _pieces(capture)
    records, interfaces = capture.records, _Interfaces(link_types, places, namespaces)
    comparing = _Comparing(whole_reach() if reach is None else reach, vxlan_at(vxlan_ports))
    guessed = link_types.size > 0 and bool((link_types >= 0).all()) and (rows is None or rows.size == records.size)
    # Where all interfaces are capture points, nearly always each record is a packet; to count them takes a tenth of it.
    ends = [*(piece.start for piece in pieces), records.size] if guessed else _ends(capture, pieces)
    table = np.zeros(ends[-1], SIGHTING) if rows is None else rows

    def dissect(number: int) -> Observations:
        piece, tables = pieces[number], _Tables.around(table[ends[number] : ends[number + 1]])
        first = capture.first + piece.start
        encapsulated = _dissect_records(capture.data, records[piece], first, file, interfaces, comparing, tables)
        return Observations(rows=tables.rows, outers=copied(tables.outers[:encapsulated]), kept=tables.kept)

    found = run_all(dissect, range(len(pieces)))
    if guessed and not all(part.rows["frame"][-1] for part in found):  # a row that is blank: frames count from 1
        ends = _ends(capture, pieces)
        table = np.zeros(ends[-1], SIGHTING)
        found = run_all(dissect, range(len(pieces)))
    return put_together(table, found)


def observations_by_chunk(
    chunked: ChunkedFile,
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
    for chunk in chunked.chunks(records_per_chunk):
        yield chunk, dissect_packets(chunk.capture, file, places, namespaces, reach, vxlan_ports)
