"""What conntrack's entries tell of packets that did not arrive: tuples that two want, bindings that point nowhere."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays.grouping import first_with, hashed
from ..netfilter.numbers import Hook
from ..outcomes.kinds import Outcome, Reason
from ..protocols import WITH_PORTS
from ..result.words import PROTOCOLS, address_text, entry_end
from ..schema import CONNTRACK_DESTROYED, CONNTRACK_DUMPED
from .by_rules import place_of_end
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .words import entry_evidence, frames_of, node_of, subject_of

_LATE_NS: Final = 2_000_000_000
"""The entry that has the tuple was made not longer than this behind the packet that wanted it."""
_CONFIRMING: Final = (Hook.POSTROUTING, Hook.INPUT)
_OPEN: Final = (Reason.UNPROVEN, Reason.HANDED_OVER, Reason.HOOK, Reason.BEHIND_HOOK, Reason.KERNEL_DROP)
"""What a packet ends for that no rule and no router gave up; of the drop itself the kernel says NETFILTER_DROP."""


def wanted_by_two(facts: Facts) -> Iterator[Seen]:
    """`conntrack_clash`: its translation leads to a tuple that the entry of another flow has, and it ended there.

    An entry is confirmed behind the last chain of postrouting or input; of two with the same tuple the second is
    dropped there, without a word of any rule (nf_conntrack_core.c, __nf_conntrack_confirm).
    """
    entries = _entries(facts)
    if entries.size == 0:
        return
    paths = np.flatnonzero(_not_delivered(facts) & facts.last_is_told & _is_open(facts))
    paths = paths[np.isin(facts.said_at(facts.last[paths])["hook"], _CONFIRMING)]
    paths, row = _with_entry(facts, paths, facts.last[paths], entries, "translated")
    mine = facts.result.sightings["flow"][first_in_last_namespace(facts)[paths]]
    other, own = entries["original"][row] != mine, facts.result.sightings["flow"][facts.last[paths]] != mine
    chosen = other & own & _is_alive(facts, entries.take(row), facts.result.sightings["time_ns"][facts.last[paths]])
    paths, row = paths[chosen], row[chosen]
    for one in groups(facts, paths, row, facts.complete[facts.result.connection_of_path[paths]]):
        yield _clash(facts, one, entries[int(row[np.flatnonzero(paths == one[0])[0]])])


def _clash(facts: Facts, paths: Rows, entry: np.void) -> Seen:
    first = int(paths[0])
    at = place_of_end(facts, first)
    wanted = f"{entry_end(entry, 'reply_destination')} -> {entry_end(entry, 'reply_source')}"
    holder = f"{entry_end(entry, 'original_source')} -> {entry_end(entry, 'original_destination')}"

    def say(extent: Extent) -> str:
        return (
            f"{at}: {extent.flow} was to leave as {wanted}, and conntrack has that for {holder}: the kernel drops the "
            f"one that is confirmed second, {extent.counted}"
        )

    evidence = entry_evidence(facts, entry, f"entry {entry['id']}: {holder} as {wanted}")
    return Seen(
        kind=Kind.CONNTRACK_CLASH, key=(at, wanted, holder), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        harmless=bool(facts.complete[facts.result.connection_of_path[first]]),
        evidence=(evidence, *frames_of(facts, first)),
    )  # fmt: skip


def bound_to_nobody(facts: Facts) -> Iterator[Seen]:
    """`stale_translation`: an entry that is older than the capture leads to where nothing answers."""
    entries = _entries(facts)
    entries = entries[entries["event"] == CONNTRACK_DUMPED]
    if entries.size == 0 or facts.quoted.size == 0:
        return
    connection = facts.result.connection_of_path
    silent = (facts.replies == 0) & ~facts.explained
    # A router says that nobody answers there: that nothing was seen of an answer would prove little.
    told = facts.result.outcomes.related >= 0
    paths = np.flatnonzero(_not_delivered(facts) & facts.forward & told & silent[connection])
    paths, row = _with_entry(facts, paths, first_in_last_namespace(facts)[paths], entries, "original")
    moved = ~_same_destination(entries)[row]
    paths, row = paths[moved], row[moved]
    for one in groups(facts, paths, row):
        yield _stale(facts, one, entries[int(row[np.flatnonzero(paths == one[0])[0]])])


def _stale(facts: Facts, paths: Rows, entry: np.void) -> Seen:
    first, protocol = int(paths[0]), int(entry["protocol"])
    at, target = place_of_end(facts, first), entry_end(entry, "reply_source")
    source, name = _address(entry, "original_source"), PROTOCOLS.get(protocol, str(protocol))
    port = f" --sport {entry['original_source_port']}" if protocol in WITH_PORTS else ""

    def say(extent: Extent) -> str:
        return (
            f"{at} still sends {extent.flow} to {target}, by a conntrack entry that is older than the capture, and "
            f"nothing answers there: {extent.counted}, given up with an ICMP error"
        )

    evidence = entry_evidence(facts, entry, f"entry {entry['id']}, in the table when the capture began: to {target}")
    return Seen(
        kind=Kind.STALE_TRANSLATION, key=(at, target, name), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        advice=f"`conntrack -D -p {name} -s {source}{port}` removes the entry; then the rules of now decide",
        evidence=(evidence, *frames_of(facts, first)),
    )  # fmt: skip


def _is_open(facts: Facts) -> Mask:
    return np.isin(facts.result.outcomes.reason, _OPEN)


def _is_alive(facts: Facts, entries: npt.NDArray[np.void], time_ns: Rows) -> Mask:
    """Per entry (a CONNTRACK row): it was in the table at that time, as far as its end would have been told."""
    rows, _ = facts.conntrack
    ends = rows[rows["event"] == CONNTRACK_DESTROYED]
    end_ns = np.full(entries.size, np.iinfo(np.int64).max)
    at = first_with(hashed(ends["id"], ends["namespace"]), hashed(entries["id"], entries["namespace"]))
    end_ns[at >= 0] = ends["time_ns"][at[at >= 0]]
    return (entries["time_ns"] <= time_ns + _LATE_NS) & (time_ns <= end_ns)


def _entries(facts: Facts) -> npt.NDArray[np.void]:
    """CONNTRACK rows of translated entries, without their ends."""
    rows, _ = facts.conntrack
    return rows[(rows["original"] != rows["translated"]) & (rows["event"] != CONNTRACK_DESTROYED)]


def _with_entry(
    facts: Facts, paths: Rows, sightings: Rows, entries: npt.NDArray[np.void], column: str
) -> tuple[Rows, Rows]:
    """(those of the paths whose sighting has the flow in `column` of an entry of its namespace, that entry's row)."""
    seen = facts.result.sightings
    known = hashed(entries[column], entries["namespace"])
    found = first_with(known, hashed(seen["flow"][sightings], seen["namespace"][sightings]))
    return paths[found >= 0], found[found >= 0]


def first_in_last_namespace(facts: Facts) -> Rows:
    """Per path: its first sighting in the namespace in which it ended."""
    hops, seen = facts.result.hops, facts.result.sightings
    here = seen["namespace"][hops["sighting"]] == seen["namespace"][facts.last][hops["packet"]]
    rows = np.flatnonzero(here)
    packet, first = np.unique(hops["packet"][rows], return_index=True)
    found = facts.last.copy()
    found[packet] = hops["sighting"][rows[first]]
    return found


def _not_delivered(facts: Facts) -> Mask:
    return (facts.result.outcomes.outcome != Outcome.DELIVERED) & facts.own


def _same_destination(entries: npt.NDArray[np.void]) -> Mask:
    """Per entry: it leaves the destination as it is."""
    same = np.ones(entries.size, np.bool_)
    for part in ("high", "low", "port"):
        same &= entries[f"original_destination_{part}"] == entries[f"reply_source_{part}"]
    return same


def _address(entry: np.void, end: str) -> str:
    return address_text(int(entry[f"{end}_high"]), int(entry[f"{end}_low"]))
