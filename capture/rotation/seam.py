"""From one file of the ring to the next, with nothing lost and nothing twice.

The kernel's rings and sockets go on filling. Between two batches, the descriptor that the loop writes to becomes
another. So the stream of blocks is cut between two, and its order stays as it is. What a
file needs to be read alone stands at its head: interfaces, names, and the snapshots of this moment, which are also the
last of the file before. A dump of conntrack follows, for connections whose begin is in a file that may be gone.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...errors import TtraceError
from ...pcapng.write import enhanced_packet, snapshot_packets
from ..options import CaptureOptions
from ..session import Session, begin_file, write_statistics
from ..snapshots import CaptureTimes, Snapshot, capture_snapshot, take_snapshots
from ..socket_snapshots import socket_snapshots
from ..sockets.buffers import HOLD_BACK_NS
from ..sources.conntrack import dump_conntrack
from .files import CaptureFiles
from .freezing import Freezing
from .limits import Limits

if TYPE_CHECKING:
    from ..stream.feed import Feed

_SHARE: Final = 10
"""Taking snapshots may cost one part in so many of the time: those at hand do where they are not older than what they
took times this, and nothing they tell of has changed that we heard of."""

_NOW_S: Final = 0.0001
_SETTLE_S: Final = 0.02
"""How long to wait for the last packets before looking again."""


@dataclass(slots=True)
class _Told:
    """One snapshot, ready to be written."""

    netns: str | None
    kind: str
    start: list[bytes]
    """Packets, as the file that begins has them."""
    stop: list[bytes]
    digest: bytes


class Rotation:
    """The changes of files of one capture, and what it does where room is used up."""

    def __init__(self, options: CaptureOptions, files: CaptureFiles) -> None:
        """Raises TtraceError where there is no room to begin with."""
        self._limits = Limits(options, files)
        self._freezing = Freezing(options, files)
        self._told: list[_Told] = []
        """The snapshots that were taken last."""
        self._taking: Iterator[_Told] | None = None
        """Those that are being taken, one each time the loop comes back: all of many namespaces take seconds."""
        self._taken: list[_Told] = []
        self._spent_s = 0.0
        """On taking them."""
        self._good_until_s = 0.0
        self._heard = -1
        """The session's `changes` when they were begun."""
        self._at_head: dict[tuple[str | None, str], bytes] = {}
        """Digests of the snapshots at the head of the current file."""

    @property
    def due_s(self) -> float | None:
        """When it wants its turn, on the monotonic clock, if at any time: another file is due, or begun upon."""
        return self._limits.due_s if self._taking is None else time.monotonic() + _NOW_S

    @property
    def is_over(self) -> bool:
        """Whether the capture has to end for want of room."""
        return bool(self._limits.reached or self._limits.failure)

    @property
    def failure(self) -> TtraceError | None:
        """Why it has to end although nobody asked for it."""
        return self._limits.failure

    def begin(self, session: Session, feed: "Feed") -> None:
        """The first file has its head, and the loop begins."""
        self._limits.begun(feed)
        self._look(session, feed)

    def record(self, session: Session, feed: "Feed") -> None:
        """Its turn, each time the loop comes back: go on in another file where that is due, see to the room.

        Raises TtraceError when the current file cannot be written.
        """
        self._freezing.look(session, feed)
        if self._limits.is_due or self._freezing.is_due(feed):
            is_ready = self._has_snapshots(session)
            # A flood fills the file while they are taken one by one; the kernel's rings wait that long.
            while not is_ready and self._limits.is_overdue:
                is_ready = self._has_snapshots(session)
            if is_ready:
                self._turn(session, feed)
        self._look(session, feed)

    def drain(self, session: Session, feed: "Feed", end_ns: int) -> None:
        """Write packets up to `end_ns`, in as many files as that takes and as far as there is room: the kernel needs up
        to a block timeout to hand the last ones over."""
        began_s = time.monotonic()  # the clock may be set meanwhile
        self.record(session, feed)
        while feed.settled_ns < end_ns and time.monotonic() < began_s + HOLD_BACK_NS / 1e9 and not feed.is_full:
            if self.is_over:
                break
            feed.record(_SETTLE_S, newest_ns=end_ns)
            self.record(session, feed)
        while not self.is_over and feed.write_some(end_ns):
            self.record(session, feed)
        feed.pause_after(None)

    def end(self, session: Session) -> None:
        """All is written."""
        self._freezing.end(session)

    def finish(self, session: Session, feed: "Feed") -> int:
        """End the current file where it is, for there is no room for what the kernel still holds; returns until when
        packets were taken."""
        end_ns = feed.written_until_ns
        _read_losses(session)
        feed.end_packets()
        while not self._has_snapshots(session):
            feed.receive()
        self._end_file(session, feed, end_ns)
        return end_ns

    def _look(self, session: Session, feed: "Feed") -> None:
        self._limits.look()
        session.ending = self._limits.reached
        session.warnings += session.files.warnings
        session.files.warnings.clear()
        self._limits.pause(feed)

    def _turn(self, session: Session, feed: "Feed") -> None:
        """Go on in the next file; where that cannot be begun, in this one, with a warning."""
        try:
            following = session.files.open_next()
        except TtraceError as error:
            why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error.message
            folder = Path(session.output.path).parent
            session.warnings.append(f"for a while no further file of the ring could be begun in `{folder}`: {why}")
            self._limits.failed()
            return
        end_ns = feed.written_until_ns
        _read_losses(session)
        try:
            self._end_file(session, feed, end_ns)
        except BaseException:
            following.close()
            raise
        session.files.go_on_in(following, end_ns)
        self._freezing.move_whole(session)
        # What was written because a buffer was half full may be later.
        session.since_ns = max(end_ns, feed.last_packet_ns)
        begin_file(session, feed)
        _write(session, _as_packets(_capture(session, None), "start"), session.since_ns)
        for one in self._told:
            _write(session, one.start, session.since_ns)
        following.begin()
        self._at_head = {(one.netns, one.kind): one.digest for one in self._told}
        for listener, _ in session.sockets:
            with suppress(OSError):  # the last dump is still being answered
                dump_conntrack(listener)
        self._limits.begun(feed)

    def _has_snapshots(self, session: Session) -> bool:
        """Whether there are snapshots for the next file; takes one more where not."""
        began_s = time.monotonic()
        if self._taking is None:
            if began_s < self._good_until_s and self._heard == session.changes:
                return True
            self._taking, self._taken, self._heard, self._spent_s = _snapshots(session), [], session.changes, 0.0
        try:
            self._taken.append(next(self._taking))
        except StopIteration:
            self._told, self._taking = self._taken, None
            self._good_until_s = time.monotonic() + _SHARE * self._spent_s
        self._spent_s += time.monotonic() - began_s
        return self._taking is None

    def _end_file(self, session: Session, feed: "Feed", end_ns: int) -> None:
        """What is last in a file: the snapshots, as far as they are others than at its head, and the statistics."""
        _write(session, _as_packets(_capture(session, end_ns), "stop"), end_ns)
        for one in self._told:
            if self._at_head.get((one.netns, one.kind)) != one.digest:
                _write(session, one.stop, end_ns)
        for number, (ring, interface) in enumerate(session.rings):
            write_statistics(session, interface, feed.ring_packets(number) + ring.lost, ring.lost)
        for number, (listener, interface) in enumerate(session.sockets):
            write_statistics(session, interface, feed.messages_written(number) + listener.lost, listener.lost)
        for source in session.sources:
            source.write_statistics(feed)


