"""Requests to netfilter over netlink, and their answers: nlmsghdr and nfgenmsg (linux/netlink.h, nfnetlink.h)."""

import errno
import socket
import struct
from collections.abc import Iterable

from .numbers import NETLINK_NETFILTER, NFT_GETGEN, NLM_F_REQUEST, NLMSG_ERROR

_MESSAGE = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port."""
_GENERAL = struct.Struct(">BBH")
"""struct nfgenmsg: family, version, resource."""
_ATTRIBUTE = struct.Struct("=HH")
"""struct nlattr: length, type."""
_ANSWER_BYTES = 1 << 15
_TIMEOUT_S = 2.0
_ACKNOWLEDGED_S = 1.0


def request(kind: int, flags: int, *, sequence: int = 1, attributes: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """A request of nlmsg_type `kind`, for all families, about resource 0; `attributes` are numbers and values."""
    body = _GENERAL.pack(0, 0, 0)
    for number, value in attributes:
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), number) + value + bytes(-len(value) % 4)
    return _MESSAGE.pack(_MESSAGE.size + len(body), kind, NLM_F_REQUEST | flags, sequence, 0) + body


def error_of(answer: bytes) -> int | None:
    """The error number of an answer that is an NLMSG_ERROR, 0 for an acknowledgement; None if it is something else."""
    _, kind, _, _, _ = _MESSAGE.unpack_from(answer)
    # struct nlmsgerr begins with the negative number.
    return -int(struct.unpack_from("=i", answer, _MESSAGE.size)[0]) if kind == NLMSG_ERROR else None


def acknowledgement(listener: socket.socket, sequence: int) -> int:
    """Read until the acknowledgement of request `sequence`; returns its error number, 0 for success."""
    listener.settimeout(_ACKNOWLEDGED_S)
    try:
        while True:
            answer = listener.recv(_ANSWER_BYTES)
            error = error_of(answer)
            if error is not None and _MESSAGE.unpack_from(answer)[3] == sequence:
                return error
    except TimeoutError:
        return errno.ETIMEDOUT
    finally:
        listener.setblocking(True)


def ruleset_generation() -> int:
    """Generation id of the nft ruleset in the namespace of the calling thread (NFT_MSG_GETGEN). Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as query:
        query.settimeout(_TIMEOUT_S)
        query.bind((0, 0))
        query.send(request(NFT_GETGEN, 0))
        answer = query.recv(_ANSWER_BYTES)
    error = error_of(answer)
    if error is not None:
        raise OSError(error, "no nf_tables")
    # NFTA_GEN_ID is the first attribute, a big-endian u32.
    return int(struct.unpack_from(">I", answer, _MESSAGE.size + _GENERAL.size + _ATTRIBUTE.size)[0])
