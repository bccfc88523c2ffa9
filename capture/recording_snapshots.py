"""Takes snapshots while the capture goes on: in threads, since reading them takes a while and may hang."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from ..errors import TtraceError
from .machine.netns import Netns
from .parallel import Result
from .session import Session, add_snapshot
from .snapshots import CaptureTimes, Snapshot, netns_snapshots, node_snapshots, ruleset_snapshot
from .socket_snapshots import all_socket_snapshots

if TYPE_CHECKING:
    from .stream.feed import Feed


def begin_snapshots(session: Session, feed: "Feed", moment: str, ended_ns: int | None = None) -> None:
    """Have the snapshots of `moment` taken into the stream; those of all namespaces at once."""
    times = CaptureTimes(started_ns=session.since_ns, ended_ns=ended_ns)
    # What is counted is counted from when the capture began, which is before its first snapshots are taken.
    dropped = {} if moment == "start" and session.drop_counter else session.dropped
    _add(session, feed, moment, node_snapshots(session.options, times, session.node, session.targets, dropped))
    known = session.targets.known
    for target in session.targets.targets:
        read = partial(netns_snapshots, target.netns, known, session.warnings)
        _submit(session, feed, moment, target.netns, "no snapshot", read)
        begin_ruleset_snapshot(session, feed, moment, target.netns, "no rules recorded")
    read_sockets = session.first_sockets if moment == "start" and session.first_sockets else _sockets(session)
    _submit(session, feed, moment, session.targets.targets[0].netns, "no sockets recorded", read_sockets)


def look_at_sockets(session: Session) -> Thread:
    """Have the sockets of the start read: before rights are given up, for whose they are takes more than are kept. By a
    thread of its own, which ends, and its rights with it. One that takes long is waited for by who wants them."""
    read, results = _sockets(session), list[Result]()
    thread = Thread(target=lambda: results.append(Result(read)), daemon=True)

    def first_sockets() -> list[Snapshot]:
        thread.join()
        found: list[Snapshot] = results[0].get()
        return found

    session.first_sockets = first_sockets
    thread.start()
    return thread


def _sockets(session: Session) -> Callable[[], list[Snapshot]]:
    return partial(all_socket_snapshots, session.targets, session.owners, session.warnings)


def begin_ruleset_snapshot(session: Session, feed: "Feed", moment: str, netns: Netns, missing: str) -> None:
    """Have the rules of one namespace read into the stream; `missing` begins the warning if they cannot be."""
    _submit(session, feed, moment, netns, missing, lambda: [ruleset_snapshot(netns)])


def finish_snapshots(session: Session, feed: "Feed", patience_s: float) -> None:
    """Wait for all that were begun, but no longer than this; what is not there then is left out, with a warning."""
    deadline_s = time.monotonic() + patience_s
    while session.workers.pending and time.monotonic() < deadline_s:
        session.workers.see_to_results(0.05)
        feed.receive()
    if session.workers.pending:
        session.warnings.append(f"{session.workers.pending} snapshots were not there in time and are left out")
        session.workers.abandon()


def _submit(
    session: Session, feed: "Feed", moment: str, netns: Netns, missing: str, task: Callable[[], list[Snapshot]]
) -> None:
    def see_to(result: Result) -> None:
        try:
            snapshots: list[Snapshot] = result.get()
        except TtraceError as error:
            session.warnings.append(f"{netns.description}: {missing}: {error.message}")
        else:
            _add(session, feed, moment, snapshots)  # a file that cannot be written is more than a missing snapshot

    session.workers.submit(task, see_to)


def _add(session: Session, feed: "Feed", moment: str, snapshots: list[Snapshot]) -> None:
    for snapshot in snapshots:
        # With the time at which it comes into the stream, not a few ms ago: what is older may be written already.
        add_snapshot(session, feed, replace(snapshot, time_ns=time.time_ns()), moment)
