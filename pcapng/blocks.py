"""Numbers of the pcapng format, and the names ttrace gives to what it puts into it.

Source: draft-ietf-opsawg-pcapng (block types, options) and the tcpdump.org list of link types.
"""

from enum import IntEnum
from typing import Final

BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
OTHER_BYTE_ORDER_MAGIC: Final = 0x4D3C2B1A
"""The same in a section of the other byte order."""

PCAP_MAGIC: Final = 0xA1B2C3D4
PCAP_NANOSECONDS_MAGIC: Final = 0xA1B23C4D
"""The first word of a classic file (draft-ietf-opsawg-pcap): timestamps in microseconds, or in nanoseconds."""

FORMAT_VERSION: Final = 1
"""Version of what docs/file-format.md adds to pcapng: the value of `ttrace` in the section header's comment."""


class BlockType(IntEnum):
    """Block types ttrace reads, writes or counts (draft-ietf-opsawg-pcapng, section 11.1)."""

    SECTION_HEADER = 0x0A0D0D0A
    INTERFACE_DESCRIPTION = 1
    OBSOLETE_PACKET = 2
    SIMPLE_PACKET = 3
    NAME_RESOLUTION = 4
    INTERFACE_STATISTICS = 5
    ENHANCED_PACKET = 6
    SYSTEMD_JOURNAL = 9
    SYSDIG_EVENT = 0x204
    SYSDIG_EVENT_2 = 0x216
    CUSTOM = 0x00000BAD
    CUSTOM_NOT_COPIED = 0x40000BAD


class Option(IntEnum):
    """Option codes; each block type has its own number space above 1."""

    END = 0
    COMMENT = 1
    SHB_HARDWARE = 2
    SHB_OS = 3
    SHB_USERAPPL = 4
    IF_NAME = 2
    IF_DESCRIPTION = 3
    IF_MACADDR = 6
    IF_TSRESOL = 9
    IF_FILTER = 11
    IF_OS = 12
    IF_TSOFFSET = 14
    EPB_FLAGS = 2
    ISB_STARTTIME = 2
    ISB_ENDTIME = 3
    ISB_IFRECV = 4
    ISB_IFDROP = 5
    ISB_OSDROP = 7


class NameRecord(IntEnum):
    """Records of a name resolution block (section 4.5): an address, then its names."""

    END = 0
    IPV4 = 1
    IPV6 = 2


class LinkType(IntEnum):
    """Link types that are read (tcpdump.org/linktypes.html); packets of any other are kept and counted."""

    NULL = 0
    ETHERNET = 1
    PPP = 9
    PPP_HDLC = 50
    PPP_ETHER = 51
    RAW = 101
    LOOP = 108
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    WIRESHARK_UPPER_PDU = 252
    NETLINK = 253
    LINUX_SLL2 = 276


class Direction(IntEnum):
    """The low two bits of epb_flags: how the packet passed the interface."""

    UNKNOWN = 0
    IN = 1
    OUT = 2


NETLINK_HEADER: Final = bytes.fromhex("0000 0338 0000 0000 0000 0000 0000 000c")
"""LINKTYPE_NETLINK pseudo-header: packet type 0, ARPHRD_NETLINK (824), 10 bytes unused, NETLINK_NETFILTER (12)."""

DROP_HEADER: Final = NETLINK_HEADER[:-1] + bytes([16])
"""The same in front of a drop of the kernel, which is no message of netfilter: NETLINK_GENERIC (16)."""

DROP_MESSAGE: Final = 0x7F11
"""nlmsg_type of a drop of the kernel: ttrace's own, of no netfilter subsystem and no generic family (at most 0x3FF)."""


class DropAttribute(IntEnum):
    """Attributes of a drop of the kernel (docs/file-format.md)."""

    REASON_NUMBER = 1
    DEVICE = 2
    INPUT = 3
    PROTOCOL = 4
    LENGTH = 5
    REASON = 6
    SYMBOL = 7
    PACKET = 8
