"""Where frames show the packets of a connection, for each of its two ways."""

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..result.correlation import Correlation

Mask = npt.NDArray[np.bool_]


def points_seen(result: Correlation, frames: int, own: Mask, forward: Mask) -> tuple[Mask, Mask]:
    """(connections, points) for packets of the client, and of the server. `frames`: how many of the first sightings
    are frames; `own`, `forward`: per path, whether it counts, and goes from the client to the server."""
    seen = np.zeros((2, result.connections.count, max(len(result.topology.points), 1)), np.bool_)
    _note_seen(result.sightings[:frames], result.packets.packet, own, forward, result.connection_of_path, seen)
    return seen[0], seen[1]


@njit(cache=True, nogil=True)
def _note_seen(sightings, packet, own, forward, connection, seen):
    """Mark, of packets from the client and from the server, each connection and point that showed one: (2, connections,
    points). `own`, `forward`, `connection`: of each packet."""
    for i in range(sightings.size):
        path = packet[i]
        if own[path]:
            seen[0 if forward[path] else 1, connection[path], sightings[i].place] = True
