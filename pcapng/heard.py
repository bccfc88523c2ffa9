"""What a file holds of its netlink interfaces: that one is described says nothing, for the description outlives the
messages where a file was saved through a filter, and others record such an interface empty."""

from typing import Final

import numpy as np
import numpy.typing as npt

from .blocks import LinkType
from .capture_file import CaptureFile, Heard

_FAMILY: Final = 15
"""Offset of the low byte of the netlink family in a record (tcpdump.org/linktypes/LINKTYPE_NETLINK.html)."""
_SUBSYSTEM: Final = 16 + 5
"""Offset of the subsystem: the high byte of nlmsg_type, behind the pseudo-header."""
_NETFILTER: Final = 12
_UNTOLD: Final = 0
"""A pseudo-header of zeros. It would be rtnetlink's as well, which has no types above 255."""
_CONNTRACK: Final = 1
"""NFNL_SUBSYS_CTNETLINK (linux/netfilter/nfnetlink.h)."""
_AT_ONCE: Final = 1 << 12


class HeardInterfaces:
    """Counts them, piece by piece: the netlink interfaces of a capture and those of its snapshots."""

    def __init__(self, capture: CaptureFile) -> None:
        self._capture = capture

    def see(self, records: npt.NDArray[np.void]) -> None:
        """Take notice of the next RECORD rows: what was found stands in the capture."""
        interfaces = self._capture.interfaces
        for number, interface in enumerate(interfaces):
            if interface.link_type in (LinkType.NETLINK, LinkType.WIRESHARK_UPPER_PDU):
                self._see(records, number, conntrack=interface.link_type == LinkType.NETLINK)

    def _see(self, records: npt.NDArray[np.void], number: int, *, conntrack: bool) -> None:
        heard = self._capture.heard.setdefault(number, Heard())
        mine = np.flatnonzero(records["interface"] == number)
        heard.records += int(mine.size)
        # The table is dumped when a capture begins: the first piece tells, as a rule.
        for start in range(0, mine.size if conntrack else 0, _AT_ONCE):
            if heard.conntrack:
                break
            heard.conntrack = self._any_conntrack(records.take(mine[start : start + _AT_ONCE]))

    def _any_conntrack(self, records: npt.NDArray[np.void]) -> bool:
        whole = records["captured"] > _SUBSYSTEM
        at = records["offset"][whole].astype(np.int64)
        data = self._capture.data
        family = data[at + _FAMILY]
        return bool((((family == _NETFILTER) | (family == _UNTOLD)) & (data[at + _SUBSYSTEM] == _CONNTRACK)).any())
