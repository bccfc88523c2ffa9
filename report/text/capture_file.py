"""What `ttrace show` says of a file, as text."""

from datetime import UTC, datetime

from ...correlate.summaries.one_file import CaptureDescription, NamespaceDescription, PointDescription
from ...escaping import safe
from .units import duration, plural, size


def description_text(capture: CaptureDescription) -> str:
    """The description as lines: the file, its settings, capture points, namespaces."""
    capture = safe(capture)
    lines = [f"{capture.file}: {size(capture.bytes)}, {plural(capture.records, 'frame')}, node {capture.node}"]
    if not capture.is_ttrace:
        lines.append("  not made by ttrace: no trace, no conntrack, no snapshots")
    if capture.start_ns is not None and capture.end_ns is not None:
        start = datetime.fromtimestamp(capture.start_ns / 1e9, UTC)
        lines.append(f"  {start:%Y-%m-%d %H:%M:%S} UTC, {duration(capture.end_ns - capture.start_ns)} long")
    if capture.truncated_at is not None:
        lines.append(f"  cut short: the last whole block ends at byte {capture.truncated_at:,} of {capture.bytes:,}")
    lines += _machine(capture)
    lines.append("Capture points")
    lines += [_point(point) for point in capture.points]
    if capture.namespaces:
        lines.append("Netfilter")
        lines += [_namespace(namespace) for namespace in capture.namespaces]
    if capture.kernel_drops is not None:
        lines += ["Packets that the kernel dropped, on the whole machine"]
        lines += [f"  {one.packets:,} for {one.words}" for one in capture.kernel_drops] or ["  none"]
    return "\n".join(lines) + "\n"


def _machine(capture: CaptureDescription) -> list[str]:
    lines = []
    if capture.machine:
        kernel, host = capture.machine.get("kernel", "unknown"), capture.machine.get("hostname", "unknown")
        lines.append(f"  kernel {kernel}, host name {host}")
    if capture.settings:
        asked = {k: v for k, v in capture.settings.items() if v not in (None, False, [], "")}
        lines.append("  settings: " + ", ".join(f"{k} {v}" for k, v in asked.items() if not isinstance(v, list | dict)))
    if capture.containers:
        lines.append(f"  containers: {', '.join(capture.containers)}")
    if capture.snapshots:
        lines.append(f"  {plural(capture.snapshots, 'snapshot')}")
    return lines


def _point(point: PointDescription) -> str:
    lost = "losses unknown" if point.lost is None else f"LOST {point.lost:,}" if point.lost else "nothing lost"
    text = f"  {point.netns} {point.interface}: {plural(point.packets, 'packet')}, {lost}"
    return text + (f", filter `{point.filter}`" if point.filter else "")


def _namespace(namespace: NamespaceDescription) -> str:
    lost = f"LOST {plural(namespace.lost, 'message')}" if namespace.lost else "nothing lost"
    if namespace.lost is None:
        lost = "losses unknown"
    rules = "no ruleset" if namespace.rules is None else plural(namespace.rules, "rule")
    return (
        f"  {namespace.netns}: {plural(namespace.trace_events, 'trace event')}, "
        f"{plural(namespace.conntrack_events, 'conntrack event')}, "
        f"{namespace.conntrack_entries:,} in the table at the start, {rules}, {lost}"
    )
