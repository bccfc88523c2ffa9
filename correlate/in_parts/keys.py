"""Keys by which rows of different tables are known to belong together."""

from typing import Final

import numpy as np
import numpy.typing as npt

ODD: Final = np.uint64(0x9E3779B97F4A7C15)
"""Multiplying by it mixes the bits of a number."""


def pair_of(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """The address pair of SIGHTING rows, the same for both directions."""
    return np.minimum(rows["flow"], rows["flow_reverse"])


def content_key(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Content and namespace of SIGHTING rows."""
    return (rows["content"] ^ (rows["namespace"].astype(np.uint64) << np.uint64(40))) * ODD


def outer_key(namespace: npt.NDArray[np.uint16], rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """What an outer header is known by, from OUTER rows, or from SIGHTING rows that show nothing but it."""
    return (rows["content"] ^ (rows["flow"] * ODD)) + namespace.astype(np.uint64) * ODD
