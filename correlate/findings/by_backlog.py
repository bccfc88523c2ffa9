"""Connections that a listening socket did not take, for its queue was full: by the kernel's counters."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..nodes.listening import socket_words
from ..nodes.namespace_facts import Listener, NamespaceFacts
from ..outcomes.kinds import Outcome
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .listening import Asked, asked, evidence_of
from .seen import Extent, Seen
from .values import Evidence
from .words import frames_of, node_of, snapshot_evidence, subject_of, where

_FULL: Final = ("TcpExtListenOverflows", "TcpExtTCPReqQFullDrop")
"""The queue of those that wait to be accepted; that of those whose handshake is not finished (tcp_conn_request of
net/ipv4/tcp_input.c)."""
_DROPS: Final = "TcpExtListenDrops"
"""Also for want of memory or of a way back."""
_PROBABLY: Final = 0.7


def not_taken(facts: Facts) -> Iterator[Seen]:
    """`backlog_full`: SYNs, or the ACKs that end a handshake, that came to a listening socket and were passed over."""
    connection = facts.result.connection_of_path
    open_ = facts.own & facts.forward & ~facts.explained[connection]
    open_ &= facts.result.outcomes.outcome != Outcome.DROPPED
    paths = np.flatnonzero(open_ & (_unanswered_syn(facts) | _ack_not_taken(facts)))
    last = facts.result.sightings.take(facts.last[paths])
    ends = ("destination_high", "destination_low", "destination_port", "namespace")
    for one in groups(facts, paths, *(last[name] for name in ends)):
        end = asked(facts, int(one[0]))
        if end is not None and (seen := _seen(facts, end, one)) is not None:
            yield seen


def _unanswered_syn(facts: Facts) -> Mask:
    """Per path: a SYN of a connection in which the server said nothing, and TCP itself missed it: an answer to a SYN
    that is not repeated may be behind the end of the capture, or hidden by its filter."""
    silent = (facts.replies == 0) & (facts.count(~facts.own) == 0) & ~facts.opened & (facts.count(facts.syn) > 1)
    return facts.syn & silent[facts.result.connection_of_path]


def _ack_not_taken(facts: Facts) -> Mask:
    """Per path: what the client sent behind its SYN, where the server said nothing but its SYN-ACK, and that again."""
    said = facts.count(facts.syn_ack)
    passed_over = (said > 1) & (facts.replies == said) & facts.opened
    return facts.tcp & ~facts.syn & ~facts.reset & passed_over[facts.result.connection_of_path]


def _seen(facts: Facts, end: Asked, paths: Rows) -> Seen | None:
    """The finding, if somebody listens there and the kernel counted that a queue was full meanwhile."""
    at = where(end.namespace.node, end.namespace.label)
    known, found = end.moments[-1]
    counted = {name: count for name in (*_FULL, _DROPS) if (count := known.counted(name))}
    if not found.here or not any(name in counted for name in _FULL):
        return None
    listener = found.here[0]
    counts = " and ".join(f"{name} by {count:,}" for name, count in counted.items())
    sure = _is_full(listener) or _is_the_only_one(known)

    def say(extent: Extent) -> str:
        return (
            f"{at}: the queue of {socket_words(listener)} was full{_waiting(listener)}: it did not take "
            f"{extent.counted} of {extent.flow}; meanwhile grew {counts}"
        )

    return Seen(
        kind=Kind.BACKLOG_FULL, key=(at, end.address, end.port), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[paths[0]]), node=node_of(facts, int(paths[0])),
        confidence=1.0 if sure else _PROBABLY,
        evidence=_evidence(facts, end, known, listener, counted) + frames_of(facts, int(paths[0])),
    )  # fmt: skip


def _is_full(listener: Listener) -> bool:
    """When the capture ended: it takes one more than it may have (sk_acceptq_is_full of net/sock.h)."""
    return listener.backlog is not None and listener.most is not None and listener.backlog > listener.most


def _is_the_only_one(known: NamespaceFacts) -> bool:
    return sum(one.protocol == "tcp" for one in known.listeners or ()) == 1


def _waiting(listener: Listener) -> str:
    if listener.backlog is None or listener.most is None:
        return ""
    return f" ({listener.backlog:,} waited when the capture ended, {listener.most:,} may)"


def _evidence(
    facts: Facts, end: Asked, known: NamespaceFacts, listener: Listener, counted: dict[str, int]
) -> tuple[Evidence, ...]:
    counters = tuple(
        snapshot_evidence(facts, "counter", f"{name} grew by {count:,}", known) for name, count in counted.items()
    )
    return counters + evidence_of(facts, end.protocol, known, (listener,))
