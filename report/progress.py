"""What is said on stderr while something runs: on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .units import duration, plural, size

if TYPE_CHECKING:
    from ..capture import CaptureStatus, CaptureSummary


@contextmanager
def capture_status() -> "Iterator[Callable[[CaptureStatus], None]]":
    """One line that is written over again; without a terminal, just the line that it has begun, for scripts that wait
    for it."""
    if not sys.stderr.isatty():
        begun = False

        def announce(_status: "CaptureStatus") -> None:
            nonlocal begun
            if not begun:
                sys.stderr.write("capturing; SIGINT or SIGTERM ends it\n")
                sys.stderr.flush()
                begun = True

        yield announce
        return

    def show(status: "CaptureStatus") -> None:
        lost = f"LOST {status.lost:,}" if status.lost else "0 lost"
        sys.stderr.write(
            f"\r\033[K{status.elapsed_s:6.1f} s  {plural(status.packets, 'packet')}  {size(status.bytes)}  "
            f"{plural(status.trace_events, 'trace event')}  {lost}  (Ctrl-C ends it)"
        )
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\033[K")


def capture_summary(summary: "CaptureSummary") -> str:
    """What a capture holds, point by point, and what it lost."""
    lines = [f"warning: {warning}" for warning in summary.warnings]
    lines.append(
        f"{summary.node}: {plural(summary.packets, 'packet')}, {plural(summary.trace_events, 'trace event')}, "
        f"{plural(summary.conntrack_events, 'conntrack event')} in {duration(int(summary.duration_s * 1e9))}, "
        f"{size(summary.bytes)} in {'stdout' if summary.file == '-' else summary.file}"
    )
    width = max((len(f"{p.netns} {p.interface}") for p in summary.points), default=0)
    for point in summary.points:
        lost = f"   LOST {point.lost:,}" if point.lost else ""
        lines.append(f"  {point.netns + ' ' + point.interface:<{width}}  {plural(point.packets, 'packet')}{lost}")
    for namespace in summary.namespaces:
        if namespace.lost:
            lines.append(f"  {namespace.netns} netfilter: LOST {plural(namespace.lost, 'message')}")
    if not summary.lost and not summary.netlink_lost:
        lines.append("  nothing was lost")
    return "\n".join(lines)


@contextmanager
def stages() -> Iterator[Callable[[str], None] | None]:
    """A spinner with the name of the stage; None when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield lambda stage: status.update(stage)
