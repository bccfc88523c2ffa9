"""The namespaces that a packet passed, with what routing was asked there: who sent it to whom, and where it came in."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..nodes.topology import Namespace, Role
from ..result.correlation import Correlation
from ..result.words import address_text
from ..schema import NOTE_OUTER
from ..sightings import FRAME, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One stay of a packet in a namespace."""

    namespace: Namespace
    sightings: tuple[int, ...]
    """Rows of its sightings there, in order."""
    source: str
    """As it came in: translations of the source follow the routing."""
    destination: str
    """As it was at last: translations of the destination come before the routing."""
    version: int
    """Of IP; 0 where it is not IP."""
    length: int
    input_index: int | None
    """Of the interface that it came in by, as routing sees it: the bridge, not its port. None where the namespace sent
    it itself, or where that is not known."""
    sent_here: bool
    """The namespace sent it itself."""
    time_ns: int
    """When it was first seen there, on the reference clock."""

    @property
    def place(self) -> str:
        """`slave`, `web1 on slave`."""
        space = self.namespace
        return space.node if space.label == "root" else f"{space.label} on {space.node}"


def passages_of(result: Correlation, index: int) -> list[Passage]:
    """The passages of a path, by its index, in order. What goes out and comes back is two."""
    hops = result.hops[result.first_hop[index] : result.first_hop[index + 1]]
    rows = hops["sighting"].astype(np.int64)
    keys = list(zip(hops["visit"].tolist(), result.sightings["namespace"][rows].tolist(), strict=True))
    found: list[list[int]] = []
    for number, row in enumerate(rows.tolist()):
        if number == 0 or keys[number] != keys[number - 1]:
            found.append([])
        found[-1].append(row)
    return [_passage(result, group) for group in found]


def _passage(result: Correlation, group: list[int]) -> Passage:
    rows = result.sightings.take(group)
    itself = rows[(rows["notes"] & NOTE_OUTER) == 0]
    first, last = (itself[0], itself[-1]) if itself.size else (rows[0], rows[-1])
    namespace = result.topology.namespaces[int(rows["namespace"][0])]
    came_by, sent_here = _input(result, group, rows, namespace)
    return Passage(
        namespace=namespace, sightings=tuple(group), source=_address(first, "source"),
        destination=_address(last, "destination"), version=int(first["ip_version"]), length=int(first["length"]),
        input_index=came_by, sent_here=sent_here, time_ns=int(result.times_ns[group[0]]),
    )  # fmt: skip


def _input(
    result: Correlation, group: list[int], rows: npt.NDArray[np.void], namespace: Namespace
) -> tuple[int | None, bool]:
    """(index of the interface it came in by, the namespace sent it): the kernel names it in its trace; else the first
    frame tells, a port by its bridge."""
    behind = told(result.sightings).start
    said = [result.said[row - behind] for row in group if row >= behind]
    for one in said:
        if one["input_index"]:
            return int(one["input_index"]), False
    frames = rows[rows["kind"] == FRAME]
    own = _address(rows[0], "source") in namespace.addresses
    if frames.size == 0 or frames["direction"][0] != Direction.IN:
        return None, own
    point = result.topology.points[int(frames["place"][0])]
    link = namespace.links.get(point.interface_index, {})
    return int(link.get("master") or point.interface_index if point.role == Role.PORT else point.interface_index), False


def _address(row: np.void, end: str) -> str:
    return address_text(int(row[f"{end}_high"]), int(row[f"{end}_low"]))
