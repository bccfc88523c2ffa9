"""By which number (nsid) a network namespace knows others: how its links name the namespace of their peer.

Asked for many at once (linux/net_namespace.h): with a hundred namespaces there are ten thousand questions.
"""

import socket
import struct
from collections.abc import Iterable
from typing import Final

from .netns import Netns

_RTM_NEWNSID: Final = 88  # linux/rtnetlink.h; so the next
_RTM_GETNSID: Final = 90
_NLM_F_REQUEST: Final = 1  # linux/netlink.h
_NETNSA_NSID: Final = 1
_NETNSA_FD: Final = 3
_REQUEST: Final = struct.Struct("=IHHIIB3xHHI")
"""struct nlmsghdr, rtgenmsg (padded), nlattr with a descriptor."""
_HEADER: Final = struct.Struct("=IHHII")
_ANSWER_ATTRIBUTES: Final = _HEADER.size + 4
_NO_NSID: Final = -1  # NETNSA_NSID_NOT_ASSIGNED
_AT_ONCE: Final = 64
"""Questions of one message: their answers fit into a socket's buffer of the default size."""
_ANSWER_BYTES: Final = 4096
_TIMEOUT_S: Final = 2.0


def namespace_ids(netns: Netns, others: Iterable[Netns]) -> dict[int, str]:
    """The nsid under which `netns` knows each of `others`, to its label; those it knows. Raises OSError."""
    asked = list(others)
    labels: dict[int, str] = {}
    with netns.entered():
        query = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    with query:
        query.settimeout(_TIMEOUT_S)
        query.bind((0, 0))
        for begin in range(0, len(asked), _AT_ONCE):
            some = asked[begin : begin + _AT_ONCE]
            query.send(b"".join(_question(other.fd, number) for number, other in enumerate(some)))
            for _ in some:
                number, nsid = _answer(query.recv(_ANSWER_BYTES))
                # Without one, no link here has a peer there.
                if nsid is not None and nsid != _NO_NSID:
                    labels[nsid] = some[number].label
    return labels


def _question(fd: int, number: int) -> bytes:
    return _REQUEST.pack(_REQUEST.size, _RTM_GETNSID, _NLM_F_REQUEST, number, 0, socket.AF_UNSPEC, 8, _NETNSA_FD, fd)


def _answer(message: bytes) -> tuple[int, int | None]:
    """The number of the question, and the nsid; None if it says none."""
    _, kind, _, number, _ = _HEADER.unpack_from(message)
    at = _ANSWER_ATTRIBUTES
    while kind == _RTM_NEWNSID and at + 4 <= len(message):
        length, name = struct.unpack_from("=HH", message, at)
        if name == _NETNSA_NSID:
            return number, int(struct.unpack_from("=i", message, at + 4)[0])
        at += max(-(-length // 4) * 4, 4)
    return number, None
