"""To which MAC address a packet was sent where it was last seen, or where it came in with that of another interface."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ...pcapng.blocks import Direction, LinkType
from ...pcapng.read import CaptureFile
from ..nodes.topology import Role
from ..result.correlation import Correlation
from ..sightings import FRAME
from .passages import Passage
from .values import Fact

_ETHERNET: Final = 14
"""Bytes of the header: destination, source, type (IEEE 802.3)."""


def mac_facts(result: Correlation, passages: list[Passage]) -> Iterator[Fact]:
    """Of frames whose files are at hand: one correlated in parts is not read again for it."""
    frames = [(row, one) for one in passages for row in one.sightings if result.sightings["kind"][row] == FRAME]
    for number, (row, passage) in enumerate(frames):
        seen = result.sightings[row]
        capture = result.opened.get(int(seen["file"]))
        header = _header(capture, int(seen["frame"])) if capture is not None else None
        if header is None:
            continue
        point = result.topology.points[int(seen["place"])]
        known = result.surroundings.of(passage.namespace.node, passage.namespace.label)
        link = known.links.get(point.interface_index)
        destination, source = _text(header[:6]), _text(header[6:12])
        own = link.mac if link is not None else None
        # A bridge takes in what is for others; what comes in at a device has to be for it, or for a group.
        strange = (
            seen["direction"] == Direction.IN
            and point.role == Role.DEVICE
            and own is not None
            and own != destination
            and not header[0] & 1
        )
        if number < len(frames) - 1 and not strange:
            continue
        at = f"{passage.place} {point.interface}"
        whose = f", and {point.interface} is {own}" if strange else _owner(result, destination)
        whose = " (its own)" if own == destination else whose
        yield Fact(
            what="link", text=f"{at}: sent to {destination}{whose}, by {source}{_owner(result, source)}",
            file=result.files[int(seen["file"])].path, frame=int(seen["frame"]),
        )  # fmt: skip


def _header(capture: CaptureFile, frame: int) -> bytes | None:
    """The Ethernet header of a frame."""
    row = frame - capture.first - 1
    if capture.frames is not None:
        row = int(np.searchsorted(capture.frames, frame))
    if not 0 <= row < capture.records.size:
        return None
    record = capture.records[row]
    interface = capture.interfaces[int(record["interface"])]
    if interface.link_type != LinkType.ETHERNET or record["captured"] < _ETHERNET:
        return None
    start = int(record["offset"])
    return bytes(capture.data[start : start + _ETHERNET])


def _text(mac: bytes) -> str:
    return mac.hex(":")


def _owner(result: Correlation, mac: str) -> str:
    """` (eth0 of web1)`, where one interface alone has it."""
    found = [
        f"{link.name} of {space.node if space.label == 'root' else space.label}"
        for space in result.topology.namespaces
        for link in result.surroundings.of(space.node, space.label).links.values()
        if link.mac == mac
    ]
    return f" ({found[0]})" if len(found) == 1 else ""
