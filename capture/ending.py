"""Ends a capture: tracing, then packets, then messages; the last snapshots, and what was lost until then."""

import time
from typing import TYPE_CHECKING

from .machine.programs import end_programs
from .recording_snapshots import begin_snapshots, finish_snapshots
from .rotation.seam import Rotation
from .session import Session, write_statistics
from .sockets.numbers import NFNLGRP_NFTABLES
from .stop import snapshots_bound_s

if TYPE_CHECKING:
    from .stream.feed import Feed


def finish(session: Session, feed: "Feed", rotation: Rotation) -> None:
    """Tracing has ended: take what the kernel still holds, the last snapshots and the final statistics."""
    patience_s = snapshots_bound_s(len(session.targets.targets))
    feed.receive()
    # Packets are taken for longer than they are traced: a chain that saw one of which there is no frame would be told
    # of a packet that went nowhere.
    end_ns = time.time_ns()
    # What comes from now on is none of this capture's, and lost by nobody.
    for ring, _ in session.rings:
        ring.shut()
    rotation.drain(session, feed, end_ns)
    if rotation.is_over:
        rotation.finish(session, feed)
        return
    feed.end_packets()
    _end_messages(session, feed)
    # With a packet limit, the packets ended with the last one wanted.
    ended_ns = end_ns if feed.full_ns is None else feed.full_ns
    finish_snapshots(session, feed, patience_s / 2)
    end_programs()
    begin_snapshots(session, feed, "stop", ended_ns)
    finish_snapshots(session, feed, patience_s)
    end_programs()
    feed.write_until(time.time_ns())
    _write_statistics(session, feed)


def end_sources(session: Session) -> None:
    """Have the kernel be silent again. Also after a failure, and twice."""
    for source in reversed(session.sources):
        source.end()


def _end_messages(session: Session, feed: "Feed") -> None:
    """Hear no more but of rules that change: a snapshot of them is still to come."""
    groups = {group for source in session.sources for group in source.groups} - {NFNLGRP_NFTABLES}
    for listener, _ in session.sockets:
        listener.leave(groups)
    feed.receive()
    for listener, _ in session.sockets:
        listener.read_lost()


def _write_statistics(session: Session, feed: "Feed") -> None:
    for number, (ring, interface) in enumerate(session.rings):
        ring.read_statistics()
        # Not the kernel's count: what a filter let in that came behind the last packet of the file is no part of it.
        write_statistics(session, interface, feed.ring_packets(number) + ring.lost, ring.lost)
    for number, (listener, interface) in enumerate(session.sockets):
        write_statistics(session, interface, feed.messages_written(number) + listener.lost, listener.lost)
    for source in session.sources:
        source.write_statistics(feed)
