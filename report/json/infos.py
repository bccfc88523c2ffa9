"""What packets are, in words, from columns."""

import numpy as np
import numpy.typing as npt

from ...correlate.protocols import ICMP, ICMPV6, WITH_PORTS

_IS_ICMP = np.isin(np.arange(256), (ICMP, ICMPV6))
_HAS_LENGTH = ~np.isin(np.arange(256), (ICMP, ICMPV6, *WITH_PORTS))
_ALWAYS = ("protocol", "payload_length", "fragment", "notes", "tcp_flags")
_OF_ICMP = ("icmp_type", "icmp_code", "sequence", "window")


def info_columns(seen: npt.NDArray[np.void]) -> list[npt.NDArray[np.generic]]:
    """Columns of SIGHTING rows: `packet_info` says the same of two that are equal in all of them."""
    is_icmp, has_length = _IS_ICMP[seen["protocol"]], _HAS_LENGTH[seen["protocol"]]
    return [
        *(seen[name] for name in _ALWAYS),
        *(np.where(is_icmp, seen[name], 0) for name in _OF_ICMP),
        np.where(has_length, seen["length"], 0),
    ]
