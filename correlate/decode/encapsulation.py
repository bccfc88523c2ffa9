"""Compiled opening of tunnels: the innermost packet takes the place of its frame, and what is around it stands in a row
of the OUTER table."""

from typing import Final

import numpy as np

from ...kernels.njit import njit
from ..schema import NOTE_CUT
from .one_frame import dissect_inner
from .tunnels import Tunnel, find_tunnel

MOST_LEVELS: Final = 4
"""Tunnels within each other that are opened; what is deeper stays closed."""
SCRATCH_ROWS: Final = MOST_LEVELS + 2
"""A row for the frame, one for each level, and a blank one."""
_NO_TUNNEL: Final = int(Tunnel.NONE)
_CUT: Final = np.uint8(NOTE_CUT)


@njit(cache=True)
def open_tunnels(data, where, rows, levels, outer, reach, vxlan):
    """Put the innermost packet of a tunnel in the place of rows[0] and what is around it into `outer`.

    `where`: what dissect_network returned for rows[0]; `levels`: SCRATCH_ROWS SIGHTING rows, the last one blank.
    Returns whether it is one that can be read, and how many bytes of the innermost datagram's payload were captured, -1
    when all.
    """
    at, end, stop = where
    blank = levels.size - 1
    levels[0] = rows[0]
    depth = 0
    cut = np.int64(-1)
    while depth < blank - 1:
        kind, key, inner, ethertype = find_tunnel(data, at, end, stop, levels[depth], vxlan)
        if kind == _NO_TUNNEL:
            break
        levels[depth + 1] = levels[blank]
        row = levels[depth + 1]
        at, end, stop = dissect_inner(data, inner, end, stop, ethertype, row, reach)
        if at == -1 or row.notes & _CUT:
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
    _describe(outer, levels[0], depth)
    _move_inside(rows, levels, depth)
    return True, end - at if at >= 0 and end < stop else np.int64(-1)


@njit(cache=True, forceinline=True)
def _describe(outer, around, depth):
    """The outermost header, but for what kind of tunnel it is of."""
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
    outer.ttl = around.ttl
    outer.flow = around.flow
    outer.content = around.content


@njit(cache=True, forceinline=True)
def _move_inside(rows, levels, depth):
    """The innermost packet, with what the capture file says of its frame."""
    around = levels[0]
    rows[0] = levels[depth]
    row = rows[0]
    row.time_ns = around.time_ns
    row.frame = around.frame
    row.file = around.file
    row.place = around.place
    row.namespace = around.namespace
    row.direction = around.direction
