"""What a capture says about itself, while it runs and at the end."""

from typing import TYPE_CHECKING

from .options import CaptureStatus, CaptureSummary, NamespaceSummary
from .session import Session, point_summary

if TYPE_CHECKING:
    from .stream.feed import Feed


def status_of(session: Session, feed: "Feed") -> CaptureStatus:
    """What has been recorded so far."""
    counts = [feed.messages(number) for number in range(len(session.sockets))]
    return CaptureStatus(
        elapsed_s=session.elapsed_s,
        packets=feed.packets,
        bytes=session.files.written,
        trace_events=sum(count[1] for count in counts),
        conntrack_events=sum(count[2] for count in counts),
        lost=sum(ring.lost for ring, _ in session.rings)
        + sum(point.lost for point in session.ended_points)
        + sum(listener.lost for listener, _ in session.sockets),
    )


def summary_of(session: Session, feed: "Feed") -> CaptureSummary:
    """What was recorded in all; adds what did not parse to the warnings."""
    points = [point_summary(ring, feed.ring_packets(number)) for number, (ring, _) in enumerate(session.rings)]
    namespaces = [_namespace_summary(session, feed, number) for number in range(len(session.sockets))]
    return CaptureSummary(
        file=session.output.where or session.output.path,
        is_there=session.output.where is not None,
        node=session.node,
        duration_s=session.elapsed_s,
        bytes=session.files.written,
        points=(*points, *session.ended_points),
        namespaces=tuple(namespaces),
        trace_events=sum(namespace.trace_events for namespace in namespaces),
        conntrack_events=sum(namespace.conntrack_events for namespace in namespaces),
        netlink_lost=sum(namespace.lost for namespace in namespaces),
        warnings=session.warnings.told(),
        files=_ring(session),
        removed=session.files.removed,
        frozen=tuple(session.frozen),
        ending=session.ending,
    )


def _ring(session: Session) -> tuple[str, ...]:
    """The files of the ring that are there: the last one may be in a folder that is kept."""
    if not session.files.ring:
        return ()
    last = [session.output.path] if session.output.where == session.output.path else []
    return (*(file.path for file in session.files.whole), *last)


def _namespace_summary(session: Session, feed: "Feed", number: int) -> NamespaceSummary:
    listener, _ = session.sockets[number]
    messages, trace, conntrack, malformed = feed.messages(number)
    if malformed:
        session.warnings.append(f"{listener.netns.description}: {malformed} netlink datagrams were cut or malformed")
    return NamespaceSummary(
        netns=listener.netns.label,
        messages=messages,
        trace_events=trace,
        conntrack_events=conntrack,
        lost=listener.lost,
    )
