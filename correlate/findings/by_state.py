"""Connections that never began, or broke off, and nothing says why: what their own packets tell."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import hashed
from ..outcomes.kinds import Reason
from ..protocols import ICMP, ICMP_ECHO, ICMPV6, ICMPV6_ECHO, UDP
from ..result.show import reason_of
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .values import Evidence
from .words import ends, flow, frames_of, last_place, node_of, packets_noun

_WAIT_NS: Final = 1_000_000_000
"""Who has not answered by then does not: the first retransmission of a SYN goes out after 1 s (RFC 6298, 2.1)."""
_ANSWERED_PORTS: Final = (53, 67, 123, 69, 161, 500, 3478)
"""UDP services whose clients wait for an answer: DNS, DHCP, NTP, TFTP, SNMP, IKE, STUN."""


def lost_on_the_way(facts: Facts) -> Iterator[Seen]:
    """`wire_loss`: left one node and never came to the next, though its captures were there and lost nothing."""
    paths = np.flatnonzero((facts.result.outcomes.reason == Reason.WIRE) & facts.own)
    place = facts.result.sightings["place"][facts.last[paths]]
    healthy = facts.complete[facts.result.connection_of_path[paths]]
    for one in groups(facts, paths, place, healthy):
        at, subject, noun = last_place(facts, int(one[0])), flow(facts, one), packets_noun(facts, one)

        def say(extent: Extent, at: str = at, subject: str = subject, noun: str = noun) -> str:
            return f"lost behind {at}: {extent.of(noun)} of {subject}; nothing of it came in at the next node"

        yield Seen(
            kind=Kind.WIRE_LOSS, key=(at,), say=say, paths=one, time_ns=int(facts.begin_ns[one[0]]),
            node=node_of(facts, int(one[0])), evidence=frames_of(facts, int(one[0])),
        )  # fmt: skip


def refused(facts: Facts) -> Iterator[Seen]:
    """`refused`: the end answered that nobody listens there."""
    result = facts.result
    connection = result.connection_of_path
    asks = facts.own & facts.forward & ~facts.explained[connection]
    told = asks & (result.outcomes.reason == Reason.REFUSED)
    # A SYN that was not seen to arrive, and came back as RST with nothing else: somebody refused it.
    reset_at_once = (facts.count(facts.reset & ~facts.forward) > 0) & (facts.count(facts.syn_ack) == 0) & ~facts.opened
    told |= asks & facts.syn & reset_at_once[connection]
    paths = np.flatnonzero(told)
    last = result.sightings.take(facts.last[paths])
    columns = [last[name] for name in ("destination_high", "destination_low", "destination_port", "protocol")]
    for one in groups(facts, paths, *columns, last["namespace"]):
        yield _refused(facts, one)


def _refused(facts: Facts, paths: Rows) -> Seen:
    first = int(paths[0])
    server, asked = ends(facts, facts.last[paths], "destination"), flow(facts, paths)
    noun, at = packets_noun(facts, paths), last_place(facts, first)
    reason = reason_of(facts.result, first)
    how = f"ICMP {reason.error.says}" if reason and reason.error else "RST"

    def say(extent: Extent) -> str:
        return f"{server} refuses {asked}: {extent.of(noun)} answered with {how}; nobody listens there (seen at {at})"

    return Seen(
        kind=Kind.REFUSED, key=(server, at, how), say=say, paths=paths, time_ns=int(facts.begin_ns[first]),
        node=node_of(facts, first), evidence=frames_of(facts, first) + _answer_frames(facts, first),
    )  # fmt: skip


def _answer_frames(facts: Facts, path: int) -> tuple[Evidence, ...]:
    """The frame that refused it."""
    connection = facts.result.connection_of_path
    answers = np.flatnonzero((connection == connection[path]) & ((facts.reset & ~facts.forward) | ~facts.own))
    return frames_of(facts, int(answers[0]), most=1) if answers.size else ()


def half_open(facts: Facts) -> Iterator[Seen]:
    """`half_open`: the server accepted, and the client never went on."""
    connection = facts.result.connection_of_path
    accepted, repeated = facts.count(facts.syn_ack), facts.count(facts.syn)
    waited = facts.until_ns - facts.last_word_ns >= _WAIT_NS
    stuck = (accepted > 0) & (repeated > 0) & ~facts.opened & (facts.count(facts.reset) == 0) & ~facts.explained
    stuck &= (accepted > 1) | (repeated > 1) | waited
    paths = np.flatnonzero(stuck[connection] & (facts.syn | facts.syn_ack))
    for one in _by_server(facts, paths):
        answers = one[facts.syn_ack[one]]
        asks = one[facts.syn[one]]
        if answers.size == 0 or asks.size == 0:
            continue
        yield _half_open(facts, one, asks, answers)


def _half_open(facts: Facts, paths: Rows, asks: Rows, answers: Rows) -> Seen:
    subject, at, asked_at = flow(facts, asks), last_place(facts, int(answers[0])), last_place(facts, int(asks[0]))
    share = answers.size / paths.size

    def say(extent: Extent) -> str:
        accepted = round(extent.packets * share)
        syns = Extent(packets=extent.packets - accepted, connections=0).of("SYN")
        syn_acks = Extent(packets=accepted, connections=0).of("SYN-ACK")
        return (
            f"the handshake of {subject} never finished: {syns} (last seen at {asked_at}), {syn_acks}, last seen at "
            f"{at}, and no ACK"
        )

    return Seen(
        kind=Kind.HALF_OPEN, key=(subject, at), say=say, paths=paths, time_ns=int(facts.begin_ns[paths[0]]),
        node=node_of(facts, int(answers[0])),
        evidence=frames_of(facts, int(asks[0])) + frames_of(facts, int(answers[0])),
    )  # fmt: skip


def unanswered(facts: Facts) -> Iterator[Seen]:
    """`unanswered`: nobody ever answered, and somebody waited for it."""
    connection = facts.result.connection_of_path
    asks = facts.own & facts.forward & ~facts.on_link & _waits_for_an_answer(facts)
    asked, errors = facts.count(asks), facts.count(~facts.own)
    watched = facts.until_ns - facts.last_word_ns >= _WAIT_NS
    silent = (asked > 0) & (facts.replies == 0) & (errors == 0) & ~facts.opened & ~facts.explained
    silent &= (asked > 1) | watched
    silent &= facts.count(facts.own & facts.tcp & facts.forward & ~facts.syn) == 0
    paths = np.flatnonzero(asks & silent[connection])
    for one in _by_server(facts, paths):
        yield _unanswered(facts, one)


def _unanswered(facts: Facts, paths: Rows) -> Seen:
    first = int(paths[0])
    subject, at, noun = flow(facts, paths), last_place(facts, first), packets_noun(facts, paths)
    target = ends(facts, facts.last[paths], "destination")

    def say(extent: Extent) -> str:
        many = f" of {extent.connections:,} connections" if extent.connections > 1 else ""
        behind = f", by then to {target}" if target not in subject else ""
        return f"nobody answers {subject}: {extent.of(noun)}{many}, last seen at {at}{behind}"

    return Seen(
        kind=Kind.UNANSWERED, key=(subject, at), say=say, paths=paths, time_ns=int(facts.begin_ns[first]),
        node=node_of(facts, first), evidence=frames_of(facts, first),
    )  # fmt: skip


def _by_server(facts: Facts, paths: Rows) -> list[Rows]:
    """Packets of connections to one server, as their client asks for it, and where the first of them was last seen."""
    connection = facts.result.connection_of_path
    count = facts.result.connections.count
    asks = paths[facts.forward[paths]]
    rows = facts.result.sightings.take(facts.result.head[asks])
    found = []
    for name in ("destination_high", "destination_low", "destination_port", "protocol"):
        of_connection = np.zeros(count, np.uint64)
        of_connection[connection[asks][::-1]] = rows[name][::-1].astype(np.uint64)
        found.append(of_connection[connection[paths]])
    place = np.zeros(count, np.int64)
    place[connection[asks]] = facts.result.sightings["place"][facts.last[asks]]
    return groups(facts, paths, *found, place[connection[paths]])


def _waits_for_an_answer(facts: Facts) -> Mask:
    """Per path: a SYN, an echo request, a datagram to a service that answers others or is known to answer."""
    protocol, kind = facts.head("protocol"), facts.head("icmp_type")
    echo = ((protocol == ICMP) & (kind == ICMP_ECHO)) | ((protocol == ICMPV6) & (kind == ICMPV6_ECHO))
    datagram = (protocol == UDP) & facts.own & facts.forward
    known = datagram & np.isin(facts.head("destination_port"), _ANSWERED_PORTS)
    return facts.syn | echo | known | (datagram & _answers_others(facts, datagram))


def _answers_others(facts: Facts, datagram: Mask) -> Mask:
    """Per path: another connection with the same server (address and port) had an answer."""
    server = _destination(facts, datagram)
    answered = facts.replies[facts.result.connection_of_path] > 0
    return datagram & np.isin(server, server[datagram & answered])


def _destination(facts: Facts, chosen: Mask) -> npt.NDArray[np.uint64]:
    """One number for the destination of each path; 0 where it is not chosen."""
    key = hashed(*(facts.head(name) for name in ("destination_high", "destination_low", "destination_port")))
    return np.where(chosen, key, 0)