def _read_losses(session: Session) -> None:
    """What is lost until now is told at the end of the file."""
    for ring, _ in session.rings:
        ring.read_statistics()
        ring.reported_lost = ring.lost
    for listener, _ in session.sockets:
        listener.read_lost()
        listener.reported_lost = listener.lost


def _snapshots(session: Session) -> Iterator[_Told]:
    """Take all but the one of the capture itself, which differs from file to file."""
    times = CaptureTimes(started_ns=session.since_ns, ended_ns=None)
    targets, warnings = session.targets, session.warnings
    facts = take_snapshots(session.options, times, session.node, targets, warnings, session.dropped)
    for snapshot in chain(facts, socket_snapshots(targets, session.owners, warnings)):
        if snapshot.kind != "capture":
            start, stop = list(_as_packets(snapshot, "start")), list(_as_packets(snapshot, "stop"))
            digest = blake2b(b"".join(start), digest_size=16).digest()
            yield _Told(snapshot.netns, snapshot.kind, start, stop, digest)


def _capture(session: Session, ended_ns: int | None) -> Snapshot:
    times = CaptureTimes(started_ns=session.since_ns, ended_ns=ended_ns)
    return capture_snapshot(session.options, times, session.targets)


def _as_packets(snapshot: Snapshot, moment: str) -> Iterator[bytes]:
    return snapshot_packets(moment=moment, netns=snapshot.netns, kind=snapshot.kind, data=snapshot.data)


def _write(session: Session, packets: Iterable[bytes], time_ns: int) -> None:
    for data in packets:
        session.output.append(enhanced_packet(interface=session.snapshot_interface, time_ns=time_ns, data=data))
