"""What a container may make in its own namespace, by bare netlink: names of any bytes."""

import os
import socket
import struct

BRIDGE_UP = (16, 0x605)  # RTM_NEWLINK: request, acknowledge, create, exclusively


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def make_interface(name: bytes) -> None:
    """A bridge, up, in the thread's namespace (struct ifinfomsg; IFLA_IFNAME, IFLA_LINKINFO)."""
    head = struct.pack("=BxHiII", 0, 0, 0, 1, 1)
    body = head + attribute(3, name + b"\0") + attribute(18, attribute(1, b"bridge"))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(message(*BRIDGE_UP, body))
        error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    assert error == 0, (name, os.strerror(-error))


def make_table(name: bytes) -> None:
    """An nftables table of family inet, in the thread's namespace (NFT_MSG_NEWTABLE within a batch)."""
    batch = struct.pack(">BBH", 0, 0, 10)
    table = struct.pack(">BBH", 1, 0, 0) + attribute(1, name + b"\0")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        netlink.bind((0, 0))
        netlink.send(message(16, 1, batch) + message(0xA00, 0x405, table) + message(17, 1, batch))
        error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    assert error == 0, (name, os.strerror(-error))
