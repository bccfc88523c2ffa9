"""The sockets that wait for somebody, in a network namespace: sock_diag (linux/inet_diag.h, linux/sock_diag.h)."""

import socket
import struct
from typing import Final

from .netlink_dump import dump
from .netns import Netns

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_LISTEN: Final = 1 << 10  # TCP_LISTEN of net/tcp_states.h
_CLOSE: Final = 1 << 7  # a UDP socket that is connected to nobody
_REQUEST: Final = struct.Struct("=BBBBI48x")
"""struct inet_diag_req_v2, whose socket id says nothing."""
_MESSAGE: Final = struct.Struct("=4B2s2s16s16sI8sIIIII")
"""struct inet_diag_msg."""
_MOST: Final = 2_000
"""Of each protocol and family."""
_PROTOCOLS: Final = {"tcp": (socket.IPPROTO_TCP, _LISTEN), "udp": (socket.IPPROTO_UDP, _CLOSE)}


def read_listeners(netns: Netns) -> tuple[list[dict[str, object]], bool]:
    """(`listeners` of docs/file-format.md, whether some are left out). Raises OSError where the kernel tells none."""
    rows: list[dict[str, object]] = []
    left_out = False
    for name, (protocol, states) in _PROTOCOLS.items():
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _REQUEST.pack(family, protocol, 0, 0, states)
            found, more = dump(netns, _NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, request, most=_MOST)
            rows += [_row(name, message) for message in found if len(message) >= _MESSAGE.size]
            left_out |= more
    return rows, left_out


def _row(protocol: str, message: bytes) -> dict[str, object]:
    family, _, _, _, port, _, source, _, index, _, _, waiting, most, uid, inode = _MESSAGE.unpack_from(message)
    address = source[:4] if family == socket.AF_INET else source
    row: dict[str, object] = {
        "protocol": protocol,
        "address": socket.inet_ntop(family, address),
        "port": int.from_bytes(port, "big"),
        "index": index or None,
        "uid": uid,
        "inode": inode,
    }
    # Of a listening TCP socket: connections that nobody accepted yet, and how many may be.
    return row | {"backlog": waiting, "most": most} if protocol == "tcp" else row
