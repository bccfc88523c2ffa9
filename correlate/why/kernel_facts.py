"""What the kernel said of a packet: the rules that decided, with the messages that name them, and conntrack entries."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import joined
from ..netfilter.numbers import NFT_GOTO, NFT_JUMP, NFT_RETURN
from ..result.correlation import Correlation
from ..result.reasons import RULE_CHANGED, rule_place
from ..result.values import ChainHop, InterfaceHop, KernelHop
from ..result.words import PROTOCOLS, entry_end, packet_info
from ..schema import CONNTRACK, CONNTRACK_DESTROYED, CONNTRACK_DUMPED, CONNTRACK_NEW
from ..sightings import EVALUATION, FRAME, of_kind, told
from .passages import Passage
from .values import Fact

_ON_THE_WAY: Final = (NFT_JUMP, NFT_GOTO, NFT_RETURN)
"""Verdicts of rules that lead from chain to chain: the way shows them."""
_LATE_NS: Final = 100_000_000
"""A message of conntrack comes not longer than this behind its packet."""
_MOST_ENTRIES: Final = 4
_COLUMNS: Final = ("original", "translated", "reply", "restored")


def trace_facts(result: Correlation, passage: Passage) -> Iterator[Fact]:
    """The rules and policies that decided in a namespace, in order."""
    chains = of_kind(result.sightings, EVALUATION)
    for row in passage.sightings:
        if not chains.start <= row < chains.stop or result.said["own"][row - told(result.sightings).start]:
            continue
        hop = result.hop_of(row)
        evaluation = result.evaluations.rows[row - chains.start]
        if not isinstance(hop, ChainHop):
            continue
        where = f"{passage.place} {hop.hook}"
        for event in range(int(evaluation["first_event"]), int(evaluation["last_event"])):
            number = int(result.book.of_event[event])
            if number >= 0 and result.evaluations.events["verdict"][event] not in _ON_THE_WAY:
                rule = result.book.rules[number]
                text = rule.text or (RULE_CHANGED if rule.changed else "in no snapshot")
                yield _traced(result, event, passage, f"{where}: {rule_place(rule)}: {text}")
        if hop.by_policy:
            chain = f"{hop.family} {hop.table} {hop.chain}"
            last = int(evaluation["last_event"]) - 1
            yield _traced(result, last, passage, f"{where}: {chain}: policy {hop.verdict}")


def _traced(result: Correlation, event: int, passage: Passage, text: str) -> Fact:
    row = result.evaluations.events[event]
    read_ns = _reference(result, passage.namespace.node, int(row["time_ns"]))
    return Fact(
        what="trace", text=text, file=result.files[int(row["file"])].path, frame=int(row["frame"]), read_ns=read_ns
    )


def drop_facts(result: Correlation, passage: Passage) -> Iterator[Fact]:
    """What else the kernel said of it in a namespace: that it dropped it, and why."""
    for row in passage.sightings:
        hop = result.hop_of(row) if result.sightings["kind"][row] not in (FRAME, EVALUATION) else None
        if isinstance(hop, KernelHop):
            seen = result.sightings[row]
            yield Fact(
                what="kernel", text=f"{passage.place}: {hop.says}", file=result.files[int(seen["file"])].path,
                frame=int(seen["frame"]), read_ns=hop.time_ns,
            )  # fmt: skip


def conntrack_facts(result: Correlation, passage: Passage) -> Iterator[Fact]:
    """The entries that the packet had in a namespace."""
    rows, files = _messages(result, passage)
    ids = [number for number in dict.fromkeys(rows["id"].tolist()) if _is_alive(rows, number, passage, result)]
    for number in ids[:_MOST_ENTRIES]:
        yield _entry(result, passage, rows, files, number)


def _messages(result: Correlation, passage: Passage) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """(CONNTRACK rows of the namespace about entries that fit the packet, the file of each)."""
    seen = np.array(passage.sightings)
    flows = result.sightings["flow"][seen]
    said = seen[seen >= told(result.sightings).start] - told(result.sightings).start
    named = np.unique(result.said["conntrack_id"][said])
    named = named[named > 0]
    tables = [messages.conntrack for messages in result.messages]
    here = [table["namespace"] == passage.namespace.index for table in tables]
    fits = [np.isin(table["id"], named) for table in tables]
    for table, some in zip(tables, fits, strict=True):
        for column in _COLUMNS:
            some |= np.isin(table[column], flows)
    of_packet = [table["id"][a & b] for table, a, b in zip(tables, here, fits, strict=True)]
    ids = np.unique(np.concatenate([np.empty(0, np.int64), *of_packet]))
    rows = [np.flatnonzero(a & np.isin(table["id"], ids)) for table, a in zip(tables, here, strict=True)]
    found = joined(CONNTRACK, (table.take(some) for table, some in zip(tables, rows, strict=True)))
    files = [np.empty(0, np.int64), *(np.full(some.size, number) for number, some in enumerate(rows))]
    return found, np.concatenate(files)


def _is_alive(rows: npt.NDArray[np.void], number: int, passage: Passage, result: Correlation) -> bool:
    """The entry was in the table when the packet was there, as far as its messages tell."""
    of = rows[rows["id"] == number]
    times = [_reference(result, passage.namespace.node, one) for one in of["time_ns"].tolist()]
    events = of["event"].tolist()
    pairs = list(zip(events, times, strict=True))
    begins = [time for event, time in pairs if event == CONNTRACK_NEW]
    ends = [time for event, time in pairs if event == CONNTRACK_DESTROYED]
    begun = not begins or min(begins) <= passage.time_ns + _LATE_NS or CONNTRACK_DUMPED in events
    return begun and (not ends or max(ends) >= passage.time_ns)


def _entry(
    result: Correlation, passage: Passage, rows: npt.NDArray[np.void], files: npt.NDArray[np.int64], number: int
) -> Fact:
    which = np.flatnonzero(rows["id"] == number)
    first = rows[int(which[0])]
    ways = [
        f"{entry_end(first, f'{way}_source')} -> {entry_end(first, f'{way}_destination')}"
        for way in ("original", "reply")
    ]
    events = rows["event"][which].tolist()
    began = "in the table when the capture began" if events[0] == CONNTRACK_DUMPED else "made then"
    ended = ", gone before the capture ended" if events[-1] == CONNTRACK_DESTROYED else ""
    protocol = PROTOCOLS.get(int(first["protocol"]), str(int(first["protocol"])))
    return Fact(
        what="conntrack",
        text=f"{passage.place}: entry {number}: {protocol} {ways[0]}, answered by {ways[1]}; {began}{ended}",
        file=result.files[int(files[which[0]])].path, frame=int(first["frame"]),
        read_ns=_reference(result, passage.namespace.node, int(first["time_ns"])),
    )  # fmt: skip


def _reference(result: Correlation, node: str, time_ns: int) -> int:
    clock = next((one for one in result.clocks if one.node == node), None)
    return clock.reference_ns(time_ns) if clock is not None else time_ns


def icmp_facts(result: Correlation, index: int) -> Iterator[Fact]:
    """The ICMP error about a packet, or the packets that an error is about; `index`: of the path."""
    error = int(result.outcomes.related[index])
    if error >= 0:
        yield from _sighting(result, error, "it was answered with")
    for quoted in np.flatnonzero(result.outcomes.related == index)[:_MOST_ENTRIES].tolist():
        yield from _sighting(result, quoted, "it is about")


def _sighting(result: Correlation, index: int, what: str) -> Sequence[Fact]:
    head = int(result.head[index])
    hop = result.hop_of(head)
    if not isinstance(hop, InterfaceHop):
        return []
    text = f"{what} path #{int(result.ids.paths[index])}, {packet_info(result.sightings[head])}"
    return [Fact(what="frame", text=f"{text} {hop.source} -> {hop.destination}", file=hop.file, frame=hop.frame)]
