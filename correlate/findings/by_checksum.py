"""Packets whose checksum is wrong on a wire: whoever gets them throws them away, and says nothing."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..arrays.grouping import hashed
from ..decode.checksums import Sum
from ..protocols import ICMP, ICMPV6, TCP, UDP
from .broken import What
from .common import Fails
from .facts import Facts, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .values import Evidence
from .words import frame_evidence, place_of, subject_of

_AFTER: Final = {
    Fails.SILENT: "nobody answers",
    Fails.HANDSHAKE: "the handshake does not go on",
    Fails.STUCK: "it is sent again, and never acknowledged",
}
_NAMES: Final = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMPV6: "ICMPv6"}
_BEFORE: Final = {Sum.RIGHT: ", and was right", Sum.OFFLOADED: ", and was still to be filled in"}


def checksum_wrong(facts: Facts) -> Iterator[Seen]:
    """`checksum_wrong`, as far as the packets themselves show it; what the kernel says of it: by_kernel.py."""
    broken = facts.common.broken
    ids = facts.result.ids.paths
    if broken.size == 0 or ids.size == 0:
        return
    at = np.minimum(np.searchsorted(ids, broken["path"]), ids.size - 1)
    here = np.flatnonzero(ids[at] == broken["path"])
    paths, rows = at[here], broken.take(here)
    of_path = np.full(facts.own.size, -1, np.int64)
    of_path[paths] = here
    places = [hashed(*(rows[end][name] for name in ("place", "direction"))) for end in ("wrong", "right")]
    places[1][rows["before"] == Sum.UNKNOWN] = 0
    server = facts.asked[facts.result.connection_of_path[paths]]
    columns = [rows[name] for name in ("what", "fails", "before", "sure")]
    for one in groups(facts, paths, *columns, *places, server, facts.head("protocol")[paths]):
        yield _seen(facts, one, broken[of_path[one[0]]])


def _seen(facts: Facts, paths: Rows, row: np.void) -> Seen:
    first, wrong = int(paths[0]), row["wrong"]
    what, before = _what(row), Sum(int(row["before"]))
    place = _place(facts, wrong)
    was = f"{_BEFORE[before]} at {_place(facts, row['right'])}" if before in _BEFORE else ""

    def say(extent: Extent) -> str:
        return (
            f"the {what} checksum of {extent.counted} of {extent.flow} is wrong at {place}{was}: "
            f"whoever gets such a packet throws it away, and {_AFTER[Fails(int(row['fails']))]}"
        )

    evidence: tuple[Evidence, ...] = (frame_evidence(facts, wrong),)
    if before in _BEFORE:
        evidence = (*evidence, frame_evidence(facts, row["right"]))
    server = int(facts.asked[facts.result.connection_of_path[first]])
    return Seen(
        kind=Kind.CHECKSUM_WRONG, key=(what, place, was, int(row["fails"]), server), say=say, paths=paths,
        subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]),
        node=facts.result.topology.points[int(wrong["place"])].node, confidence=float(row["sure"]), evidence=evidence,
    )  # fmt: skip


def _place(facts: Facts, row: np.void) -> str:
    """With its direction, where it is known: what is wrong at one side of a device may be right at the other."""
    return place_of(facts, row) + {1: " in", 2: " out"}.get(int(row["direction"]), "")


def _what(row: np.void) -> str:
    if row["what"] == What.HEADER:
        return "IP header"
    if row["what"] == What.OUTER:
        return "outer UDP"
    return _NAMES[int(row["wrong"]["protocol"])]
