"""What findings need to know of all parts before they look at one: what each part brings, and what is found in all.

Tables are structured arrays. Their `path` and `connection` are indexes in a part at first, and ids once the parts have
them. What may be large is bounded to what came first, in each part and in all, so that it comes out the same.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import copied, joined
from ..nodes.topology import Topology
from ..schema import SIGHTING

_FOUND: Final = [("time_ns", "i8"), ("part", "i4"), ("path", "i8"), ("connection", "i8"), ("key", "u8")]
ASKED: Final = np.dtype([*_FOUND, ("high", "u8"), ("low", "u8")])
"""A question that had no answer: `key` is what its answer would be known by; to which address."""
SAID: Final = np.dtype([*_FOUND, ("seen", SIGHTING)])
"""An answer to what nobody asked, as last seen in a frame."""
TALK: Final = np.dtype(
    [
        *_FOUND,
        ("answer_ns", "i8"),
        ("last_high", "u8"),
        ("last_low", "u8"),
        ("last_place", "u4"),
        ("last_namespace", "u2"),
        ("last_direction", "u1"),
        ("head", SIGHTING),
    ]
)
"""A connection by the first bytes of its request and answer (`key`): when they were first seen, where its request began
(`head`) and to where it was last seen to go."""
PASSED_ON: Final = np.dtype([("taken", TALK), ("own", TALK), ("doubtful", "?")])
"""Connections that a program took, and those that it went on with; and whether others fit as well."""
ELSEWHERE: Final = np.dtype([("path", "i8"), ("said", SIGHTING)])
"""A question, ascending, and the answer to it that came from elsewhere."""
FRAMES: Final = 8
"""Of a packet, whose checksums are looked at."""
SUSPECT: Final = np.dtype(
    [
        *_FOUND,
        ("fails", "u1"),
        ("count", "u1"),
        ("doubtful", "?", (FRAMES,)),
        ("seen", SIGHTING, (FRAMES,)),
    ]
)
"""A packet that failed (Fails), `count` of its frames in their order, and of which of them that order is doubtful: its
checksum may be wrong. `key`: what it has in common with others that failed alike."""
CONTROL: Final = np.dtype([*_FOUND, ("seen", SIGHTING)])
"""A frame of a packet that was taken: its checksum has to be right, or is not filled in yet."""
BROKEN: Final = np.dtype(
    [
        ("path", "i8"),
        ("fails", "u1"),
        ("what", "u1"),
        ("before", "u1"),
        ("sure", "f8"),
        ("wrong", SIGHTING),
        ("right", SIGHTING),
    ]
)
"""A packet whose checksum is wrong, ascending: what of it, where first, and what it was (`before`) where it was last
seen not to be."""
MOST: Final = {ASKED: 1 << 13, SAID: 1 << 13, TALK: 1 << 17}
"""Rows of a table that are kept."""


TRACED, NAMES_STATES = np.uint8(1), np.uint8(2)


class Fails(IntEnum):
    """How a packet failed."""

    SILENT = 0
    """Nobody answers it."""
    HANDSHAKE = 1
    """It accepts a connection, and is not heard."""
    STUCK = 2
    """It is sent again, and never acknowledged."""


class Role(IntEnum):
    """What a packet has to do with a neighbour that nobody answered for."""

    WAITS = 0
    """It was to be sent there."""
    HAS_NO_ANSWER = 1
    """It came from there to who asked, and was never answered."""
    ERROR = 2
    """An ICMP error about one that waited."""
    GIVEN_UP = 3
    """It was given up with such an error while the question had no answer."""


NEAR: Final = np.dtype(
    [
        *_FOUND,
        ("question", "i4"),
        ("role", "u1"),
        ("last_high", "u8"),
        ("last_low", "u8"),
        ("seen", SIGHTING),
    ]
)
"""A packet around a question, as last seen in a frame, and to where it was last seen to go."""
MOST[NEAR] = 1 << 14
MOST[SUSPECT] = MOST[CONTROL] = 1 << 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Somebody asks for the link address of one neighbour, again and again."""

    part: int
    paths: npt.NDArray[np.int64]
    """Each time, in order of time."""
    times_ns: npt.NDArray[np.int64]
    frames: npt.NDArray[np.void]
    """SIGHTING rows: each as last seen."""
    is_own: npt.NDArray[np.bool_]
    """Each: it left where it was first seen."""
    is_in: npt.NDArray[np.bool_]
    """Each: it came in there, so somebody else asked."""
    target: int
    """Who is asked for (neighbours.targets_of)."""
    spaces: frozenset[int]
    places: frozenset[int]
    """Namespaces and capture points at which they were seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """A question that nobody answered, and that mattered."""

    question: Question
    role: Role | None
    """Of what shows that it mattered; None: who asked was captured itself."""
    about: npt.NDArray[np.void]
    """NEAR rows: the packets that do, in order of time."""
    errors: int
    """ICMP errors that said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """What one part brings, or several."""

    shows_both: npt.NDArray[np.bool_]
    """Per capture point: both ways of one connection were seen there."""
    traced: npt.NDArray[np.uint8]
    """Per namespace: TRACED, if rules were seen there, and NAMES_STATES, if they told of conntrack's states."""
    asked: npt.NDArray[np.void]
    said: npt.NDArray[np.void]
    talks: npt.NDArray[np.void]
    suspects: npt.NDArray[np.void]
    questions: tuple[Question, ...]

    def with_(self, other: "Clues", part: int) -> "Clues":
        """Together with those of one part more, by its number."""
        tables: dict[str, Any] = {}
        for name in TABLES:
            more: npt.NDArray[np.void] = copied(getattr(other, name))
            more["part"] = part
            tables[name] = earliest(joined(more.dtype, (getattr(self, name), more)))
        return Clues(
            shows_both=self.shows_both | other.shows_both,
            traced=self.traced | other.traced,
            questions=self.questions + tuple(replace(one, part=part) for one in other.questions),
            **tables,
        )

    def numbered(self, paths: list[npt.NDArray[np.int64]], connections: list[npt.NDArray[np.int64]]) -> "Clues":
        """With ids, of which each part has those of its paths and connections."""
        tables: dict[str, Any] = {}
        for name in TABLES:
            rows = copied(getattr(self, name))
            for column, ids in (("path", paths), ("connection", connections)):
                for part in np.unique(rows["part"]).tolist():
                    here = rows["part"] == part
                    rows[column][here] = ids[part][rows[column][here]]
            tables[name] = rows
        questions = tuple(replace(one, paths=paths[one.part][one.paths]) for one in self.questions)
        return replace(self, questions=questions, **tables)


TABLES: Final = ("asked", "said", "talks", "suspects")


def earliest(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """As many as are kept, those that came first."""
    most = MOST[rows.dtype]
    if rows.size <= most:
        return rows
    return rows.take(np.sort(np.lexsort((rows["path"], rows["part"], rows["time_ns"]))[:most]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What is known of all parts."""

    shows_both: npt.NDArray[np.bool_]
    traced: npt.NDArray[np.uint8]
    elsewhere: npt.NDArray[np.void]
    passed_on: npt.NDArray[np.void]
    broken: npt.NDArray[np.void]
    unresolved: tuple[Unresolved, ...] = ()

    @classmethod
    def nothing(cls, topology: Topology) -> Self:
        """Before anything is known: for whoever gathers clues."""
        return cls(
            shows_both=np.zeros(len(topology.points), np.bool_),
            traced=np.zeros(len(topology.namespaces), np.uint8),
            elsewhere=np.empty(0, ELSEWHERE),
            passed_on=np.empty(0, PASSED_ON),
            broken=np.empty(0, BROKEN),
        )
