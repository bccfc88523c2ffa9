"""A list that the kernel gives over netlink, with a bound: messages as they are, and their attributes by number.

Sources: linux/netlink.h, man 7 netlink.
"""

import os
import socket
import struct
from typing import Final

from .netns import Netns

_NLM_F_REQUEST: Final = 1
_NLM_F_DUMP: Final = 0x300
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_TYPE_MASK: Final = 0x3FFF  # NLA_TYPE_MASK: without the flags for nested ones and byte order
_RECEIVE_BYTES: Final = 1 << 16
"""The kernel fills at most half of this at once (netlink_dump of net/netlink/af_netlink.c)."""
_TIMEOUT_S: Final = 2.0


def dump(netns: Netns, protocol: int, kind: int, body: bytes, *, most: int) -> tuple[list[bytes], bool]:
    """(What stands behind the header of each message, whether there are more than `most`). `protocol`: NETLINK_*;
    `kind` and `body`: of the question. Raises OSError, as where the kernel has no such list."""
    with netns.entered():
        query = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    found: list[bytes] = []
    with query:
        query.settimeout(_TIMEOUT_S)
        query.bind((0, 0))
        query.send(_HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0) + body)
        while _add(found, query.recv(_RECEIVE_BYTES)):
            if len(found) > most:
                break
    return found[:most], len(found) > most


def _add(found: list[bytes], received: bytes) -> bool:
    """Add the messages of one datagram; returns whether more come. Raises OSError for what the kernel refused."""
    at = 0
    while at + _HEADER.size <= len(received):
        length, kind, _, _, _ = _HEADER.unpack_from(received, at)
        body = received[at + _HEADER.size : at + length]
        if kind in (_NLMSG_ERROR, _NLMSG_DONE):
            number = -int.from_bytes(body[:4], "little", signed=True) if len(body) >= 4 else 0
            if number > 0:
                raise OSError(number, os.strerror(number))
            return False
        found.append(body)
        at += max(length + 3 & ~3, _HEADER.size)
    return True


def attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    """Number to content of the attributes that stand from `at` on; of equal ones the last."""
    found: dict[int, bytes] = {}
    while at + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4:
            break
        found[kind & _TYPE_MASK] = data[at + 4 : at + length]
        at += length + 3 & ~3
    return found


def number_of(content: bytes | None) -> int | None:
    """An unsigned number in the machine's order, of whatever width; None where there is none."""
    return int.from_bytes(content, "little") if content else None
