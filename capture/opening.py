"""Opens what a capture listens with, in the order that loses nothing: rings, sockets, the loop, the sources."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import TtraceError
from ..pcapng.write import name_resolution
from .machine.links import Link
from .options import CaptureOptions
from .parallel import in_parallel
from .rotation.freezing import seen_bits
from .session import Session, add_interface, add_ring, begin_section, open_chosen
from .snapshots import container_names
from .sockets.arena import Arena
from .sockets.drops import ARENA_BYTES
from .sockets.netfilter import WAITING_BYTES, arena_bytes, open_netfilter_socket
from .sockets.ring import UNIT_BYTES, Ring, RingBudget, ring_budget
from .sources import CannotRunError
from .stop import StoppedError, StopSignals
from .stream.ready import are_ready, compile_kernels, kernels
from .targets import Target, Targets
from .watch import EXPECTED_ARRIVALS, MAX_ARRIVALS

if TYPE_CHECKING:
    from .stream.feed import Feed


def compile_first(stop: StopSignals, say: Callable[[str], None]) -> None:
    """Where no kernels were compiled ahead, compile them before the rings open: these would fill up. The first time on
    a machine that takes some seconds.

    Afterwards they are kept, and loaded while the rings already buffer. Raises StoppedError at a signal: all else
    before the loop is short, or looks at `stop` itself.
    """
    if not are_ready():
        with stop.raising():
            try:
                compile_kernels(say)
            except Exception as error:
                # What a signal raises may be lost on its way through the compiler, which then fails of itself.
                if stop.requested:
                    raise StoppedError from error
                raise


def reserve(options: CaptureOptions, targets: Targets) -> tuple[Arena, RingBudget]:
    """Address space for every ring there may be, and how much memory the rings get."""
    points = sum(len(target.chosen) for target in targets.targets)
    expected, most = (0, 0) if options.interfaces else (EXPECTED_ARRIVALS, MAX_ARRIVALS)
    budget = ring_budget(options.ring_mib, points + expected)
    arena = Arena(
        slots=points + most,
        slot_bytes=budget.share_units * UNIT_BYTES,
        buffer_bytes=len(targets.targets) * arena_bytes(options.buffer_mib) + WAITING_BYTES + ARENA_BYTES,
    )
    return arena, budget


def open_rings(session: Session) -> None:
    """Write the file's head and open every ring; packets are buffered from here on.

    All at once: the kernel takes some 10 ms for each, in which it waits.
    """
    begin_section(session)
    opened: list[Ring] = []

    def open_one(point: tuple[Target, Link]) -> Ring | None:
        ring = open_chosen(session, *point)
        if ring:
            opened.append(ring)
        return ring

    points = [(target, link) for target in session.targets.targets for link in target.chosen]
    try:
        rings = in_parallel(open_one, points)
    except BaseException:
        for ring in opened:
            ring.close()
        raise
    for (target, _), one in zip(points, rings, strict=True):
        if one:
            add_ring(session, target, one)
    if not session.rings:
        raise TtraceError(session.warnings[-1] if session.warnings else "no interface to capture on")
    session.begin_now()


def open_sockets(session: Session) -> None:
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
    for source in session.sources:
        with _going_on_without(session):
            source.describe(None)
    session.snapshot_interface = add_interface(session, None, "snapshot", "snapshot")
    session.output.append(name_resolution(container_names(session.targets)))


def begin(session: Session) -> "Feed":
    """Load the converter, while packets are being buffered, and only then start tracing.

    A message's time is that of its receipt: one that waits for the kernels would get a wrong one.
    """
    from .stream.feed import Feed

    watched = seen_bits(session.options)
    feed = Feed(
        kernels(), session.arena, session.output, session.rings, session.sockets, session.options.count, watched,
        session.drops, session.snapshot_interface,
    )  # fmt: skip
    session.stack.callback(feed.close)
    for source in session.sources:
        with _going_on_without(session):
            source.begin(feed)
    session.output.begin()
    return feed


def forget_losses(session: Session, feed: "Feed") -> None:
    """Where something was lost until now, the capture begins only now: it was not ready for what came before.

    While the kernels are loaded nobody empties the rings. Losses are those of the time that a capture says it covers.
    """
    settled_ns = feed.settled_ns
    feed.receive()
    feed.write_until(settled_ns)  # in the blocks that the kernel still fills are older packets than what came since
    lost = sum([ring.forget_lost() for ring, _ in session.rings])
    lost += sum([listener.forget_lost() for listener, _ in session.sockets])
    lost += sum([source.forget_lost() for source in session.sources])
    if lost:
        session.begin_now()
        if session.drop_counter is not None:
            session.drop_counter.forget()


@contextmanager
def _going_on_without(session: Session) -> Iterator[None]:
    """What a source lacks is a warning."""
    try:
        yield
    except CannotRunError as missing:
        session.warnings.append(str(missing))
