"""The hops of the paths, as kernels take them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Ways(NamedTuple):
    """The hops of the paths."""

    first: npt.NDArray[np.int64]
    """Row of the first hop of each path, and of the last."""
    last: npt.NDArray[np.int64]
    hops: npt.NDArray[np.void]
    sightings: npt.NDArray[np.void]
    times_ns: npt.NDArray[np.int64]
