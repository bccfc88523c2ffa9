"""After a disk that is full or a reader that is gone: what was recorded and could not be written is counted as lost."""

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import TtraceError
from .session import Session, write_statistics

if TYPE_CHECKING:
    from .stream.feed import Feed


def note_unwritten(session: Session, feed: "Feed") -> None:
    """Count as lost all that the kernel recorded until now and the file did not take, and note it there if it fits."""
    for number, (ring, _) in enumerate(session.rings):
        ring.read_statistics()
        ring.lost = ring.received - feed.ring_packets(number)
    feed.give_up()
    for number, (listener, _) in enumerate(session.sockets):
        listener.read_lost()
        listener.lost += feed.unwritten_messages(number)
    with suppress(TtraceError):
        for ring, interface in session.rings:
            write_statistics(session, interface, ring.received, ring.lost)
        for number, (listener, interface) in enumerate(session.sockets):
            write_statistics(session, interface, feed.messages(number)[0] + listener.lost, listener.lost)
        for source in session.sources:
            source.note_unwritten(feed)
