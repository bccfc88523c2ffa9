"""Messages of rtnetlink: their fields, and their attributes by the names that the kernel's headers give them.

Only what is recorded is known here. An attribute is decoded when it is asked for: a list may have thousands of entries.

Sources: linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h.
"""

import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from .netlink_dump import attributes

_STATS: Final = (
    "rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped",
    "multicast", "collisions", "rx_length_errors", "rx_over_errors", "rx_crc_errors", "rx_frame_errors",
    "rx_fifo_errors", "rx_missed_errors", "tx_aborted_errors", "tx_carrier_errors", "tx_fifo_errors",
    "tx_heartbeat_errors", "tx_window_errors",
)  # fmt: skip
"""The beginning of struct rtnl_link_stats and rtnl_link_stats64; newer kernels add to its end."""
_STATES: Final = ("UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP")
"""IF_OPER_* (linux/if.h)."""
_MAC_BYTES: Final = 6

LINK: Final = {"ifi_type": ("H", 2), "index": ("i", 4), "flags": ("I", 8)}
"""struct ifinfomsg: fields that are read, with their kind and offset; so the next two."""
ADDRESS: Final = {"prefixlen": ("B", 1), "index": ("I", 4)}
"""struct ifaddrmsg."""
NEIGHBOUR: Final = {"ifindex": ("i", 4), "state": ("H", 8), "flags": ("B", 10)}
"""struct ndmsg."""
LINK_BYTES, ADDRESS_BYTES, NEIGHBOUR_BYTES = 16, 8, 12


class Message:
    """A message, or the attributes within an attribute."""

    __slots__ = ("_attributes", "_data", "_fields")

    def __init__(self, data: bytes, fields: dict[str, tuple[str, int]], header_bytes: int) -> None:
        """`data`: what stands behind struct nlmsghdr; `fields`: of the header in front of the attributes."""
        self._data, self._fields = data, fields
        self._attributes = attributes(data, header_bytes)

    def __getitem__(self, name: str) -> int:
        """A field of the header."""
        kind, at = self._fields[name]
        return int(struct.unpack_from("=" + kind, self._data, at)[0])

    def get_attr(self, name: str) -> Any:  # noqa: ANN401 - each attribute has a type of its own
        """What an attribute says; None where there is none."""
        number, read = _ATTRIBUTES[name]
        content = self._attributes.get(number)
        return None if content is None else read(content)


def _number(content: bytes) -> int:
    return int.from_bytes(content, "little")


def _signed(content: bytes) -> int:
    return int.from_bytes(content, "little", signed=True)


def _port(content: bytes) -> int:
    return int.from_bytes(content, "big")


def _text(content: bytes) -> str | bytes:
    """Bytes where it is no UTF-8: a name may be anything."""
    plain = content.rstrip(b"\0")
    try:
        return plain.decode()
    except UnicodeDecodeError:
        return plain


def _mac(content: bytes) -> str | None:
    """Tunnels have addresses of other lengths, which are none of Ethernet."""
    return content.hex(":") if len(content) == _MAC_BYTES else None


def _ip(content: bytes) -> str | None:
    family = {4: socket.AF_INET, 16: socket.AF_INET6}.get(len(content))
    return socket.inet_ntop(family, content) if family else None


def _state(content: bytes) -> str:
    number = _number(content[:1])
    return _STATES[number] if number < len(_STATES) else str(number)


def _counts(kind: str) -> Callable[[bytes], dict[str, int]]:
    size = struct.calcsize("=" + kind)

    def read(content: bytes) -> dict[str, int]:
        count = min(len(content) // size, len(_STATS))
        return dict(zip(_STATS, struct.unpack_from(f"={count}{kind}", content), strict=False))

    return read


def _nested(content: bytes) -> Message:
    return Message(content, {}, 0)


_ATTRIBUTES: Final[dict[str, tuple[int, Callable[[bytes], Any]]]] = {
    "IFLA_ADDRESS": (1, _mac), "IFLA_IFNAME": (3, _text), "IFLA_MTU": (4, _number), "IFLA_LINK": (5, _number),
    "IFLA_QDISC": (6, _text), "IFLA_STATS": (7, _counts("I")), "IFLA_MASTER": (10, _number),
    "IFLA_OPERSTATE": (16, _state), "IFLA_LINKINFO": (18, _nested), "IFLA_STATS64": (23, _counts("Q")),
    "IFLA_GROUP": (27, _number), "IFLA_LINK_NETNSID": (37, _signed), "IFLA_GSO_MAX_SIZE": (41, _number),
    "IFLA_XDP": (43, _nested), "IFLA_GRO_MAX_SIZE": (58, _number), "IFLA_GSO_IPV4_MAX_SIZE": (63, _number),
    "IFLA_GRO_IPV4_MAX_SIZE": (64, _number),
    # Within IFLA_LINKINFO.
    "IFLA_INFO_KIND": (1, _text), "IFLA_INFO_DATA": (2, _nested), "IFLA_INFO_SLAVE_KIND": (4, _text),
    "IFLA_INFO_SLAVE_DATA": (5, _nested),
    # Within IFLA_INFO_SLAVE_DATA of a bridge's port.
    "IFLA_BRPORT_STATE": (1, _number), "IFLA_BRPORT_MODE": (4, _number), "IFLA_BRPORT_GUARD": (5, _number),
    "IFLA_BRPORT_LEARNING": (8, _number), "IFLA_BRPORT_UNICAST_FLOOD": (9, _number),
    "IFLA_BRPORT_NEIGH_SUPPRESS": (32, _number), "IFLA_BRPORT_ISOLATED": (33, _number),
    "IFLA_BRPORT_LOCKED": (39, _number),
    # Within IFLA_INFO_DATA of a bridge.
    "IFLA_BR_STP_STATE": (5, _number), "IFLA_BR_VLAN_FILTERING": (7, _number), "IFLA_BR_MCAST_SNOOPING": (23, _number),
    "IFLA_BR_NF_CALL_IPTABLES": (36, _number), "IFLA_BR_NF_CALL_IP6TABLES": (37, _number),
    # Within that of a VXLAN.
    "IFLA_VXLAN_ID": (1, _number), "IFLA_VXLAN_GROUP": (2, _ip), "IFLA_VXLAN_LINK": (3, _number),
    "IFLA_VXLAN_LOCAL": (4, _ip), "IFLA_VXLAN_TTL": (5, _number), "IFLA_VXLAN_LEARNING": (7, _number),
    "IFLA_VXLAN_PORT": (15, _port), "IFLA_VXLAN_UDP_CSUM": (18, _number),
    # Within IFLA_XDP.
    "IFLA_XDP_PROG_ID": (4, _number), "IFLA_XDP_DRV_PROG_ID": (5, _number), "IFLA_XDP_SKB_PROG_ID": (6, _number),
    "IFLA_XDP_HW_PROG_ID": (7, _number),
    "IFA_ADDRESS": (1, _ip), "IFA_LOCAL": (2, _ip),
    "NDA_DST": (1, _ip), "NDA_LLADDR": (2, _mac),
}  # fmt: skip
"""Number, and how it is read."""
