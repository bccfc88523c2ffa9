"""Answers that come from another address than was asked: the client does not take them.

An answer belongs to a question by what only its sender knows: TCP acknowledges its sequence number, an echo reply has
its identifier and number, a datagram comes from the port of the service to the port that asked. Each must be seen where
the question was, so that a translation that is undone further on is none.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import joined, placed
from ..arrays.grouping import first_with, hashed
from ..protocols import (
    ICMP,
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMPV6,
    ICMPV6_ECHO,
    ICMPV6_ECHO_REPLY,
    TCP,
    TCP_ACK,
    TCP_SYN,
    UDP,
)
from .common import ASKED, ELSEWHERE, SAID, earliest
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .subject import Ends
from .words import frame_evidence, frames_of, node_of, place_of, subject_of

_SOON_NS: Final = 5_000_000_000
"""Behind the question; later the same numbers may be of another."""
_SERVICES: Final = (53, 123, 161)
"""UDP services that answer from the port that was asked: DNS, NTP, SNMP."""
_SURE_OF: Final = {UDP: 0.75}
"""Of datagrams only the ports are compared."""
_BROADCAST: Final = np.uint64(0xFF)
"""Last byte of most broadcast addresses: whoever hears it answers by its own."""


def asked_in_vain(facts: Facts) -> npt.NDArray[np.void]:
    """ASKED rows of a part."""
    paths = np.flatnonzero(_never_answered(facts) & (facts.first_frame >= 0))
    return _rows(facts, paths, ASKED, asking=True)


def said_unasked(facts: Facts) -> npt.NDArray[np.void]:
    """SAID rows of a part."""
    paths = np.flatnonzero(_unasked(facts) & (facts.last_frame >= 0))
    return _rows(facts, paths, SAID, asking=False)


def _rows(facts: Facts, paths: Rows, table: np.dtype[np.void], *, asking: bool) -> npt.NDArray[np.void]:
    """Of those paths that can be told by what their answer, or they as one, would be known by."""
    found = []
    for keyed in (_tcp, _echo, _datagrams):
        seen = facts.result.sightings.take((facts.first_frame if asking else facts.last_frame)[paths])
        chosen, key = keyed(seen, asking=asking)
        rows = np.zeros(chosen.size, table)
        seen = seen.take(chosen)
        rows["key"], rows["path"], rows["time_ns"] = key, paths[chosen], facts.begin_ns[paths[chosen]]
        rows["connection"] = facts.result.connection_of_path[paths[chosen]]
        if asking:
            rows["high"], rows["low"] = seen["destination_high"], seen["destination_low"]
        else:
            placed(rows["seen"], seen)
        found.append(rows)
    return earliest(joined(table, found))


def _never_answered(facts: Facts) -> Mask:
    connection = facts.result.connection_of_path
    silent = facts.own & facts.forward & ~facts.on_link & (facts.replies == 0)[connection]
    return silent & (facts.head("destination_low") & _BROADCAST != _BROADCAST)


def _unasked(facts: Facts) -> Mask:
    """Per path: a packet of a connection that was seen one way only, and for which nobody asked."""
    connection = facts.result.connection_of_path
    one_way = (facts.replies == 0) | (facts.count(facts.own & facts.forward) == 0)
    return facts.own & ~facts.on_link & one_way[connection] & (facts.count(facts.syn) == 0)[connection]


def _key(seen: npt.NDArray[np.void], end: str, *more: npt.NDArray[np.generic]) -> npt.NDArray[np.uint64]:
    """One number for who asks, where it was seen, and more."""
    return hashed(seen[f"{end}_high"], seen[f"{end}_low"], seen["place"], seen["protocol"], *more)


_Keyed = tuple[Rows, npt.NDArray[np.uint64]]
"""Which rows, and what an answer is known by."""


def _tcp(seen: npt.NDArray[np.void], *, asking: bool) -> _Keyed:
    flags, number = seen["tcp_flags"] & (TCP_SYN | TCP_ACK), "sequence" if asking else "acknowledgment"
    chosen = np.flatnonzero((seen["protocol"] == TCP) & (flags == (TCP_SYN if asking else TCP_SYN | TCP_ACK)))
    # Without a sequence number of its own (0) an answer to it is one to many.
    chosen = chosen[seen[number][chosen] > (0 if asking else 1)]
    rows = seen.take(chosen)
    wanted = (rows[number].astype(np.int64) + asking) % 2**32
    end = "source" if asking else "destination"
    return chosen, _key(rows, end, wanted, rows[f"{end}_port"])


def _echo(seen: npt.NDArray[np.void], *, asking: bool) -> _Keyed:
    four, six = (ICMP_ECHO, ICMPV6_ECHO) if asking else (ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY)
    protocol, kind = seen["protocol"], seen["icmp_type"]
    chosen = np.flatnonzero(((protocol == ICMP) & (kind == four)) | ((protocol == ICMPV6) & (kind == six)))
    rows = seen.take(chosen)
    end = "source" if asking else "destination"
    return chosen, _key(rows, end, rows["source_port"], rows["sequence"], rows["payload_length"])


def _datagrams(seen: npt.NDArray[np.void], *, asking: bool) -> _Keyed:
    service, client = ("destination_port", "source") if asking else ("source_port", "destination")
    known = (seen["protocol"] == UDP) & np.isin(seen[service], _SERVICES)
    chosen = np.flatnonzero(known & (seen["source_port"] != seen["destination_port"]))
    rows = seen.take(chosen)
    return chosen, _key(rows, client, rows[f"{client}_port"], rows[service])


def from_elsewhere(asked: npt.NDArray[np.void], said: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """ELSEWHERE rows: each question with the first answer to it, which comes soon, from another address."""
    everything = asked["connection"]
    said = said.take(np.lexsort((said["path"], said["time_ns"], said["key"])))
    at = first_with(said["key"], asked["key"])
    asked, said = asked.take(np.flatnonzero(at >= 0)), said.take(at[at >= 0])
    later = said["time_ns"] - asked["time_ns"]
    other = (asked["low"] != said["seen"]["source_low"]) | (asked["high"] != said["seen"]["source_high"])
    fits = np.flatnonzero((later >= 0) & (later <= _SOON_NS) & other)
    asked, said = asked.take(fits), said.take(fits)
    # Where several were asked it is not known which of them should have answered.
    pairs = np.unique(np.stack([said["path"], asked["connection"]]), axis=1)
    answer, askers = np.unique(pairs[0], return_counts=True)
    one = np.flatnonzero(np.isin(said["path"], answer[askers == 1]) & _more_than_once(asked, said, everything))
    found = np.zeros(one.size, ELSEWHERE)
    found["path"] = asked["path"][one]
    placed(found["said"], said.take(one)["seen"])
    return found.take(np.argsort(found["path"], kind="stable"))


def _more_than_once(asked: npt.NDArray[np.void], said: npt.NDArray[np.void], everything: Rows) -> Mask:
    """Per question and answer: not a datagram, or of that service more than one was asked and answered so: by its
    ports alone, one may be a stray, or be damaged. `everything`: the connections of all questions."""
    connections, count = np.unique(everything, return_counts=True)
    service = hashed(asked["high"], asked["low"], said["seen"]["source_high"], said["seen"]["source_low"])
    pairs, first = np.unique(np.stack([service, asked["connection"].astype(np.uint64)]), axis=1, return_index=True)
    services, which = np.unique(pairs[0], return_inverse=True)
    asks = np.bincount(
        which, weights=count[np.searchsorted(connections, asked["connection"][first])], minlength=services.size
    )
    return (said["seen"]["protocol"] != UDP) | (asks[np.searchsorted(services, service)] > 1)


def wrong_reply_source(facts: Facts) -> Iterator[Seen]:
    """`wrong_reply_source`."""
    elsewhere = facts.common.elsewhere
    asks = facts.local(elsewhere["path"])
    if asks.size == 0:
        return
    connection = facts.result.connection_of_path
    answer_of = np.full(facts.explained.size, -1, np.int64)
    answer_of[connection[asks][::-1]] = np.searchsorted(elsewhere["path"], facts.result.ids.paths[asks])[::-1]
    asks = np.flatnonzero((answer_of[connection] >= 0) & facts.own & facts.forward)
    head = facts.result.sightings.take(facts.result.head[asks])
    said = elsewhere["said"][answer_of[connection[asks]]]
    columns = [head["destination_high"], head["destination_low"], head["destination_port"], head["protocol"]]
    columns += [said[name] for name in ("source_high", "source_low", "source_port", "place")]
    for one in groups(facts, asks, *columns):
        yield _wrong(facts, one, elsewhere["said"][answer_of[connection[one[:1]]]])


def _wrong(facts: Facts, asks: Rows, said: npt.NDArray[np.void]) -> Seen:
    topology, first = facts.result.topology, int(asks[0])
    source, at = Ends.of(said, "source").text(topology), place_of(facts, said[0])
    asked = Ends.of(facts.result.sightings.take(facts.result.head[asks[:1]]), "destination").text(topology)
    protocol = int(said["protocol"][0])
    # A ping gets whatever comes, and says so.
    why = "; the client does not take it" if protocol in (TCP, UDP) else ""

    def say(extent: Extent) -> str:
        return (
            f"the answer to {extent.flow} comes from {source}, not from where it was sent to: {extent.counted}, "
            f"seen at {at}{why}"
        )

    return Seen(
        kind=Kind.WRONG_REPLY_SOURCE, key=(protocol, asked, source, at), say=say, paths=asks,
        subject=subject_of(facts, asks), node=node_of(facts, first),
        time_ns=int(facts.begin_ns[first]), confidence=_SURE_OF.get(protocol, 0.95),
        evidence=(*frames_of(facts, first, most=1), frame_evidence(facts, said[0])),
    )  # fmt: skip
