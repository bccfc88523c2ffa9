"""Which bytes of a packet its `content` is made of: what NAT does not change, as far as every capture kept it.

The contents of a packet can only be compared where they were made of the same bytes. A file cut at 64 bytes holds ten
bytes of TCP behind an IPv6 header; then ten bytes count in all files. transport.py, icmp.py and one_frame.py make the
contents, explain/compared_fields.py tells in words what they were made of: both go by what stands here.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

WHOLE: Final = 20
"""Bytes that count where nothing was cut off: a TCP header, and as much of anything else."""
LEAST: Final = (4, 8)
"""With fewer there is nothing to know a packet by. IPv4: the ports, for it has an identification; IPv6: the sequence
number of TCP."""
# Of a transport header, counted from where it begins.
TCP_FLAGS_END: Final = 14
"""Behind sequence number, acknowledgment, size of the header and flags."""
TCP_WINDOW_END: Final = 16
"""Behind the window, in front of the checksum, which NAT changes."""
TCP_REACH: Final = 18
"""Up to and with the checksum. With a smaller reach flags and window may not count, and the flow label of IPv6 does."""
UDP_BYTES: Final = 8
"""Behind the checksum of UDP, UDP-Lite and DCCP."""
SCTP_BYTES: Final = 12
"""Behind the checksum of SCTP."""
SCTP_TAG: Final = 4
"""Where its verification tag begins, which has four bytes."""
ICMP_BYTES: Final = 8
"""Behind what stands for ports in ICMP; in an error, the packet that it is about begins there."""

# Of a frame that is not IP, counted from where the header of its link ends.
ARP_BYTES: Final = 28
"""With addresses of IPv4."""
OTHER_BYTES: Final = 64

FLOW_LABEL: Final = 0xFFFFF
"""In the first word of an IPv6 header."""
ABOUT: Final = 2
"""Where in the header of the packet that an error is about the four bytes begin that count: length and identification
of IPv4."""

_OFTEN: Final = 0.1
"""Part of a file's packets that must be cut for the others to be read no further. A single one may be damaged."""


def whole_reach() -> npt.NDArray[np.int64]:
    """The reach of captures that kept enough. It is bytes per IP version: [of IPv4, of IPv6]."""
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
