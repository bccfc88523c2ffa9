"""A tunnel in user space, as many VPNs have it, and for the kinds that a kernel may lack.

Run inside a node as `tunnel.py KIND LOCAL REMOTE`; it makes `tn0` and says `ready`. KIND: `geneve` (Ethernet inside),
`gre`, `ipip`, or `sealed`: UDP whose payload shows nothing of the packet inside, as WireGuard's does.
"""

import fcntl
import hashlib
import os
import select
import socket
import struct
import sys
import zlib
from contextlib import suppress

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x1, 0x2, 0x1000
IPIP, GRE = 4, 47
GENEVE_PORT, SEALED_PORT = 6081, 51820
GENEVE = bytes.fromhex("0000655800000500")
SENDERS = 4
"""A Geneve flow has its own source port (RFC 8926, 3.3), here one of so many."""


class Raw:
    """A protocol of its own, behind a fixed header."""

    def __init__(self, protocol, head, local, remote):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
        self.socket.bind((local, 0))
        self._head, self._remote = head, remote

    def send(self, packet):
        self.socket.sendto(self._head + packet, (self._remote, 0))

    def open(self, datagram):
        """The packet inside of what came, which begins with its IP header."""
        return datagram[(datagram[0] & 15) * 4 + len(self._head) :]


class Geneve:
    """UDP with a header."""

    def __init__(self, local, remote):
        self.socket, *self._senders = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SENDERS + 1))
        self.socket.bind((local, GENEVE_PORT))
        for sender in self._senders:
            sender.connect((remote, GENEVE_PORT))

    def send(self, packet):
        flow = packet[23:24] + packet[26:38]  # an IPv4 packet's protocol, addresses and ports
        self._senders[zlib.crc32(flow) % SENDERS].send(GENEVE + packet)

    def open(self, datagram):
        return datagram[len(GENEVE) :]


class Sealed:
    """UDP with a counter in clear, as WireGuard's transport messages: nothing else can be read."""

    def __init__(self, local, remote):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((local, SEALED_PORT))
        self.socket.connect((remote, SEALED_PORT))
        self._sent = 0

    def send(self, packet):
        head = struct.pack("<IQ", 4, self._sent)
        self._sent += 1
        self.socket.send(head + self._mixed(head, packet))

    def open(self, datagram):
        return self._mixed(datagram[:12], datagram[12:])

    def _mixed(self, head, packet):
        key = hashlib.shake_128(head).digest(len(packet))
        return (int.from_bytes(packet, "big") ^ int.from_bytes(key, "big")).to_bytes(len(packet), "big")


def run(device, tunnel):
    """Carry packets both ways, until killed."""
    poller = select.poll()
    for descriptor in (device, tunnel.socket.fileno()):
        poller.register(descriptor, select.POLLIN)
    print("ready", flush=True)
    while True:
        for descriptor, _ in poller.poll():
            with suppress(OSError):  # the other end is not up yet
                if descriptor == device:
                    tunnel.send(os.read(device, 65536))
                else:
                    os.write(device, tunnel.open(tunnel.socket.recv(65536)))


def main():
    kind, local, remote = sys.argv[1:]
    device = os.open("/dev/net/tun", os.O_RDWR)
    flags = (IFF_TAP if kind == "geneve" else IFF_TUN) | IFF_NO_PI
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"tn0", flags))
    raw = {"gre": (GRE, bytes.fromhex("00000800")), "ipip": (IPIP, b"")}
    sealing = {"geneve": Geneve, "sealed": Sealed}
    run(device, Raw(*raw[kind], local, remote) if kind in raw else sealing[kind](local, remote))


if __name__ == "__main__":
    main()
