"""The sockets of a network namespace that wait for somebody, and those that are connected: sock_diag.

Sources: linux/inet_diag.h, linux/sock_diag.h, net/tcp_states.h.
"""

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from .netlink_dump import dump
from .netns import Netns

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_CLOSE: Final = 7  # of UDP: connected to nobody
_LISTEN: Final = 10
_CONNECTED: Final = {
    1: "established", 2: "syn_sent", 4: "fin_wait1", 5: "fin_wait2", 8: "close_wait", 9: "last_ack", 11: "closing",
}  # fmt: skip
"""TCP_* without those that nobody has open any more (TIME_WAIT)."""
_UDP_CONNECTED: Final = 1
_REQUEST: Final = struct.Struct("=BBBBI48x")
"""struct inet_diag_req_v2, whose socket id says nothing."""
_MESSAGE: Final = struct.Struct("=4B2s2s16s16sI8sIIIII")
"""struct inet_diag_msg."""
_MOST: Final = 1_000
"""Of each protocol and family."""
_PROTOCOLS: Final = {
    "tcp": (socket.IPPROTO_TCP, 1 << _LISTEN, sum(1 << state for state in _CONNECTED)),
    "udp": (socket.IPPROTO_UDP, 1 << _CLOSE, 1 << _UDP_CONNECTED),
}
"""Number, states of those that wait, of those that are connected."""

Row = dict[str, object]


@dataclass(slots=True)
class InetSockets:
    """Rows of docs/file-format.md."""

    listeners: list[Row]
    connections: list[Row]
    left_out: bool = False
    """There are more."""

    def inodes(self) -> set[int]:
        """Of all of them."""
        return {inode for row in (*self.listeners, *self.connections) if isinstance(inode := row["inode"], int)}

    def count(self, protocol: str, family: int) -> int:
        """How many wait, of a protocol and family."""
        is_ipv6 = family == socket.AF_INET6
        return sum(row["protocol"] == protocol and (":" in str(row["address"])) == is_ipv6 for row in self.listeners)


def read_sockets(netns: Netns) -> InetSockets:
    """All of TCP and UDP that the kernel tells. Raises OSError where it tells none."""
    found = InetSockets([], [])
    missing: OSError | None = None
    told = 0
    in_use = _in_use(netns)
    for name, (protocol, waits, connected) in _PROTOCOLS.items():
        for family, states in product((socket.AF_INET, socket.AF_INET6), (waits, connected)):
            if states == connected and in_use.get((name, family)) == found.count(name, family):
                continue
            try:
                _ask(netns, found, name, _REQUEST.pack(family, protocol, 0, 0, states))
                told += 1
            except OSError as error:  # a kernel without udp_diag, or without IPv6
                missing = error
    if missing is not None and not told:
        raise missing
    return found


def _in_use(netns: Netns) -> dict[tuple[str, int], int]:
    """How many TCP sockets there are. For those that are connected the kernel goes through the table of all namespaces,
    which takes some ms; so it is asked where there are more than listen."""
    found = {}
    for file, name, family in (("sockstat", "TCP", socket.AF_INET), ("sockstat6", "TCP6", socket.AF_INET6)):
        with suppress(OSError, ValueError), netns.entered():
            words = Path("/proc/thread-self/net", file).read_text().split()
            found["tcp", int(family)] = int(words[words.index(f"{name}:") + 2])
    return found


def _ask(netns: Netns, found: InetSockets, protocol: str, request: bytes) -> None:
    messages, more = dump(netns, _NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, request, most=_MOST)
    found.left_out |= more
    for message in messages:
        if len(message) >= _MESSAGE.size:
            _add(found, protocol, message)


def _add(found: InetSockets, protocol: str, message: bytes) -> None:
    family, state, _, _, port, peer_port, source, peer, index, _, _, waiting, most, uid, inode = _MESSAGE.unpack_from(
        message
    )
    own = {"protocol": protocol, "address": _address(family, source), "port": int.from_bytes(port, "big")}
    owner = {"uid": uid, "inode": inode}
    if state in (_LISTEN, _CLOSE):
        row = own | {"index": index or None} | owner
        # Of a listening TCP socket: connections that nobody accepted yet, and how many may be.
        found.listeners.append(row | {"backlog": waiting, "most": most} if protocol == "tcp" else row)
        return
    to = {"peer": _address(family, peer), "peer_port": int.from_bytes(peer_port, "big")}
    # Bytes that the program has not read, and that the peer has not acknowledged.
    queues = {name: number for name, number in (("unread", waiting), ("unsent", most)) if number}
    found.connections.append(own | to | {"state": _CONNECTED.get(state, str(state))} | owner | queues)


def _address(family: int, content: bytes) -> str:
    return socket.inet_ntop(family, content[:4] if family == socket.AF_INET else content)
