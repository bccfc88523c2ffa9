"""What is said on stderr while something runs: on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ...escaping import escape, safe, unguarded
from .units import duration, plural, size

if TYPE_CHECKING:
    from ...capture import CaptureStatus, CaptureSummary
    from ...correlate.progress import Progress


_SHARES: Final = {
    "reading": 0.12,
    "surveying": 0.12,
    "distributing": 0.18,
    "aligning clocks": 0.15,
    "linking connections": 0.16,
    "following packets": 0.16,
    "explaining rewrites and outcomes": 0.11,
}
"""Of the time that a correlation in parts takes (docs/performance.md)."""
_ORDER: Final = {name: number for number, name in enumerate(_SHARES)}


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
        _write_over(
            f"{status.elapsed_s:6.1f} s  {plural(status.packets, 'packet')}  {size(status.bytes)}  "
            f"{plural(status.trace_events, 'trace event')}  {lost}  (Ctrl-C ends it)"
        )

    try:
        yield show
    finally:
        _write_over("")


def _write_over(text: str) -> None:
    """Write the line of a terminal over again."""
    unguarded(sys.stderr).write(f"\r\033[K{escape(text)}")
    sys.stderr.flush()


def capture_summary(summary: "CaptureSummary", *, broken_off: bool = False) -> str:
    """What a capture holds, point by point, and what it lost; `broken_off`: an error that is said next ended it."""
    summary = safe(summary)
    lines = [f"warning: {warning}" for warning in summary.warnings]
    lines.append(
        f"{summary.node}: {plural(summary.packets, 'packet')}, {plural(summary.trace_events, 'trace event')}, "
        f"{plural(summary.conntrack_events, 'conntrack event')} in {duration(int(summary.duration_s * 1e9))}, "
        f"{size(summary.bytes)} in {_where(summary)}"
        f"{'' if summary.is_there else ', which is gone'}"
    )
    lines += [f"  kept: {folder}" for folder in summary.frozen]
    if summary.ending:
        lines.append(f"  ended: {summary.ending}")
    width = max((len(f"{p.netns} {p.interface}") for p in summary.points), default=0)
    for point in summary.points:
        lost = f"   LOST {point.lost:,}" if point.lost else ""
        lines.append(f"  {point.netns + ' ' + point.interface:<{width}}  {plural(point.packets, 'packet')}{lost}")
    for namespace in summary.namespaces:
        if namespace.lost:
            lines.append(f"  {namespace.netns} netfilter: LOST {plural(namespace.lost, 'message')}")
    if not broken_off and not summary.lost and not summary.netlink_lost:
        lines.append("  nothing was lost")
    return "\n".join(lines)


def _where(summary: "CaptureSummary") -> str:
    if summary.file == "-":
        return "stdout"
    if not summary.files:
        return summary.file
    removed = f", {summary.removed:,} removed" if summary.removed else ""
    first = f"{summary.files[0]} to " if summary.files[:1] != (summary.file,) else ""
    return f"a ring of {plural(len(summary.files), 'file')}{removed}: {first}{summary.file}"


@contextmanager
def stages() -> "Iterator[Progress]":
    """The name of the stage, and, where it is known how much of it is done, a bar for the whole with the time that is
    left; nothing when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(file=unguarded(sys.stderr)), transient=True) as bars:
        task = bars.add_task("reading", total=None)

        def show(stage: str, done: float | None) -> None:
            if done is None:
                bars.update(task, description=escape(stage))
                return
            before = sum(share for name, share in _SHARES.items() if _ORDER[name] < _ORDER.get(stage, 0))
            bars.update(task, description=escape(stage), total=1.0, completed=before + _SHARES.get(stage, 0) * done)

        yield show
