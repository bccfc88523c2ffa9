"""Where the time of a connection went: its handshake, what either side waited for the other, what was sent again.

Of each packet with data two times count: when it was first seen, near its sender, and when it was last seen, near its
receiver. What lies between a request's last sighting and its answer's first is the server's, and whatever is behind the
last point that saw them; what lies between an answer's last sighting and the next request's first is the client's.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..protocols import TCP, TCP_ACK, TCP_RST, TCP_SYN
from ..result.correlation import Correlation
from .steps import Steps

TIMELINE: Final = np.dtype(
    [
        ("total", "i8"),  # from the first SYN, or else from the first data, to the last data; -1 without data both ways
        ("handshake", "i8"),  # from the first SYN to the first packet of the client behind it
        ("server", "i8"),  # from requests to their answers
        ("client", "i8"),  # from answers to the next requests, and from the handshake to the first
        ("way", "i8"),  # of answers and of the requests behind them, between the captured points
        ("sending", "i8"),  # between data of one side
        ("again", "i8"),  # until data was sent again that had been sent before
    ]
)
"""Nanoseconds on the reference clock; the parts add up to the total."""
LONG_NS: Final = 1_000_000_000
"""What takes so long, somebody has noticed."""
PLACES: Final = ("handshake", "server", "client", "way", "sending", "again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Of one connection, in ns."""

    total: int
    handshake: int
    server: int
    client: int
    way: int
    sending: int
    again: int

    @property
    def longest_ns(self) -> int:
        """What the place took that holds most of the time. What the client does not ask for, nobody waits for."""
        return max(int(getattr(self, name)) for name in PLACES if name != "client")


def timeline_of(row: np.void) -> Timeline | None:
    """A TIMELINE row as a value; None where there is none."""
    values = row.tolist()
    names = TIMELINE.names or ()
    return Timeline(**dict(zip(names, values, strict=True))) if values[0] >= 0 else None


def find_timelines(result: Correlation, steps: Steps, again: npt.NDArray[np.bool_]) -> npt.NDArray[np.void]:
    """A TIMELINE row per connection; of those that have no `steps` it is none. `again`: per path, from 0."""
    found = np.zeros(result.connections.count, TIMELINE)
    found["total"] = -1
    path, way = steps.path[steps.first], steps.way[steps.first]
    begin, end = steps.time_ns[steps.first], steps.time_ns[steps.last]
    rows = result.sightings.take(result.head[path])
    reply, connection = (way & 1).astype(np.bool_), way >> 1
    data = np.flatnonzero(rows["payload_length"] > 0)
    ways = np.zeros((result.connections.count, 2), np.bool_)
    ways[connection[data], reply[data].astype(np.int64)] = True
    both = ways[:, 0] & ways[:, 1]
    data = data[both[connection[data]]]
    # Where the server is: what comes from there is seen first, what goes there is seen last.
    near = np.where(reply, begin, np.maximum(begin, end))
    data = data[np.lexsort((near[data], connection[data]))]
    _turns(found, connection[data], reply[data], near[data], begin[data], end[data], again[path[data]])
    first = data[np.append(True, connection[data][1:] != connection[data][:-1])[: data.size]]
    last = data[np.append(connection[data][1:] != connection[data][:-1], True)[: data.size]]
    began = _handshakes(found, rows, connection, reply, begin, both)
    of = connection[first]
    opened = np.where(began["opened"][of] > 0, began["opened"][of], near[first])
    before = np.maximum(near[first] - opened, 0)
    on_the_way = np.where(reply[first], 0, np.minimum(near[first] - begin[first], before))
    found["way"][of] += on_the_way
    found["client"][of] += np.where(reply[first], 0, before - on_the_way)
    found["server"][of] += np.where(reply[first], before, 0)
    found["total"][connection[last]] = sum(found[name][connection[last]] for name in PLACES)
    return found


def _turns(
    found: npt.NDArray[np.void],
    connection: npt.NDArray[np.int64],
    reply: npt.NDArray[np.bool_],
    near: npt.NDArray[np.int64],
    begin: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    again: npt.NDArray[np.bool_],
) -> None:
    """Adds the time between each two packets with data that follow each other near the server."""
    a, b = slice(None, -1), slice(1, None)
    gap = near[b] - near[a]
    same = connection[b] == connection[a]
    paused = np.clip(begin[b] - end[a], 0, gap)
    turned_back = same & ~again[b] & reply[a] & ~reply[b]
    for name, chosen, time in (
        ("again", same & again[b], gap),
        ("sending", same & ~again[b] & (reply[a] == reply[b]), gap),
        ("server", same & ~again[b] & ~reply[a] & reply[b], gap),
        ("client", turned_back, paused),
        ("way", turned_back, gap - paused),
    ):
        np.add.at(found[name], connection[b][chosen], time[chosen])


def _handshakes(
    found: npt.NDArray[np.void],
    rows: npt.NDArray[np.void],
    connection: npt.NDArray[np.int64],
    reply: npt.NDArray[np.bool_],
    begin: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.bool_],
) -> npt.NDArray[np.void]:
    """Adds the handshakes; returns when each was over (`opened`), 0 where none was seen."""
    never = np.iinfo(np.int64).max
    began = np.empty(found.size, [("syn", "i8"), ("opened", "i8")])
    flags = rows["tcp_flags"]
    syn = (rows["protocol"] == TCP) & ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) & ~reply
    behind = (rows["protocol"] == TCP) & ((flags & (TCP_SYN | TCP_RST)) == 0) & ~reply
    for name, chosen in (("syn", syn), ("opened", behind)):
        began[name] = never
        np.minimum.at(began[name], connection[chosen], begin[chosen])
    whole = wanted & (began["syn"] < began["opened"]) & (began["opened"] < never)
    began["opened"][~whole] = 0
    found["handshake"][whole] = began["opened"][whole] - began["syn"][whole]
    return began
