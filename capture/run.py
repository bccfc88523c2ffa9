"""One capture from start to end: opened in the order that loses nothing, closed in the one that leaves nothing."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ..errors import TtraceError
from ..kernels.folders import CAPTURE, kernel_folders
from ..pcapng.write import name_resolution
from .kept_rights import begin_with_few_rights, give_up_rights
from .machine.journal import Journal, restore_stale
from .machine.rights import check_rights
from .options import BrokenOffError, CaptureOptions, CaptureStatus, CaptureSummary
from .rotation.files import CaptureFiles
from .rotation.freezing import seen_bits
from .rotation.seam import Rotation
from .session import (
    Session,
    add_interface,
    add_point,
    add_snapshot,
    begin_section,
    close_rings,
    write_statistics,
)
from .snapshots import CaptureTimes, container_names, take_snapshots
from .sockets.arena import Arena
from .sockets.netfilter import WAITING_BYTES, arena_bytes, open_netfilter_socket
from .sockets.ring import BLOCK_BYTES, HOLD_BACK_NS, RingBudget, ring_budget
from .sources import SOURCES, CannotRunError
from .stop import StopSignals
from .summary import status_of, summary_of
from .targets import Targets, resolve_targets
from .unwritten import note_unwritten
from .watch import EXPECTED_ARRIVALS, MAX_ARRIVALS, Watch

if TYPE_CHECKING:
    from .stream.feed import Feed

StatusCallback = Callable[[CaptureStatus], None]
_TICK_S = 0.25
_PENDING_S = 0.05
"""How soon a source has its turn that waits for it."""


def run_capture(
    options: CaptureOptions, *, status: StatusCallback | None = None, own_process: bool = False
) -> CaptureSummary:
    """Capture until a signal (SIGINT, SIGTERM, SIGHUP), the duration or the count ends it; blocks meanwhile.

    `status` is called about four times a second. With `own_process` the process is there for this capture alone, and
    gives up what rights are not needed once all is open, for good (`kept_rights.py`). Raises TtraceError; a
    BrokenOffError when something was recorded.
    """
    options.refuse_contradictions()
    check_rights(other_namespaces=bool(options.netns or options.containers))
    if own_process:
        begin_with_few_rights()
    node = options.node_name or socket.gethostname()
    with ExitStack() as stack:
        stop = stack.enter_context(StopSignals())
        warnings = _found_at_the_start()
        targets = resolve_targets(options, stop_fd=stop.fd)
        stack.callback(targets.close)
        files = stack.enter_context(CaptureFiles(options, node, is_stopped=lambda: stop.requested))
        rotation = Rotation(options, files)
        _compile_first()
        arena, budget = _reserve(options, targets)
        stack.callback(arena.close)
        session = Session(options, node, targets, files, arena, Journal(), stack, budget, time.time_ns())
        stack.callback(close_rings, session)
        session.warnings += warnings + targets.warnings
        session.sources = [kind(session) for kind in SOURCES]
        try:
            _open_rings(session)
            _open_sockets(session)
            feed = _begin(session)
            if own_process:
                give_up_rights(session)
            failure = _record(session, feed, rotation, stop, status)
        finally:
            _end_sources(session)
            session.warnings += session.journal.restore()
        rotation.end(session)
        return _result(session, feed, failure)


def _result(session: Session, feed: "Feed", failure: TtraceError | None) -> CaptureSummary:
    """What was recorded. Raises BrokenOffError with it where `failure` ended the capture."""
    summary = summary_of(session, feed)
    if failure:
        raise BrokenOffError(failure, summary) from failure
    return summary


def _found_at_the_start() -> list[str]:
    """Warnings: what an earlier capture left, which is put back, and what will take longer than need be."""
    warnings = [f"left by an earlier capture: {line}" for line in restore_stale()]
    if refused := kernel_folders().refused:
        warnings.append(f"everything is compiled anew each time: {refused}")
    return warnings


def _compile_first() -> None:
    """The first time on a machine, compile the kernels (some seconds) before the rings open: they would fill up.

    Afterwards they are kept, and loaded while the rings already buffer.
    """
    if not kernel_folders().are_complete(CAPTURE):
        from .stream.feed import compile_kernels

        compile_kernels()
        kernel_folders().mark_complete(CAPTURE)


def _reserve(options: CaptureOptions, targets: Targets) -> tuple[Arena, RingBudget]:
    """Address space for every ring there may be, and how much memory the rings get."""
    points = sum(len(target.chosen) for target in targets.targets)
    expected, most = (0, 0) if options.interfaces else (EXPECTED_ARRIVALS, MAX_ARRIVALS)
    budget = ring_budget(options.ring_mib, points + expected)
    arena = Arena(
        slots=points + most,
        slot_bytes=budget.share_blocks * BLOCK_BYTES,
        buffer_bytes=len(targets.targets) * arena_bytes(options.buffer_mib) + WAITING_BYTES,
    )
    return arena, budget


def _open_rings(session: Session) -> None:
    """Write the file's head and open every ring; packets are buffered from here on."""
    begin_section(session)
    for target in session.targets.targets:
        with target.netns.entered():
            for link in target.chosen:
                add_point(session, target, link)
    if not session.rings:
        raise TtraceError(session.warnings[-1] if session.warnings else "no interface to capture on")
    session.started_ns = session.since_ns = time.time_ns()


