"""What the files of a correlation have in common; and where one shares no packet with any other, why not.

A file from another place, another time or the far side of something that ends connections is no error: its paths are
just short. So it is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ..sightings import FRAME, of_kind
from .shown import Group, SessionFacts, Shown
from .why_nothing import Comparison, Obstacle


class Scope(StrEnum):
    """What is compared with its like."""

    FILE = "file"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingInCommon:
    """No packet of it is seen elsewhere, other than what links say among themselves."""

    scope: Scope
    """`node`: the file does have packets in common with others of its node, but its node with no other node."""
    kind: Obstacle
    text: str
    chatter_packets: int
    """Paths of ARP, multicast and the like that are seen elsewhere too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one file or node has in common with the others, in one part of a correlation or in all."""

    shared: int
    """Paths that it and at least one other show."""
    told: bool
    """It shows more than what links say among themselves."""
    told_shared: bool
    """Some of that is seen elsewhere too."""
    nothing: NothingInCommon | None
    """Said where it has nothing in common with the others."""

    @classmethod
    def merged(cls, parts: Sequence[tuple[int, "Standing"]]) -> "Standing":
        """In all parts together; parts come with the packets that it has there: of the reasons why it is alone, that of
        the part with the most stands for all, of those that compared anything."""
        told = any(one.told for _, one in parts)
        told_shared, shared = any(one.told_shared for _, one in parts), sum(one.shared for _, one in parts)
        reasons = [(packets, one.nothing) for packets, one in parts if one.nothing is not None]
        nothing = None
        if reasons and not told_shared and (told or shared == 0):
            _, largest = max(reasons, key=lambda one: (one[1].kind not in _NOTHING_TO_COMPARE, one[0]))
            nothing = replace(largest, chatter_packets=shared)
        return cls(shared=shared, told=told, told_shared=told_shared, nothing=nothing)


_NOTHING_TO_COMPARE: Final = (Obstacle.EMPTY, Obstacle.LINK_CHATTER, Obstacle.NO_PARTNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What one file has in common with the others."""

    file: Standing
    node: Standing | None
    """Of its node; None where the files are the nodes, or there is one node."""

    @property
    def nothing(self) -> NothingInCommon | None:
        """What is to be said of the file, else of its node."""
        return self.file.nothing or (self.node.nothing if self.node else None)


def find_common(shown: Shown) -> list[Sharing]:
    """What each file has in common with the others."""
    if len(shown.files) < 2:
        alone = Standing(shared=0, told=True, told_shared=True, nothing=None)
        return [Sharing(file=alone, node=None) for _ in shown.files]
    sessions = SessionFacts.of(shown)
    file = shown.sightings["file"].copy()
    of_file = _compare(shown, sessions, Scope.FILE, file, shown.files, shown.file_nodes)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(shown.file_nodes))}
    if not 1 < len(numbers) < len(shown.files):
        return [Sharing(file=one, node=None) for one in of_file]
    node = np.array([numbers[name] for name in shown.file_nodes], np.uint16)[file]
    of_node = _compare(shown, sessions, Scope.NODE, node, list(numbers), list(numbers))
    return [Sharing(file=one, node=of_node[numbers[name]]) for one, name in zip(of_file, shown.file_nodes, strict=True)]


def _compare(
    shown: Shown,
    sessions: SessionFacts,
    scope: Scope,
    group: npt.NDArray[np.uint16],
    names: Sequence[str],
    nodes: Sequence[str],
) -> list[Standing]:
    """Of each group. `group`: that of each sighting; `names`, `nodes`: of each group."""
    count = int(shown.packet.max(initial=-1)) + 1
    one = np.empty(count, np.uint16)
    one[shown.packet] = group
    shared = np.zeros(count, np.bool_)
    shared[shown.packet[group != one[shown.packet]]] = True
    chatter = sessions.chatter[shown.connections.session]
    found = []
    for rows in _rows_of(group, len(names)):
        mine = np.zeros(count, np.bool_)
        mine[shown.packet[rows]] = True
        more = rows[~chatter[rows]]
        found.append(
            Standing(
                shared=int(np.count_nonzero(mine & shared)),
                told=more.size > 0,
                told_shared=bool(shared[shown.packet[more]].any()),
                nothing=None,
            )
        )
    alone = [i for i, one in enumerate(found) if not one.told_shared and (one.told or one.shared == 0)]
    if not alone:
        return found
    observations = _rows_of(group[of_kind(shown.sightings, FRAME)], len(names))
    groups = [Group.of(shown, sessions, *one) for one in zip(observations, names, nodes, strict=True)]
    comparison = Comparison(shown, sessions, groups)
    for number in alone:
        kind, text = next(comparison.reasons(groups[number]))
        nothing = NothingInCommon(scope=scope, kind=kind, text=text, chatter_packets=found[number].shared)
        found[number] = replace(found[number], nothing=nothing)
    return found


def _rows_of(group: npt.NDArray[np.uint16], groups: int) -> list[npt.NDArray[np.int64]]:
    """The rows of each group."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.searchsorted(group[order], np.arange(1, groups)))
