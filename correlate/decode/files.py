"""All files decoded, with what of each packet can be compared in all of them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...pcapng.read import CaptureFile
from ..nodes.topology import Topology
from ..schema import SIGHTING
from .compared_bytes import common_reach, whole_reach
from .fragments import adopt_first_fragment
from .frames import count_packets, dissect_packets
from .observations import Observations, put_together


def files_together(piece_of: Sequence[int | None]) -> list[tuple[int, int]]:
    """(first, last) of the files, those that are pieces of one capture behind each other taken together: a datagram may
    begin in one and end in the next. `piece_of`: see Topology."""
    found: list[tuple[int, int]] = []
    for number, piece in enumerate(piece_of):
        if found and piece is not None and piece_of[number - 1] == piece:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def decode_packets(
    captures: list[CaptureFile], topology: Topology, vxlan_ports: Sequence[int]
) -> tuple[Observations, npt.NDArray[np.int64]]:
    """The packets of all files, and the reach (compared_bytes.py) with which their contents were made."""
    counts = [count_packets(capture) for capture in captures]
    # What is no packet may be a trace message, so each record has a row; what is not used of the room costs nothing.
    room = sum(capture.records.size for capture in captures)

    def dissect(reach: npt.NDArray[np.int64] | None) -> tuple[npt.NDArray[np.void], list[Observations]]:
        table, ends = np.zeros(room, SIGHTING), np.cumsum([0, *counts]).tolist()
        return table, [
            dissect_packets(
                capture, i, topology.places[i], topology.file_namespaces[i], reach, vxlan_ports,
                table[ends[i] : ends[i + 1]],
            )
            for i, capture in enumerate(captures)
        ]  # fmt: skip

    table, files = dissect(None)
    reach = common_reach([f.kept for f in files])
    if (reach < whole_reach()).any():
        del table, files
        table, files = dissect(reach)
    ends = np.cumsum([0, *(file.rows.size for file in files)]).tolist()
    for first, last in files_together(topology.piece_of):
        adopt_first_fragment(files[first].rows if first == last else table[ends[first] : ends[last + 1]])
    return put_together(table[: sum(counts)], files, table), reach
