"""What the files of a correlation have in common; and where one shares no packet with any other, why not.

A file from another place, another time or the far side of something that ends connections is no error: its paths are
just short. So it is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from .apart import Comparison, Group, Kind, Sessions, Shown


class Scope(StrEnum):
    """What is compared with its like."""

    FILE = "file"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingInCommon:
    """No packet of it is seen elsewhere, other than what links say among themselves."""

    scope: Scope
    """`node`: the file does have packets in common with others of its node, but its node with no other node."""
    kind: Kind
    text: str
    chatter_packets: int
    """Paths of ARP, multicast and the like that are seen elsewhere too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What one file has in common with the others."""

    shared_packets: int
    """Paths that this file and at least one other show."""
    nothing: NothingInCommon | None


def find_common(shown: Shown) -> list[Sharing]:
    """What each file has in common with the others."""
    if len(shown.files) < 2:
        return [Sharing(shared_packets=0, nothing=None) for _ in shown.files]
    sessions = Sessions.of(shown)
    file = shown.sightings["file"].copy()
    shared, by_file = _compare(shown, sessions, Scope.FILE, file, shown.files, shown.file_nodes)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(shown.file_nodes))}
    by_node: dict[int, NothingInCommon] = {}
    if 1 < len(numbers) < len(shown.files):
        node = np.array([numbers[name] for name in shown.file_nodes], np.uint16)[file]
        _, by_node = _compare(shown, sessions, Scope.NODE, node, list(numbers), list(numbers))
    return [
        Sharing(shared_packets=count, nothing=by_file.get(i) or by_node.get(numbers[shown.file_nodes[i]]))
        for i, count in enumerate(shared)
    ]


def _compare(
    shown: Shown,
    sessions: Sessions,
    scope: Scope,
    group: npt.NDArray[np.uint16],
    names: Sequence[str],
    nodes: Sequence[str],
) -> tuple[list[int], dict[int, NothingInCommon]]:
    """(per group the number of paths that another shows too, what is to be said of those that are alone).

    `group`: that of each sighting; `names`, `nodes`: of each group.
    """
    count = int(shown.packet.max(initial=-1)) + 1
    one = np.empty(count, np.uint16)
    one[shown.packet] = group
    shared = np.zeros(count, np.bool_)
    shared[shown.packet[group != one[shown.packet]]] = True
    chatter = sessions.chatter[shown.connections.session]
    counts, alone = [], []
    for number, rows in enumerate(_rows_of(group, len(names))):
        mine = np.zeros(count, np.bool_)
        mine[shown.packet[rows]] = True
        counts.append(int(np.count_nonzero(mine & shared)))
        more = rows[~chatter[rows]]
        if not shared[shown.packet[more]].any() and (more.size > 0 or counts[-1] == 0):
            alone.append(number)
    if not alone:
        return counts, {}
    observations = _rows_of(group[: shown.observed], len(names))
    groups = [Group.of(shown, sessions, *one) for one in zip(observations, names, nodes, strict=True)]
    comparison = Comparison(shown, sessions, groups)
    found = {}
    for number in alone:
        kind, text = next(comparison.reasons(groups[number]))
        found[number] = NothingInCommon(scope=scope, kind=kind, text=text, chatter_packets=counts[number])
    return counts, found


def _rows_of(group: npt.NDArray[np.uint16], groups: int) -> list[npt.NDArray[np.int64]]:
    """The rows of each group."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.searchsorted(group[order], np.arange(1, groups)))
