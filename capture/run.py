"""One capture from start to end: opened in the order that loses nothing, closed in the one that leaves nothing."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..errors import TtraceError
from ..kernels.folders import kernel_folders
from .descriptors import check_descriptors, raise_limit, told
from .ending import end_sources, finish
from .kept_rights import begin_with_few_rights, give_up_rights
from .machine.journal import Journal, restore_stale
from .machine.rights import check_rights
from .opening import begin, compile_first, forget_losses, open_rings, open_sockets, reserve
from .options import BrokenOffError, CaptureOptions, CaptureStatus, CaptureSummary
from .recording_snapshots import begin_snapshots, look_at_sockets
from .rotation.files import CaptureFiles
from .rotation.seam import Rotation
from .session import Session, close_rings, write_statistics
from .sources import SOURCES
from .stop import StoppedError, StopSignals, bound_s
from .stream.ready import ahead
from .summary import status_of, summary_of
from .targets import resolve_targets
from .unwritten import note_unwritten
from .watch import Watch

if TYPE_CHECKING:
    from .stream.feed import Feed

StatusCallback = Callable[[CaptureStatus], None]
SayCallback = Callable[[str], None]
_TICK_S = 0.25
_PENDING_S = 0.05
"""How soon a source has its turn that waits for it."""
_OWNERS_S = 0.5
"""Whose sockets are is looked for a while: less than this (`owners.py`)."""
_FIRST_SNAPSHOTS_S = 10.0
"""The capture says that it has begun when the first snapshots are there, but waits no longer for them."""


def run_capture(
    options: CaptureOptions,
    *,
    status: StatusCallback | None = None,
    say: SayCallback = lambda _line: None,
    own_process: bool = False,
) -> CaptureSummary:
    """Capture until a signal (SIGINT, SIGTERM, SIGHUP, SIGQUIT), the duration or the count ends it; blocks meanwhile.

    `status` is called about four times a second, `say` with a line where something makes the start slow. With
    `own_process` the process is there for this capture alone, and gives up what rights are not needed once all is open,
    for good (`kept_rights.py`). Raises TtraceError; a BrokenOffError when something was recorded.
    """
    options.refuse_contradictions()
    check_rights(other_namespaces=bool(options.netns or options.containers))
    raise_limit()
    if own_process:
        begin_with_few_rights()
    try:
        with ExitStack() as stack:
            stop = stack.enter_context(StopSignals())
            session, rotation = _open(options, stack, stop, say)
            return _run(session, rotation, stop, status, own_process=own_process)
    except StoppedError as stopped:
        raise TtraceError("ended by a signal before it captured anything") from stopped


def _open(options: CaptureOptions, stack: ExitStack, stop: StopSignals, say: SayCallback) -> tuple[Session, Rotation]:
    """Find what to capture, and open the rings: from then on packets are buffered."""
    node = options.node_name or socket.gethostname()
    with told():
        warnings = _found_at_the_start()
        targets = resolve_targets(options, stop_fd=stop.fd)
    stack.callback(targets.close)
    check_descriptors(targets)
    stop.bound_s = bound_s(len(targets.targets))
    files = stack.enter_context(CaptureFiles(options, node, is_stopped=lambda: stop.requested))
    rotation = Rotation(options, files)
    compile_first(stop, say)
    arena, budget = reserve(options, targets)
    stack.callback(arena.close)
    session = Session(options, node, targets, files, arena, Journal(), stack, budget)
    stack.callback(close_rings, session)
    stack.callback(session.workers.close)
    session.warnings += warnings + targets.warnings
    session.sources = [kind(session) for kind in SOURCES]
    stop.break_off = session.journal.restore
    open_rings(session)
    return session, rotation


def _found_at_the_start() -> list[str]:
    """Warnings: what an earlier capture left, which is put back, and what will take longer than need be."""
    warnings = [f"left by an earlier capture: {line}" for line in restore_stale()]
    if not ahead() and (refused := kernel_folders().refused):
        warnings.append(f"everything is compiled anew each time: {refused}")
    return warnings


def _run(
    session: Session, rotation: Rotation, stop: StopSignals, status: StatusCallback | None, *, own_process: bool
) -> CaptureSummary:
    """Listen, record, and end. Raises BrokenOffError with what was recorded where that ended before it was asked to."""
    try:
        open_sockets(session)
        # Beside the loading of the kernels, and before rights are given up: a capture keeps too few for it.
        looking = look_at_sockets(session)
        feed = begin(session)
        if own_process:
            looking.join(_OWNERS_S)
            give_up_rights(session)
        failure = _record(session, feed, rotation, stop, status)
    finally:
        end_sources(session)
        session.warnings += session.journal.restore()
    rotation.end(session)
    summary = summary_of(session, feed)
    if failure:
        raise BrokenOffError(failure, summary) from failure
    return summary


def _record(
    session: Session, feed: "Feed", rotation: Rotation, stop: StopSignals, status: StatusCallback | None
) -> TtraceError | None:
    """Record from the first snapshots to the last; returns why it ended before it was asked to, if so."""
    failure = None
    try:
        forget_losses(session, feed)
        failure = _follow(session, feed, rotation, stop, status)
        if failure and session.output.where is None:
            raise failure  # nobody reads what else would be written
        end_sources(session)
        finish(session, feed, rotation)
    except TtraceError as error:
        note_unwritten(session, feed)
        return failure or error
    return failure or rotation.failure or session.output.trouble()


def _follow(
    session: Session, feed: "Feed", rotation: Rotation, stop: StopSignals, status: StatusCallback | None
) -> TtraceError | None:
    """Record; between whiles see to what is seldom. Returns what became of the file or the disk, if that ended it."""
    watch = Watch(session, feed, stop)
    feed.wake_for(watch.fileno())
    begin_snapshots(session, feed, "start")
    begun = next_tick = time.monotonic()
    is_ready = False
    try:
        while not rotation.is_over and not stop.requested and not feed.is_full:
            now = time.monotonic()
            if not is_ready and (not session.workers.pending or now > begun + _FIRST_SNAPSHOTS_S):
                is_ready = True
                _say_begun(session, feed, rotation)
            if now >= next_tick:
                next_tick = now + _TICK_S
                _note_losses(session, feed)
                if failure := session.output.trouble():
                    return failure
                if status and is_ready:
                    status(status_of(session, feed))
            left_s = _left_s(session, rotation, now) if is_ready else _TICK_S
            if left_s <= 0:
                break
            is_pending = any(source.is_pending for source in session.sources)
            feed.record(min(next_tick - now, left_s, _PENDING_S if is_pending else _TICK_S))
            watch.wait(0)
            session.workers.see_to_results()
            if is_ready:
                _have_turns(session, feed, rotation)
        return rotation.failure
    finally:
        watch.close()


def _say_begun(session: Session, feed: "Feed", rotation: Rotation) -> None:
    """Tell all who have a turn that the snapshots of the start are in the file."""
    for source in session.sources:
        source.follow(feed)
    rotation.begin(session, feed)


def _have_turns(session: Session, feed: "Feed", rotation: Rotation) -> None:
    for source in session.sources:
        source.record(feed)
    rotation.record(session, feed)


def _left_s(session: Session, rotation: Rotation, now_s: float) -> float:
    """How long the loop may run: until the end of the capture's duration, or the change of files that is next."""
    duration_s = session.options.duration_s
    left_s = _TICK_S if duration_s is None else duration_s - session.elapsed_s
    due_s = rotation.due_s
    return left_s if due_s is None or due_s <= now_s else min(left_s, due_s - now_s)


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
