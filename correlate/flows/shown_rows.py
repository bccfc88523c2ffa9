"""What the votes need of the sightings of one content, side by side: votes.py, views.py."""

from typing import Final

import numpy as np

from ...kernels.njit import njit
from ..protocols import TCP
from .servers import destination_key, source_key

SHOWN: Final = np.dtype(
    [
        ("time_ns", "i8"),
        ("flow", "u8"),
        ("source", "u8"),  # end_key
        ("destination", "u8"),
        ("payload", "u8"),
        ("end", "i8"),
        ("end_and_place", "i8"),
        ("clock", "i8"),
        ("place", "u4"),
        ("residue", "u2"),
        ("protocol", "u1"),
        ("ttl", "u1"),
        ("ip_version", "u1"),
        ("identified", "u1"),  # an IP id that is not 0
        ("repeated", "u1"),
        ("numbered", "u1"),  # a sequence number of TCP that is not 0
        ("acknowledges", "u1"),
        ("uninformed", "u1"),
    ],
    align=True,
)
"""What matters of a sighting of one content. Those of one content stand together, and kernels take no more than that:
numba passes each array of a named tuple on in seven words, and counts who uses it."""


@njit(cache=True, forceinline=True)
def gather(voters, rows, shown):
    """Fill them in for these rows; `voters`: see votes.py."""
    for i in range(rows.size):
        row, one = voters.sightings[rows[i]], shown[i]
        one.time_ns = voters.times_ns[rows[i]]
        one.flow = row.flow
        one.source = source_key(row)
        one.destination = destination_key(row)
        one.payload = row.payload
        one.end = voters.ends[rows[i]]
        one.end_and_place = voters.views[rows[i]]
        one.clock = voters.clock[row.namespace]
        one.place = row.place
        one.residue = row.residue
        one.identified = row.ip_id != 0
        one.protocol = row.protocol
        one.ttl = row.ttl
        one.ip_version = row.ip_version
        one.repeated = voters.repeated[rows[i]]
        one.numbered = row.protocol == TCP and row.sequence != 0
        one.acknowledges = row.protocol == TCP and row.acknowledgment != 0
        one.uninformed = voters.uninformed[row.namespace]
