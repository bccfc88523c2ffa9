"""By how much the kernel's counters grew, by the snapshots at the start and at the end of files."""

from collections.abc import Iterable, Iterator
from typing import Any

from .counted_drops import PREFIX


def growth(files: Iterable[dict[str, Any]]) -> dict[str, int] | None:
    """Sums over all files that have both snapshots (`files`: moment to data): those of a ring follow each other without
    a gap. None where none has both. What went back (its interface is another one) is left out."""
    found: dict[str, int] = {}
    known = False
    for said in files:
        if "start" not in said or "stop" not in said:
            continue
        known = True
        both = {group for group, counts in said["start"].items() if counts is not None}
        start = dict(_flat(said["start"]))
        stop = dict(_flat({group: counts for group, counts in said["stop"].items() if group in both}))
        for name, number in stop.items():
            if (grown := number - start.get(name, 0)) > 0:
                found[name] = found.get(name, 0) + grown
    return found if known else None


def _flat(data: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Each counter by the name that NamespaceFacts.counters has for it. A group that is not there says nothing."""
    for group in ("snmp", "snmp6", "netstat"):
        yield from (data.get(group) or {}).items()
    for group in ("conntrack", "softnet"):
        yield from ((f"{group}.{name}", number) for name, number in (data.get(group) or {}).items())
    for group, kind in (("links", "link"), ("qdiscs", "qdisc"), ("drops", PREFIX)):
        for of, counts in (data.get(group) or {}).items():
            yield from ((f"{kind}.{of}.{name}", number) for name, number in counts.items())
