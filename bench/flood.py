"""Sends a fixed number of packets at a fixed rate: `python flood.py KIND PACKETS RATE PLACE...`, standard library only.

KIND is `small` (64-byte UDP frames) or `gso` (65,226-byte TCP super-packets as a kernel with offload hands them on),
written to the interfaces PLACE..., in turn; or `udp`: datagrams through the stack to the one address PLACE. RATE is
packets per second over all interfaces, 0 is as fast as it goes. It says `ready`, begins at a line on stdin, and ends
with a line of JSON: packets sent, seconds, seconds of CPU.

sendmmsg through ctypes: one system call sends a whole burst, so Python is no part of what is measured.
"""

import ctypes
import errno
import json
import os
import socket
import struct
import sys
import time

BURST = 64
"""Packets of one system call; at most this many arrive at once."""
PORTS = 64
"""Flows of each interface."""
SMALL, SUPER_PAYLOAD, SEGMENT = 22, 45 * 1448, 1448
"""Bytes of payload: of a 64-byte frame, of a super-packet, of each of its segments."""
_SOL_PACKET, _PACKET_VNET_HDR = 263, 15
_ETH_P_IP = 0x0800


class IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct mmsghdr, of 64-bit machines."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(IoVector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("sent", ctypes.c_size_t),
    )


LIBC = ctypes.CDLL(None, use_errno=True)


def ip_sum(header):
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def network(protocol, length, number, interface):
    """An IPv4 header, to an address that nobody has: the far end throws the packet away, without an answer, when it
    looks for a route, which is behind netfilter's first hook."""
    source, destination = (bytes((10, 77, interface, host)) for host in (1, 200))
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + length, number, 0x4000, 64, protocol, 0, source, destination)
    return head[:10] + struct.pack(">H", ip_sum(head)) + head[12:]


def frame(kind, number, interface, ethernet):
    """Frame `number` of an interface."""
    port = 20_000 + number % PORTS
    if kind == "small":
        head = struct.pack(">HHHH", port, 9, 8 + SMALL, 0)
        return ethernet + network(17, len(head) + SMALL, number, interface) + head + bytes(SMALL)
    head = struct.pack(">HHIIBBHHH", port, 9, number * SUPER_PAYLOAD, 1, 0x50, 0x10, 502, 0, 0)
    # struct virtio_net_hdr: the checksum is yet to be made; TCPv4; header bytes, segment bytes, where the checksum is.
    offload = struct.pack("=BBHHHH", 1, 1, 54, SEGMENT, 34, 16)
    return offload + ethernet + network(6, len(head) + SUPER_PAYLOAD, number, interface) + head + bytes(SUPER_PAYLOAD)


def macs(number):
    """Of the far and the near end of interface `number`, as network.py gives them."""
    return bytes((2, 0x77, 0, 0, number, 2)), bytes((2, 0x77, 0, 0, number, 1))


def raw_socket(kind, name):
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    if kind == "gso":
        sender.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    sender.bind((name, _ETH_P_IP))
    return sender


def batch(payloads):
    """An array of message headers for sendmmsg, one for each payload."""
    headers = (Header * len(payloads))()
    for header, payload in zip(headers, payloads, strict=True):
        # The structures keep what they point to alive.
        buffer = ctypes.create_string_buffer(payload, len(payload))
        vector = IoVector(ctypes.cast(buffer, ctypes.c_void_p), len(payload))
        header.vectors, header.vector_count = ctypes.pointer(vector), 1
        KEPT.append((buffer, vector))
    return headers


KEPT = []


def send_burst(descriptor, headers, count):
    """Send the first `count` messages, whatever it takes."""
    done = 0
    while done < count:
        at = ctypes.byref(headers, done * ctypes.sizeof(Header))
        sent = LIBC.sendmmsg(descriptor, at, count - done, 0)
        if sent < 0:
            number = ctypes.get_errno()
            if number not in (errno.ENOBUFS, errno.EAGAIN, errno.ECONNREFUSED):
                raise OSError(number, os.strerror(number))
            time.sleep(0.0001)
        else:
            done += sent


def senders(kind, places):
    """(descriptor, message headers) in the order of their turns."""
    made = []
    for number, place in enumerate(places):
        if kind == "udp":
            for port in range(PORTS):
                sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sender.bind(("", 20_000 + port))
                sender.connect((place, 9))
                made.append((sender, batch([bytes(SMALL)] * BURST)))
        else:
            ethernet = b"".join(macs(number)) + struct.pack(">H", _ETH_P_IP)
            made.append((raw_socket(kind, place), batch([frame(kind, i, number, ethernet) for i in range(BURST)])))
    return made


def flood(turns, packets, rate):
    """Send; seconds it took."""
    begin = time.perf_counter()
    sent = turn = 0
    while sent < packets:
        sender, headers = turns[turn % len(turns)]
        count = min(BURST, packets - sent)
        send_burst(sender.fileno(), headers, count)
        sent += count
        turn += 1
        if rate and (early := begin + sent / rate - time.perf_counter()) > 0:
            time.sleep(early)
    return time.perf_counter() - begin


def main():
    kind, packets, rate, *places = sys.argv[1:]
    turns = senders(kind, places)
    print("ready", flush=True)
    sys.stdin.readline()
    before = time.process_time()
    seconds = flood(turns, int(packets), float(rate))
    print(json.dumps({"sent": int(packets), "seconds": seconds, "cpu": time.process_time() - before}))


if __name__ == "__main__":
    main()
