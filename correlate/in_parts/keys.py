"""Keys by which rows of different tables are known to belong together."""

import numpy as np
import numpy.typing as npt

from ..arrays.hashing import spread


def pair_of(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """The address pair of SIGHTING rows, the same for both directions."""
    return np.minimum(rows["flow"], rows["flow_reverse"])


def content_key(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Content and namespace of SIGHTING rows."""
    return spread(rows["content"] ^ (rows["namespace"].astype(np.uint64) << np.uint64(40)))


def outer_key(namespace: npt.NDArray[np.uint16], rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """What an outer header is known by, from OUTER rows, or from SIGHTING rows that show nothing but it."""
    return (rows["content"] ^ spread(rows["flow"])) + spread(namespace)
