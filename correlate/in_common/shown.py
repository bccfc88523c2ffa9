"""What the files of a correlation show, as far as it can be held against each other.

The work is done on sessions (flows/sessions.py), of which there are few beside packets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..clocks.clock import Clock
from ..decode.link_scope import is_link_chatter
from ..flows.connections import Connections
from ..schema import NOTE_ERROR, NOTE_OUTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The columns of a correlation that say what each file shows."""

    sightings: npt.NDArray[np.void]
    """SIGHTING rows."""
    times_ns: npt.NDArray[np.int64]
    """On the reference clock."""
    packet: npt.NDArray[np.int64]
    """Path of each sighting."""
    connections: Connections
    clocks: Sequence[Clock]
    files: Sequence[str]
    file_nodes: Sequence[str]
    """Name and node of each file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """One row per session: what is the same for all its packets."""

    rows: npt.NDArray[np.void]
    """A SIGHTING of each."""
    pair: npt.NDArray[np.uint64]
    """Its address pair: the same for both directions and in every namespace."""
    connection: npt.NDArray[np.int64]
    chatter: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, shown: Shown) -> "SessionFacts":
        """Where a session has others, its example is no ICMP error about it and no outer header around it."""
        session = shown.connections.session
        example = np.zeros(int(session.max(initial=-1)) + 1, np.int64)  # some have no sighting (flows/sessions.py)
        example[session] = np.arange(session.size)
        odd = (shown.sightings["notes"] & (NOTE_ERROR | NOTE_OUTER)) != 0
        if odd[example].any():
            plain = np.flatnonzero(~odd & odd[example][session])
            example[session[plain]] = plain
        rows = shown.sightings.take(example)
        return cls(
            rows=rows,
            pair=np.minimum(rows["flow"], rows["flow_reverse"]),
            connection=shown.connections.connection[example],
            chatter=is_link_chatter(rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The observations of one file, or of all files of one node."""

    name: str
    node: str
    rows: npt.NDArray[np.int64]
    start_ns: int
    end_ns: int
    """Of the first and the last on the reference clock; both 0 where the file gives no times."""
    every: npt.NDArray[np.int64]
    """Its sessions."""
    told: npt.NDArray[np.int64]
    """Those that are more than chatter."""
    packets: npt.NDArray[np.int64]
    """Of each of these."""

    @classmethod
    def of(cls, shown: Shown, sessions: SessionFacts, rows: npt.NDArray[np.int64], name: str, node: str) -> "Group":
        """`rows`: its observations."""
        packets = np.bincount(shown.connections.session[rows], minlength=sessions.pair.size)
        every = np.flatnonzero(packets)
        told = every[~sessions.chatter[every]]
        times = shown.times_ns[rows[shown.sightings["time_ns"][rows] != 0]]  # simple packet blocks have no time
        return cls(
            name=name, node=node, rows=rows, every=every, told=told, packets=packets[told],
            start_ns=int(times.min()) if times.size else 0, end_ns=int(times.max()) if times.size else 0,
        )  # fmt: skip
