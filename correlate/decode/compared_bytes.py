"""How many bytes of the transport headers count: as many as every capture kept.

The contents of a packet can only be compared where they were made of the same bytes. A file cut at 64 bytes holds ten
bytes of TCP behind an IPv6 header; then ten bytes count in all files.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

WHOLE: Final = 20
"""Bytes that count where nothing was cut off: a TCP header, and as much of anything else."""
LEAST: Final = (4, 8)
"""With fewer there is nothing to know a packet by. IPv4: the ports, for it has an identification; IPv6: the sequence
number of TCP."""
_OFTEN: Final = 0.1
"""Part of a file's packets that must be cut for the others to be read no further. A single one may be damaged."""


def whole_reach() -> npt.NDArray[np.int64]:
    """The reach of captures that kept enough: bytes per IP version (4, 6)."""
    return np.full(2, WHOLE, np.int64)


def common_reach(kept: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """The reach for a set of files.

    `kept`: per file, (2, WHOLE + 1) packets by IP version and by the bytes of the transport header that were kept of
    those that lost some; in the last column, all others.
    """
    reach = whole_reach()
    for of_file in kept:
        often = of_file >= np.maximum(_OFTEN * of_file.sum(axis=1, keepdims=True), 1)
        for version in range(2):
            cut = np.flatnonzero(often[version, LEAST[version] : WHOLE])
            if cut.size:
                reach[version] = min(reach[version], LEAST[version] + int(cut[0]))
    return reach
