"""What a connection met on its way, as text: a table of its segments, and its losses in a few words."""

from typing import Final

from ...correlate.summaries.connections import ConnectionSummary
from ...correlate.summaries.legs import Leg
from ...correlate.summaries.timeline import LONG_NS, PLACES
from ..telling import ConnectionTold
from .units import duration
from .words import interface_name, way_words

_HEADINGS: Final = ("packets", "lost", "unknown", "min", "median", "p99")
_NONE: Final = "-"
_WORDS: Final = {
    "handshake": "handshake", "server": "server", "client": "client's pauses", "way": "on the way",
    "sending": "sending", "again": "waiting for what was sent again",
}  # fmt: skip


def losses_in_words(told: ConnectionTold) -> str:
    """`, 3 lost, 4 retransmitted (1 spurious)`: what a connection lost and sent again; empty for nothing. Of a single
    path the outcome says it all."""
    several = told.connection.packets > 1
    return "".join(f", {word}" for word in _losses(told.summary, (0, 1))) if several else ""


def _losses(summary: ConnectionSummary, ways: tuple[int, ...]) -> list[str]:
    dropped, lost, again, spurious = (
        sum(counts[way] for way in ways)
        for counts in (summary.dropped, summary.lost, summary.retransmissions, summary.spurious)
    )
    note = f" ({spurious:,} spurious)" if spurious else ""
    counted = ((dropped, "dropped"), (lost, "lost"), (again, f"retransmitted{note}"))
    return [f"{count:,} {what}" for count, what in counted if count]


def timeline_in_words(told: ConnectionTold) -> str:
    """`in 1.24 s: server 1.20 s (97 %), handshake 184 us`: where the time of a connection went, the most first; empty
    where that was not asked for, and nothing took long."""
    timeline = told.summary.timeline
    if timeline is None or timeline.total <= 0:
        return ""
    if not told.in_full and timeline.longest_ns < LONG_NS:
        return ""
    parts = sorted(((getattr(timeline, name), name) for name in PLACES), reverse=True)
    texts = [
        f"{_WORDS[name]} {duration(time)} ({100 * time / timeline.total:.0f} %)" for time, name in parts if time > 0
    ]
    return f"in {duration(timeline.total)}: {', '.join(texts)}"


def segments_table(told: ConnectionTold) -> str:
    """The segments of a connection and its retransmissions; empty where only single points saw it."""
    legs = told.summary.legs
    if not any(leg.to_point for leg in legs):
        return ""
    names = [
        (interface_name(leg.from_point), interface_name(leg.to_point) if leg.to_point else "not seen further")
        for leg in legs
    ]
    cells = [_cells(leg) for leg in legs]
    clocks = [_clock(leg) for leg in legs]
    begin, end = (max(len(pair[side]) for pair in names) for side in (0, 1))
    widths = [max(len(heading), *(len(row[i]) for row in cells)) for i, heading in enumerate(_HEADINGS)]
    margin = " " * (begin + end + 8)
    lines = [
        f"\nSegments of connection {told.connection.id}\n",
        _line(margin, _HEADINGS, widths, "clock error" * any(clocks)),
    ]
    for way, forward in enumerate((True, False)):
        rows = [i for i, leg in enumerate(legs) if leg.forward == forward]
        if rows:
            losses = ", ".join(_losses(told.summary, (way,)))
            lines.append(f"  {way_words(forward=forward)}{f': {losses}' if losses else ''}\n")
        for i in rows:
            segment = f"    {names[i][0]:<{begin}} -> {names[i][1]:<{end}}"
            lines.append(_line(segment, cells[i], widths, clocks[i]))
    return "".join(lines)


def _line(segment: str, cells: tuple[str, ...], widths: list[int], clock: str) -> str:
    numbers = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{segment}{numbers}  {clock}".rstrip() + "\n"


def _cells(leg: Leg) -> tuple[str, ...]:
    tried = leg.packets + leg.lost
    share = f" ({100 * leg.lost / tried:.1f} %)" if leg.lost and leg.packets else ""
    times = (leg.minimum_ns, leg.median_ns, leg.p99_ns)
    latencies = (duration(time) if time is not None else _NONE for time in times)
    packets = f"{leg.packets:,}" if leg.to_point else _NONE
    return packets, f"{leg.lost:,}{share}", f"{leg.unknown:,}", *latencies


def _clock(leg: Leg) -> str:
    """How far the clocks at the two ends may be apart; empty where one clock stamped both."""
    if leg.to_point is None or leg.clock_error_ns == 0:
        return ""
    return f"± {duration(leg.clock_error_ns)}" if leg.clock_error_ns is not None else "unknown"
