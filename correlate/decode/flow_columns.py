"""The columns that say whose packet a row is: addresses as halves, and the hashes of the flow."""

import numpy as np

from ...kernels.njit import njit
from ..arrays.hashing import flow_hashes

MAPPED = np.uint64(0x0000FFFF00000000)
"""Upper part of the low half of an IPv4-mapped address."""


@njit(cache=True)
def set_flow(row, protocol, s_high, s_low, d_high, d_low, s_port, d_port):
    """Set `flow` and `flow_reverse` of a row."""
    row.flow, row.flow_reverse = flow_hashes(protocol, s_high, s_low, d_high, d_low, s_port, d_port)
