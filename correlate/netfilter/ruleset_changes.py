"""When rules were changed, as the kernel announces it (NFT_MSG_NEWGEN of linux/netfilter/nf_tables.h)."""

import numpy as np
import numpy.typing as npt

from .messages import RawMessages
from .numbers import NFT_NEWGEN

TYPES = (NFT_NEWGEN,)


def ruleset_changes(raw: RawMessages) -> npt.NDArray[np.int64]:
    """(n, 2): time in ns and namespace of each change, in order."""
    rows = raw.rows.take(raw.which)
    return np.stack([rows["time_ns"], rows["namespace"].astype(np.int64)], axis=1)
