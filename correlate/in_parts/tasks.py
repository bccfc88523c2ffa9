"""What is done with one part in each round over the parts.

A task takes names of files and small values, and returns a small value: what the rounds sum up over all parts. So any
process can do it that has ttrace and these files.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from ..clocks.delays import Pairs
from ..findings.clues import clues_of
from ..findings.common import Clues
from ..outcomes.passages import PassageCounts, Passages
from ..pipeline import (
    Followed,
    Linked,
    Setting,
    conclude,
    count_passages,
    delays_by_addresses,
    delays_by_connections,
    follow,
    link,
    prepare,
)
from ..sightings import PIECES
from .distribution import PartTables
from .part_files import Staying, keep, load_beside, save_beside
from .result import Order
from .work_folder import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What a round needs that is the same for all parts; it is in a file, for it may be large where the rules are
    many."""

    setting: Setting
    names: dict[int, str]
    """Of tables and chains."""
    malformed: list[int]
    """Messages per file that did not decode; they belong to no packet, and count with part 0."""
    passages: Passages | None = None
    """Known in the last round only."""

    def where(self, **known: Any) -> "Shared":  # noqa: ANN401 - fields of the Setting
        """With more known of the setting."""
        return replace(self, setting=replace(self.setting, **known))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartWork:
    """One part in one round."""

    number: int
    """Of the part, from 0."""
    shared: str
    """The file with what is Shared."""
    tables: PartTables | None
    """What it is made of, in the first round."""
    before: str | None
    """The file with what the round before made of it."""
    after: str
    """The file for what this one makes of it."""
    staying: str
    """The file for what the first round finds and no later one changes."""


@lru_cache(maxsize=1)
def _shared(path: str) -> Shared:
    """Read once by each process."""
    shared: Shared = load(path)
    return shared


def forget_shared() -> None:
    """Where this process did the tasks itself, it holds what a round shared until then."""
    _shared.cache_clear()


def make_sightings(work: PartWork) -> Pairs:
    """Sightings, and what they say of the clocks."""
    if work.tables is None:
        raise ValueError("the first round has tables")
    shared = _shared(work.shared)
    malformed = shared.malformed if work.number == 0 else [0] * len(shared.malformed)
    tables = zip(work.tables.messages, malformed, strict=True)
    messages = [of_file.read(shared.names, count) for of_file, count in tables]
    part = prepare(work.tables.observations(), messages, shared.setting)
    save_beside(work.after, part, keep(work.staying, {name: getattr(part, name) for name in _STAYING}))
    return delays_by_addresses(part, shared.setting)


def link_connections(work: PartWork) -> Pairs:
    """Connections, and what they say of the clocks."""
    setting = _shared(work.shared).setting
    part: Linked
    part, staying = _before(work)
    link(part, setting)
    save_beside(work.after, part, _unchanged(staying, part))
    return delays_by_connections(part, setting)


def follow_packets(work: PartWork) -> PassageCounts:
    """Paths, and where they went on to."""
    setting = _shared(work.shared).setting
    part: Linked
    part, staying = _before(work)
    followed = follow(part, setting)
    save_beside(work.after, followed, _unchanged(staying, part, followed=True))
    return count_passages(followed)


def conclude_part(work: PartWork) -> tuple[Order, Clues]:
    """The result of the part, and what is to be known of it beside the others."""
    shared = _shared(work.shared)
    part: Followed
    part, staying = _before(work)
    if shared.passages is None:
        raise ValueError("passages come from the round before")
    result = conclude(part, shared.setting, shared.passages)
    # What all parts share is not written with each.
    kept = replace(result, files=[], topology=None, coverage=None, histories={})  # type: ignore[arg-type]
    save_beside(work.after, kept, _unchanged(staying, part.linked, followed=True))
    return Order.of(result), clues_of(result)


_STAYING: Final = ("sightings", "contents", "said", "outers", "evaluations", "messages")
"""Of what is Linked: by far the most of it."""


def _before(work: PartWork) -> tuple[Any, Staying]:
    """What the task before this one made of the part."""
    if work.before is None:
        raise ValueError("only the first round begins with nothing")
    return load_beside(work.before)


def _unchanged(staying: Staying, part: Linked, *, followed: bool = False) -> Staying:
    """What still is as it was kept: other contents are put into sightings where numbers are shifted (Shifts), and, when
    packets are followed, where datagrams came in pieces."""
    changed = part.shifts.rows.size > 0 or (followed and part.marks & PIECES)
    return staying.without("sightings") if changed else staying
