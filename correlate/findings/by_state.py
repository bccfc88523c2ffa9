"""Connections that never began, or broke off, and nothing says why: what their own packets tell."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..outcomes.coverage import missed, watch_of_point
from ..outcomes.kinds import Outcome, Reason
from ..protocols import ICMP, ICMP_ECHO, ICMPV6, ICMPV6_ECHO, UDP
from ..result.show import reason_of
from ..sightings import FRAME
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .listening import who_listens
from .scans import scans, tries, without_scans
from .seen import Extent, Overall, Seen, many
from .subject import Ends
from .values import Evidence
from .words import frames_of, last_place, node_of, subject_of

_WAIT_NS: Final = 1_000_000_000
"""Who has not answered by then does not: the first retransmission of a SYN goes out after 1 s (RFC 6298, 2.1)."""
_SOON_NS: Final = 5_000_000
_TIMES: Final = 50
"""So many times as long as the slowest answer in the captures took: an answer has most likely not been on its way."""
_PROBABLY: Final = 0.7
_ANSWERED_PORTS: Final = (53, 69, 123, 161, 500, 3478)
"""UDP services whose clients wait for an answer: DNS, TFTP, NTP, SNMP, IKE, STUN."""
_SERVER: Final = ("destination_high", "destination_low", "destination_port", "protocol")


def lost_on_the_way(facts: Facts) -> Iterator[Seen]:
    """`wire_loss`: left one node and never came to the next, though its captures were there and lost nothing."""
    paths = np.flatnonzero((facts.result.outcomes.reason == Reason.WIRE) & _lost(facts) & facts.own)
    for one in groups(facts, paths, facts.last_seen[paths]):
        at = last_place(facts, int(one[0]))

        def say(extent: Extent, at: str = at) -> str:
            return f"lost behind {at}: {extent.counted} of {extent.flow}; nothing of it came in at the next node"

        yield _seen(facts, Kind.WIRE_LOSS, (at,), say, one)


def _lost(facts: Facts) -> Mask:
    return facts.result.outcomes.outcome == Outcome.LOST


def refused(facts: Facts) -> Iterator[Seen]:
    """`refused`: the end answered that nobody listens there, or a filter did."""
    result, connection = facts.result, facts.result.connection_of_path
    asks = facts.own & facts.forward & ~facts.explained[connection]
    told = asks & (result.outcomes.reason == Reason.REFUSED)
    # A SYN that was not seen to arrive, and came back as RST with nothing else.
    told |= asks & facts.syn & (facts.count(facts.reset & ~facts.forward) > 0)[connection]
    # Who accepted at any time, and breaks off later, does not refuse.
    told &= ((facts.count(facts.syn_ack) == 0) & ~facts.opened)[connection]
    paths = np.flatnonzero(told)
    yield from scans(facts, Kind.REFUSED, paths, "all refused")
    paths = without_scans(facts, paths)
    last = result.sightings.take(facts.last[paths])
    columns = [last[name] for name in _SERVER]
    for one in groups(facts, paths, *columns, facts.last_seen[paths], _error(facts, paths)):
        yield _refused(facts, one)


def _error(facts: Facts, paths: Rows) -> Rows:
    """Type and code of the ICMP error about each path; -1 where there is none."""
    related = facts.result.outcomes.related[paths]
    code = (facts.head("icmp_type")[related].astype(np.int64) << 8) + facts.head("icmp_code")[related]
    return np.where(related >= 0, code, -1)


def _refused(facts: Facts, paths: Rows) -> Seen:
    first = int(paths[0])
    last = facts.result.sightings.take(facts.last[paths[:1]])
    server, at = Ends.of(last, "destination").text(facts.result.topology), last_place(facts, first)
    reason = reason_of(facts.result, first)
    how = f"ICMP {reason.error.says}" if reason and reason.error else "RST"
    # Of a packet that was traced, a rule that answers in its place would be known.
    traced = facts.result.topology.namespaces[int(last["namespace"][0])].known and _is_traced(facts, first)
    why = "nobody listens there" if traced else "nobody listens there, or a filter says so in its place"
    why, listeners = who_listens(facts, first, refused=True) or (why, ())

    def say(extent: Extent) -> str:
        return f"{server} refuses {extent.flow}: {extent.counted} answered with {how}; {why} (seen at {at})"

    return _seen(facts, Kind.REFUSED, (server, at, how), say, paths, listeners + _answer_frame(facts, first))


def _is_traced(facts: Facts, path: int) -> bool:
    result = facts.result
    hops = result.hops["sighting"][result.first_hop[path] : result.first_hop[path + 1]]
    return bool((result.sightings["kind"][hops] != FRAME).any())


def _answer_frame(facts: Facts, path: int) -> tuple[Evidence, ...]:
    """The frame that refused it."""
    paths = facts.paths_of(facts.result.connection_of_path[path : path + 1])
    answers = paths[(facts.reset[paths] & ~facts.forward[paths]) | ~facts.own[paths]]
    return frames_of(facts, int(answers[0]), most=1) if answers.size else ()


def half_open(facts: Facts) -> Iterator[Seen]:
    """`half_open`: the server accepted, and the client never went on."""
    connection = facts.result.connection_of_path
    # A server that has no ACK sends its SYN-ACK again, a client that has no SYN-ACK its SYN (RFC 6298, 2). Where
    # neither does behind the first SYN-ACK, the ACK was there, and not captured.
    accepted_ns, last_ns = (
        np.full(facts.explained.size, np.iinfo(np.int64).max),
        np.zeros(facts.explained.size, np.int64),
    )
    np.minimum.at(accepted_ns, connection[facts.syn_ack], facts.begin_ns[facts.syn_ack])
    again = facts.syn | facts.syn_ack
    np.maximum.at(last_ns, connection[again], facts.begin_ns[again])
    stuck = (last_ns > accepted_ns) & (facts.count(facts.syn) > 0) & ~facts.opened & ~facts.explained
    stuck &= facts.count(facts.reset & facts.forward) == 0
    paths = np.flatnonzero(stuck[connection] & (facts.syn | facts.syn_ack))
    for one in _by_server(facts, paths):
        yield _half_open(facts, one)


def _half_open(facts: Facts, paths: Rows) -> Seen:
    asks, answers = paths[facts.syn[paths]], paths[facts.syn_ack[paths]]
    asked_at, at = last_place(facts, int(asks[0])), last_place(facts, int(answers[0]))

    def say(extent: Extent) -> str:
        asked, accepted = extent.amounts
        return (
            f"the handshake of {extent.flow} never finished: {many(asked, 'SYN')} (last seen at {asked_at}), "
            f"{many(accepted, 'SYN-ACK')}, last seen at {at}, and no ACK"
        )

    return _seen(
        facts, Kind.HALF_OPEN, (_asked_server(facts, asks), asked_at), say, paths,
        frames_of(facts, int(answers[0])), amounts=(asks.size, answers.size),
    )  # fmt: skip


def unanswered(facts: Facts) -> Iterator[Seen]:
    """`unanswered`: nobody ever answered, and somebody waited for it."""
    connection = facts.result.connection_of_path
    datagram = (facts.head("protocol") == UDP) & ~np.isin(facts.head("destination_port"), _ANSWERED_PORTS)
    asks = facts.own & facts.forward & ~facts.on_link & (_waits_for_an_answer(facts) | datagram)
    asked, waited_ns = facts.count(asks), facts.watched_ns
    silent = (facts.replies == 0) & (facts.count(~facts.own) == 0) & ~facts.opened & ~facts.explained
    silent &= facts.count(facts.tcp & facts.forward & ~facts.syn) == 0
    long = (asked > 1) | (waited_ns >= _WAIT_NS)
    repeated = facts.count(facts.syn) > 1
    paths = np.flatnonzero(asks & (silent & (long | (waited_ns >= _SOON_NS)))[connection])
    lost = _may_be_lost(facts, paths)
    paths = paths[(repeated | ~lost)[connection[paths]]]
    yield from scans(facts, Kind.UNANSWERED, paths, "and no answer is seen")
    paths = without_scans(facts, paths)
    for one in _by_server(facts, paths, *(column[connection[paths]] for column in (long, repeated, lost))):
        of = connection[one[0]]
        how = _Silence(bool(long[of]), bool(repeated[of]), bool(datagram[one[0]]), bool(lost[of]))
        yield _unanswered(facts, one, how)


def _may_be_lost(facts: Facts, asks: Rows) -> Mask:
    """Per connection: everywhere that one of these packets was seen, the capture lost something when its answer was
    due."""
    result, connection = facts.result, facts.result.connection_of_path
    seen, sure = np.zeros(facts.explained.size, np.bool_), np.zeros(facts.explained.size, np.bool_)
    if not result.coverage.gaps:
        return seen
    wanted = np.zeros(facts.own.size, np.bool_)
    wanted[asks] = True
    hop = facts.frame_hops[wanted[result.hops["packet"][facts.frame_hops]]]
    path, place = result.hops["packet"][hop], result.sightings["place"][result.hops["sighting"][hop]]
    for one in np.unique(place).tolist():
        here = path[place == one]
        begin_ns = facts.begin_ns[here]
        lost = missed([watch_of_point(result.coverage, result.topology, one)], begin_ns, begin_ns + _WAIT_NS).lost
        seen[connection[here]] = True
        sure[connection[here[~lost]]] = True
    return seen & ~sure


class _Silence(NamedTuple):
    """What tells that there was no answer."""

    is_long: bool
    """An answer would have been there by then."""
    is_repeated: bool
    """TCP itself missed it: the SYN was sent again."""
    is_datagram: bool
    """Of a kind that may need none: a notice."""
    is_lost: bool
    """It may have been there, and the capture lost it."""


def _unanswered(facts: Facts, paths: Rows, silence: _Silence) -> Seen:
    first = int(paths[0])
    at = last_place(facts, first)
    target = Ends.of(facts.result.sightings.take(facts.last[paths[:1]]), "destination").text(facts.result.topology)
    waited_ns = int(facts.watched_ns[facts.result.connection_of_path[first]])
    only = "" if silence.is_long else f"; the captures go on for {waited_ns / 1e6:.0f} ms only"
    only += "; the capture itself lost packets there meanwhile" if silence.is_lost else ""
    server = facts.server[first]
    listens, listeners = who_listens(facts, first) or ("", ())

    def say(extent: Extent) -> str:
        of = f" of {extent.connections:,} connections" if extent.connections > 1 else ""
        behind = f", by then to {target}" if target != extent.destination else ""
        seen = f"{extent.counted}{of}, last seen at {at}{behind}{only}" + (f"; {listens}" if listens else "")
        if extent.answers_others:
            return f"{extent.flow} had no answer: {seen}; others had one there"
        return f"nobody answers {extent.flow}: {seen}"

    def holds(overall: Overall) -> bool:
        """Many datagrams need no answer: one is missed where others get it from there. And a capture, or its filter,
        may show one direction alone."""
        answers_others = not silence.is_datagram or bool(np.isin(server, overall.answering))
        slowest_ns = overall.slowest_answer_ns
        waited = silence.is_long or (slowest_ns is not None and waited_ns >= _TIMES * slowest_ns)
        return answers_others and waited and overall.answers > 0

    return _seen(
        facts, Kind.UNANSWERED, (_asked_server(facts, paths), at, silence), say, paths, listeners,
        confidence=1.0 if silence.is_long and not silence.is_lost else _PROBABLY,
        holds=None if silence.is_repeated else holds, server=int(server), harmless=silence.is_datagram,
    )  # fmt: skip


def _asked_server(facts: Facts, paths: Rows) -> int:
    """The server that all of them ask for, as a number."""
    return hash((int(facts.server[paths[0]]), int(facts.head("protocol")[paths[0]])))


def _by_server(facts: Facts, paths: Rows, *columns: npt.NDArray[np.generic]) -> list[Rows]:
    """Packets of connections to one server, as their client asks for it, and where the first of them was last seen."""
    connection, count = facts.result.connection_of_path, facts.result.connections.count
    asks = paths[facts.forward[paths]]
    asks = asks[np.argsort(facts.begin_ns[asks], kind="stable")][::-1]
    protocol = facts.head("protocol").astype(np.uint64)
    found = []
    for values in (facts.server, protocol, facts.last_seen):
        of_connection = np.zeros(count, np.uint64)
        of_connection[connection[asks]] = values[asks]
        found.append(of_connection[connection[paths]])
    return groups(facts, paths, *found, *columns)


def _waits_for_an_answer(facts: Facts) -> Mask:
    """Per path: a SYN, an echo request, a datagram to a service that is known to answer."""
    protocol, kind = facts.head("protocol"), facts.head("icmp_type")
    echo = ((protocol == ICMP) & (kind == ICMP_ECHO)) | ((protocol == ICMPV6) & (kind == ICMPV6_ECHO))
    known = (protocol == UDP) & np.isin(facts.head("destination_port"), _ANSWERED_PORTS)
    return facts.syn | echo | known


def _seen(
    facts: Facts,
    kind: Kind,
    key: tuple[object, ...],
    say: Callable[[Extent], str],
    paths: Rows,
    evidence: tuple[Evidence, ...] = (),
    *,
    amounts: tuple[int, ...] = (),
    confidence: float = 1.0,
    holds: Callable[[Overall], bool] | None = None,
    server: int | None = None,
    harmless: bool = False,
) -> Seen:
    first = int(paths[0])
    return Seen(
        kind=kind, key=key, say=say, paths=paths, subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]),
        node=node_of(facts, first), evidence=frames_of(facts, first) + evidence, amounts=amounts,
        confidence=confidence, holds=holds, server=server, harmless=harmless, tried=tries(facts, paths),
    )  # fmt: skip
