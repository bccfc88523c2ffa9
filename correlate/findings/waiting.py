"""Packets that waited for a neighbour that nobody answered for.

What the parts show around its questions, and what of it holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import filtered, joined, placed
from ..protocols import ICMP, ICMP_UNREACHABLE, ICMPV6, ICMPV6_UNREACHABLE
from .common import NEAR, Question, Role, Unresolved, earliest
from .facts import Facts, Mask, Rows
from .neighbours import Life, signs_of_life, silent

_BEFORE_NS: Final = 1_000_000_000
"""What waits came before the question, or while it was repeated."""
_GIVEN_UP_NS: Final = 3_000_000_000
"""From the last question to the errors: three of them, a second apart (Linux)."""
_LAST: Final = np.uint64(0xFFFFFFFF)
_HOST_UNREACHABLE: Final = {ICMP: (ICMP_UNREACHABLE, 1), ICMPV6: (ICMPV6_UNREACHABLE, 3)}
_TWO: Final = 2


@dataclass(frozen=True, slots=True)
class Around:
    """What one part shows around the questions of all."""

    life: Life
    near: npt.NDArray[np.void]


def around(facts: Facts, questions: Sequence[Question]) -> Around:
    """Of one part, which has its ids."""
    wanted = np.unique(np.array([one.target for one in questions], np.uint64))
    talk = _Talk(facts, wanted)
    errors = np.flatnonzero(_unreachable(facts))
    found = [_near(facts, number, one, talk, errors) for number, one in enumerate(questions)]
    return Around(signs_of_life(facts, wanted), earliest(joined(NEAR, found)))


class _Talk:
    """Packets to the targets, and from them, at any place that shows it."""

    def __init__(self, facts: Facts, wanted: npt.NDArray[np.uint64]) -> None:
        result = facts.result
        rows = result.hops["sighting"]
        version = result.sightings["ip_version"][rows].astype(np.uint64) << np.uint64(32)
        usable = (version > 0) & (facts.own & ~result.chatter)[result.hops["packet"]]
        found: list[tuple[npt.NDArray[np.generic], ...]] = []
        for end in ("destination", "source"):
            address = version | (result.sightings[f"{end}_low"][rows] & _LAST)
            hop = np.flatnonzero(usable & np.isin(address, wanted))
            is_to = np.full(hop.size, end == "destination")
            found.append((result.hops["packet"][hop], address[hop], result.sightings["namespace"][rows[hop]], is_to))
        path, target, namespace, is_to = (np.concatenate(column) for column in zip(*found, strict=True))
        self.path, self.target, self.namespace, self.is_to = path.astype(np.int64), target, namespace, is_to


def _near(facts: Facts, number: int, one: Question, talk: _Talk, errors: Rows) -> npt.NDArray[np.void]:
    result, connection = facts.result, facts.result.connection_of_path
    begin_ns, end_ns = int(one.times_ns[0]), int(one.times_ns[-1])
    spaces = list(one.spaces)
    near = np.flatnonzero((talk.target == np.uint64(one.target)) & np.isin(talk.namespace, spaces))
    when = facts.begin_ns[talk.path[near]]
    near = near[(when >= begin_ns - _BEFORE_NS) & (when <= end_ns + _BEFORE_NS)]
    waiting = np.unique(talk.path[near[talk.is_to[near]]])
    asks = _asks_for_an_answer(facts, np.unique(talk.path[near[~talk.is_to[near]]]), one)
    about = errors[np.isin(connection[errors], connection[waiting])]
    given_up = errors[np.isin(facts.head("namespace")[errors], spaces)]
    given_up = given_up[(facts.begin_ns[given_up] >= begin_ns) & (facts.begin_ns[given_up] <= end_ns + _GIVEN_UP_NS)]
    quoted = facts.quoted[np.isin(result.outcomes.related[facts.quoted], given_up)] if given_up.size else given_up
    found = []
    for role, paths, by in (
        (Role.WAITS, waiting, waiting),
        (Role.HAS_NO_ANSWER, np.setdiff1d(asks, waiting), None),
        (Role.ERROR, about, about),
        (Role.GIVEN_UP, quoted, result.outcomes.related[quoted]),
    ):
        rows = np.zeros(paths.size, NEAR)
        rows["question"], rows["role"], rows["time_ns"] = number, role, facts.begin_ns[paths if by is None else by]
        rows["path"], rows["connection"] = result.ids.paths[paths], result.ids.connections[connection[paths]]
        placed(rows["seen"], result.sightings.take(np.maximum(facts.last_frame[paths], 0)))
        rows["last_high"] = result.sightings["destination_high"][facts.last[paths]]
        rows["last_low"] = result.sightings["destination_low"][facts.last[paths]]
        found.append(filtered(rows, facts.last_frame[paths] >= 0))
    return joined(NEAR, found)


def _asks_for_an_answer(facts: Facts, paths: Rows, question: Question) -> Rows:
    """Of packets that the target sent: those to the asker whose connection nobody ever answered."""
    last, asker = facts.result.sightings.take(facts.last[paths]), question.frames[0]
    same = (last["destination_high"] == asker["source_high"]) & (last["destination_low"] == asker["source_low"])
    return paths[same & (facts.replies[facts.result.connection_of_path[paths]] == 0)]


def _unreachable(facts: Facts) -> Mask:
    """Per path: an ICMP error of the kind that a router sends when nobody answers it."""
    found = np.zeros(facts.own.size, np.bool_)
    for protocol, (kind, code) in _HOST_UNREACHABLE.items():
        is_one = (facts.head("protocol") == protocol) & (facts.head("icmp_type") == kind)
        found |= ~facts.own & is_one & (facts.head("icmp_code") == code)
    return found


def resolve(
    questions: Sequence[Question], parts: Iterable[Around], points_of_space: dict[int, int]
) -> tuple[Unresolved, ...]:
    """The questions that had no answer in any part, and that matter. `points_of_space`: capture points of each
    namespace."""
    life: Life = {}
    near = np.empty(0, NEAR)
    for part in parts:
        near = earliest(joined(NEAR, (near, part.near)))
        for at, time_ns in part.life.items():
            life[at] = max(life.get(at, -1), time_ns)
    found = []
    for number, question in enumerate(questions):
        left = silent(question, life)
        if left is not None:
            points = sum(points_of_space.get(space, 0) for space in left.spaces)
            one = _unresolved(left, near.take(np.flatnonzero(near["question"] == number)), points)
            found += [] if one is None else [one]
    return tuple(_without_rivals(found))


def _without_rivals(found: Sequence[Unresolved]) -> list[Unresolved]:
    """Without those that explain only what another explains as well."""
    about = [np.empty(0, np.int64), *(_distinct(one) for one in found)]
    ids, count = np.unique(np.concatenate(about), return_counts=True)
    contested = ids[count > 1]
    return [one for one in found if one.role != Role.GIVEN_UP or not np.isin(one.about["path"], contested).any()]


def _distinct(one: Unresolved) -> Rows:
    return np.unique(one.about["path"])


def _unresolved(question: Question, near: npt.NDArray[np.void], points: int) -> Unresolved | None:
    begin_ns, end_ns = int(question.times_ns[0]), int(question.times_ns[-1])
    near = near.take(np.lexsort((near["path"], near["time_ns"])))
    around_it = (near["time_ns"] >= begin_ns - _BEFORE_NS) & (near["time_ns"] <= end_ns + _BEFORE_NS)
    waiting, asks = (filtered(near, around_it & (near["role"] == role)) for role in (Role.WAITS, Role.HAS_NO_ANSWER))
    errors = filtered(near, (near["role"] == Role.ERROR) & np.isin(near["connection"], waiting["connection"]))
    given_up = filtered(near, (near["role"] == Role.GIVEN_UP) & (near["time_ns"] >= begin_ns))
    for rows, role in ((waiting, Role.WAITS), (asks, Role.HAS_NO_ANSWER)):
        if rows.size:
            return Unresolved(question=question, role=role, about=rows, errors=np.unique(errors["path"]).size)
    # What is asked for may be the other side of a translation, if there is a second point to show that.
    if given_up.size and points >= _TWO and not question.is_in.any():
        return Unresolved(question=question, role=Role.GIVEN_UP, about=given_up, errors=0)
    if question.is_own.all():
        return Unresolved(question=question, role=None, about=near[:0], errors=0)
    return None
