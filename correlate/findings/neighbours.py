"""Questions for the link address of a neighbour that nobody answers: ARP (RFC 826) and neighbour discovery (RFC 4861).

First each part brings the questions that were repeated (`questions_of`), then, for those that are left, what it shows
of who was asked for (`around`): signs that it is there, and packets that waited for it. Both together are `resolve`d.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ...pcapng.rows import filtered
from ..arrays.grouping import group_ids, hashed, runs_of_ids
from ..decode.flow_columns import MAPPED
from ..protocols import (
    ARP_REQUEST,
    ETHERTYPE_ARP,
    ICMPV6,
    ICMPV6_NEIGHBOUR_ADVERTISEMENT,
    ICMPV6_NEIGHBOUR_SOLICITATION,
)
from ..sightings import FRAME
from .common import Question
from .facts import Facts, Mask, Rows

ASKED_NS: Final = 900_000_000
"""Questions that nobody answers are repeated each second (mcast_solicit 3, retrans_time_ms 1000 of Linux)."""
_LAST: Final = np.uint64(0xFFFFFFFF)
_MOST_GROUPS: Final = 1 << 12
_MOST_QUESTIONS: Final = 1 << 13
"""Who asks for whom, and how often, that are looked at: what came first."""

Life = dict[tuple[int, int], int]
"""(place, target) to when the target was last known to be there: it spoke ARP or neighbour discovery itself, or a
packet was sent to it."""


def targets_of(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """One number for the address that questions and answers are about: the last four bytes, with the IP version above
    them. More of an IPv6 address is in no column."""
    version = np.where(rows["ethertype"] == ETHERTYPE_ARP, 4, 6).astype(np.uint64) << np.uint64(32)
    last = np.where(rows["ethertype"] == ETHERTYPE_ARP, rows["destination_low"] & _LAST, rows["sequence"])
    return version | last.astype(np.uint64)


def _are_questions(facts: Facts) -> Mask:
    """Per path: somebody with an address asks for that of another. A probe has none, an announcement asks for its
    own."""
    arp = (facts.head("ethertype") == ETHERTYPE_ARP) & (facts.head("icmp_type") == ARP_REQUEST)
    arp &= (facts.head("source_low") != facts.head("destination_low")) & (facts.head("source_low") > MAPPED)
    solicits = (facts.head("protocol") == ICMPV6) & (facts.head("icmp_type") == ICMPV6_NEIGHBOUR_SOLICITATION)
    solicits &= (facts.head("source_high") | facts.head("source_low")) != 0
    return (arp | (solicits & (facts.head("sequence") != 0))) & (facts.first_frame >= 0)


def questions_of(facts: Facts) -> list[Question]:
    """Those that were repeated, and behind which nothing in this part shows that somebody is there."""
    paths = np.flatnonzero(_are_questions(facts))
    if paths.size == 0:
        return []
    rows = facts.result.sightings.take(facts.last_frame[paths])
    target, begin_ns = targets_of(rows), facts.begin_ns[paths]
    which, _ = group_ids(hashed(rows["source_high"], rows["source_low"], rows["namespace"], target))
    count = int(which.max()) + 1
    first_ns, last_ns = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(first_ns, which, begin_ns)
    np.maximum.at(last_ns, which, begin_ns)
    repeated = np.flatnonzero(last_ns - first_ns >= ASKED_NS)
    repeated = repeated[np.argsort(first_ns[repeated], kind="stable")][:_MOST_GROUPS]
    if repeated.size == 0:
        return []
    life = signs_of_life(facts, np.unique(target[np.isin(which, repeated)]))
    runs = runs_of_ids(which, count)
    found = []
    for one in repeated.tolist():
        of_one = runs.rows[runs.start[one] : runs.start[one + 1]]
        question = silent(_question(facts, paths[of_one], int(target[of_one[0]])), life)
        if question is not None:
            found.append(question)
    return bounded(found)


def _question(facts: Facts, paths: Rows, target: int) -> Question:
    result = facts.result
    paths = paths[np.argsort(facts.begin_ns[paths], kind="stable")]
    frames = result.sightings.take(facts.last_frame[paths])
    hops = [np.arange(result.first_hop[path], result.first_hop[path + 1]) for path in paths.tolist()]
    rows = result.hops["sighting"][np.concatenate(hops)]
    rows = rows[result.sightings["kind"][rows] == FRAME]
    direction = result.sightings["direction"][facts.first_frame[paths]]
    return Question(
        part=0, paths=paths, times_ns=facts.begin_ns[paths], frames=frames, target=target,
        spaces=frozenset(result.sightings["namespace"][rows].tolist()),
        places=frozenset(result.sightings["place"][rows].tolist()),
        is_own=direction == Direction.OUT, is_in=direction == Direction.IN,
    )  # fmt: skip


def bounded(questions: Sequence[Question]) -> list[Question]:
    """As many as are kept, those that came first."""
    in_order = sorted(questions, key=lambda one: (int(one.times_ns[0]), one.part, int(one.paths[0])))
    total = np.cumsum([one.paths.size for one in in_order])
    return in_order[: int(np.searchsorted(total, _MOST_QUESTIONS, side="right"))][:_MOST_GROUPS]


def silent(question: Question, life: Life) -> Question | None:
    """Those of the questions that nobody answered, if they were repeated."""
    seen_ns = [life.get((place, question.target), -1) for place in question.places]
    left = question.times_ns > max(seen_ns, default=-1)
    times_ns = question.times_ns[left]
    if times_ns.size == 0 or times_ns[-1] - times_ns[0] < ASKED_NS:
        return None
    return replace(
        question, paths=question.paths[left], times_ns=times_ns, frames=filtered(question.frames, left),
        is_own=question.is_own[left], is_in=question.is_in[left],
    )  # fmt: skip


def signs_of_life(facts: Facts, wanted: npt.NDArray[np.uint64]) -> Life:
    """Those of the wanted targets (ascending)."""
    seen = facts.result.sightings
    frame, protocol, kind = seen["kind"] == FRAME, seen["protocol"], seen["icmp_type"]
    arp = seen["ethertype"] == ETHERTYPE_ARP
    neighbour = (protocol == ICMPV6) & np.isin(kind, (ICMPV6_NEIGHBOUR_SOLICITATION, ICMPV6_NEIGHBOUR_ADVERTISEMENT))
    six = np.uint64(6 << 32)
    version = np.where(seen["ip_version"] == 6, six, np.uint64(4 << 32))
    life: Life = {}
    for mask, address in (
        (frame & (arp | neighbour), version | (seen["source_low"] & _LAST)),
        (frame & (seen["ip_version"] > 0) & ~neighbour, version | (seen["destination_low"] & _LAST)),
        (frame & neighbour & (kind != ICMPV6_NEIGHBOUR_SOLICITATION), six | seen["sequence"].astype(np.uint64)),
    ):
        rows = np.flatnonzero(mask)
        rows = rows[np.isin(address[rows], wanted)]
        for place, target, time_ns in _latest(facts, rows, address[rows]):
            life[place, target] = max(life.get((place, target), -1), time_ns)
    return life


def _latest(facts: Facts, rows: Rows, target: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int, int]]:
    place = facts.result.sightings["place"][rows]
    which, first = group_ids(hashed(place, target))
    latest = np.zeros(first.size, np.int64)
    np.maximum.at(latest, which, facts.result.times_ns[rows])
    yield from zip(place[first].tolist(), target[first].tolist(), latest.tolist(), strict=True)