def _open_sockets(session: Session) -> None:
    """Listen to netfilter in every namespace; nothing is traced yet."""
    groups = sorted(group for source in session.sources for group in source.groups)
    wakes = [kind for source in session.sources for kind in source.wakes]
    for target in session.targets.targets:
        listener = open_netfilter_socket(
            session.arena, target.netns, buffer_mib=session.options.buffer_mib, groups=groups, wakes=wakes
        )
        session.stack.callback(listener.close)
        session.sockets.append((listener, add_interface(session, target, "netlink", "netfilter")))
        for source in session.sources:
            with _going_on_without(session):
                source.open(listener)
    session.snapshot_interface = add_interface(session, None, "snapshot", "snapshot")
    session.output.append(name_resolution(container_names(session.targets)))


def _begin(session: Session) -> "Feed":
    """Load the converter, while packets are being buffered, and only then start tracing.

    A message's time is that of its receipt: one that waits for numba to be imported would get a wrong one.
    """
    from .stream.feed import Feed, compile_kernels

    compile_kernels()
    watched = seen_bits(session.options)
    feed = Feed(session.arena, session.output, session.rings, session.sockets, session.options.count, watched)
    session.stack.callback(feed.close)
    for source in session.sources:
        with _going_on_without(session):
            source.begin(feed)
    session.output.begin()
    return feed


@contextmanager
def _going_on_without(session: Session) -> Iterator[None]:
    """What a source lacks is a warning."""
    try:
        yield
    except CannotRunError as missing:
        session.warnings.append(str(missing))


def _snapshots(session: Session, feed: "Feed", moment: str, ended_ns: int | None = None) -> Iterator[None]:
    """Take the snapshots of this moment into the stream; yields after each, as they take a while."""
    times = CaptureTimes(started_ns=session.since_ns, ended_ns=ended_ns)
    for snapshot in take_snapshots(session.options, times, session.node, session.targets, session.warnings):
        add_snapshot(session, feed, snapshot, moment)
        yield


def _record(
    session: Session, feed: "Feed", rotation: Rotation, stop: StopSignals, status: StatusCallback | None
) -> TtraceError | None:
    """Record from the first snapshots to the last; returns why it ended before it was asked to, if so."""
    failure = None
    try:
        for _ in _snapshots(session, feed, "start"):
            feed.receive()
            feed.write_until(time.time_ns() - HOLD_BACK_NS)
        failure = _run(session, feed, rotation, stop, status)
        if failure and session.output.where is None:
            raise failure  # nobody reads what else would be written
        _end_sources(session)
        _finish(session, feed, rotation)
    except TtraceError as error:
        note_unwritten(session, feed)
        return failure or error
    return failure or rotation.failure or session.output.trouble()


def _run(
    session: Session, feed: "Feed", rotation: Rotation, stop: StopSignals, status: StatusCallback | None
) -> TtraceError | None:
    """Record; between whiles see to what is seldom. Returns what became of the file or the disk, if that ended it."""
    # Measured from when the rings opened, on a clock that nobody sets.
    opened = time.monotonic() - (time.time_ns() - session.started_ns) / 1e9
    deadline = None if session.options.duration_s is None else opened + session.options.duration_s
    watch = Watch(session, feed, stop)
    for source in session.sources:
        source.follow(feed)
    try:
        next_tick = time.monotonic()
        rotation.begin(session, feed)
        while not rotation.is_over and not stop.requested and not feed.is_full:
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + _TICK_S
                _note_losses(session, feed)
                if failure := session.output.trouble():
                    return failure
                if status:
                    status(status_of(session, feed))
            if deadline is not None and now >= deadline:
                break
            ends = (deadline, rotation.due_s)
            until = min([next_tick, *(end for end in ends if end is not None and end > now)])
            is_pending = any(source.is_pending for source in session.sources)
            feed.record(min(until - now, _PENDING_S) if is_pending else until - now, watch.fileno())
            watch.wait(0)
            for source in session.sources:
                source.record(feed)
            rotation.record(session, feed)
        return rotation.failure
    finally:
        watch.close()


def _note_losses(session: Session, feed: "Feed") -> None:
    """Read the loss counters, and write a statistics block where one has grown."""
    for ring, interface in session.rings:
        ring.read_statistics()
        if ring.lost != ring.reported_lost:
            write_statistics(session, interface, ring.received, ring.lost)
            ring.reported_lost = ring.lost
    for number, (listener, interface) in enumerate(session.sockets):
        if listener.lost != listener.reported_lost:
            write_statistics(session, interface, feed.messages(number)[0] + listener.lost, listener.lost)
            listener.reported_lost = listener.lost


def _finish(session: Session, feed: "Feed", rotation: Rotation) -> None:
    """Tracing has ended: take what the kernel still holds, the last snapshots and the final statistics."""
    feed.receive()
    # Packets are taken for longer than they are traced: a chain that saw one of which there is no frame would be told
    # of a packet that went nowhere.
    end_ns = time.time_ns()
    rotation.drain(session, feed, end_ns)
    if rotation.is_over:
        rotation.finish(session, feed)
        return
    feed.end_packets()
    # With a packet limit, the packets ended with the last one wanted.
    ended_ns = end_ns if feed.full_ns is None else feed.full_ns
    for _ in _snapshots(session, feed, "stop", ended_ns):
        feed.receive()
    feed.write_until(time.time_ns())
    for number, (ring, interface) in enumerate(session.rings):
        ring.read_statistics()
        # Not the kernel's count: that goes on until now, and the packets in the file end with the capture.
        write_statistics(session, interface, feed.ring_packets(number) + ring.lost, ring.lost)
    for number, (listener, interface) in enumerate(session.sockets):
        listener.read_lost()
        write_statistics(session, interface, feed.messages_written(number) + listener.lost, listener.lost)


def _end_sources(session: Session) -> None:
    for source in reversed(session.sources):
        source.end()
