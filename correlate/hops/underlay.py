"""Encapsulated packets after decoding: the trace of their outer headers, and where they pass a namespace again.

The hooks of a node see a packet that leaves by a tunnel twice: as itself, then as the datagram around it, of which the
trace shows the outer header only. The captured frame shows both, so it says whose outer header that is.
"""

from copy import copy

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import copied
from ..nodes.topology import Topology


def separate_underlay(sightings: npt.NDArray[np.void], topology: Topology) -> tuple[npt.NDArray[np.void], Topology]:
    """The same, with what shows an outer header in namespaces of its own: the underlay of each.

    There a packet passes the hooks once more, so its way through a namespace and that through the underlay are two
    visits. For the order of hops only.
    """
    outer = sightings["outer"] > 0
    if not outer.any():
        return sightings, topology
    separated = copied(sightings)
    separated["namespace"][outer] += len(topology.namespaces)
    doubled = copy(topology)
    doubled.namespaces = topology.namespaces * 2
    return separated, doubled
