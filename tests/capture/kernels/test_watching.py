"""What the loop looks for in packets and trace messages, on made-up ones; and that nothing else is taken for it."""

import struct

import pytest

from ttrace.capture.kernels import columns, messages
from ttrace.capture.sockets.numbers import NFT_TRACE
from ttrace.capture.stream.seen import take_seen

from .made_up import Packet, made_up, message, put_datagrams, written

ETHERNET = bytes(12)
ALL = columns.SEEN_DROP | columns.SEEN_MATCH


def ipv4(protocol: int = 6, *, offset: int = 0, options: int = 0) -> bytes:
    head = bytes([0x45 + options, 0, 0, 40, 0, 0, offset >> 8, offset & 255, 64, protocol, 0, 0])
    return head + bytes(8 + 4 * options)


def ipv6(following: int = 6) -> bytes:
    return b"\x60" + bytes(5) + bytes([following, 64]) + bytes(32)


def tcp(flags: int) -> bytes:
    return bytes(13) + bytes([flags]) + bytes(6)


RST, RST_ACK, SYN = tcp(0x04), tcp(0x14), tcp(0x02)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ETHERNET + b"\x08\0" + ipv4() + RST, True),
        (ETHERNET + b"\x08\0" + ipv4() + RST_ACK, True),
        (ETHERNET + b"\x08\0" + ipv4() + SYN, False),
        (ETHERNET + b"\x08\0" + ipv4(options=3) + RST, True),
        (ETHERNET + b"\x08\0" + ipv4(17) + RST, False),
        (ETHERNET + b"\x08\0" + ipv4(offset=185) + RST, False),
        (ETHERNET + b"\x08\0" + ipv4(offset=0x2000) + RST, True),  # the first fragment
        (ETHERNET + b"\x86\xdd" + ipv6() + RST, True),
        (ETHERNET + b"\x86\xdd" + ipv6(58) + RST, False),
        (ETHERNET + b"\x81\0\0\x2a\x08\0" + ipv4() + RST, True),
        (ETHERNET + b"\x88\xa8\0\x01\x81\0\0\x2a\x86\xdd" + ipv6() + RST, True),
        (ETHERNET + b"\x08\x06" + ipv4() + RST, False),
        (ETHERNET + b"\x08\0" + (ipv4() + RST)[:33], False),  # cut in front of the flags
        (ETHERNET[:7], False),
        (b"", False),
    ],
)
def test_reset_is_seen_in_a_packet(data, expected):
    intake = made_up([[[Packet(time_ns=5, data=data), Packet(time_ns=9, data=data)]]])
    intake.rings[:, columns.RING_WATCHED] = 1
    written(intake)
    assert take_seen(intake.rings, intake.inboxes) == ((columns.SEEN_RESET, 5, 9) if expected else (0, 0, 0))
    assert take_seen(intake.rings, intake.inboxes) == (0, 0, 0)


def test_without_a_link_header_and_where_nothing_is_looked_for():
    packet = Packet(time_ns=5, data=ipv4() + RST)
    intake = made_up([[[packet]], [[Packet(time_ns=6, data=SYN)]]], ethernet=False)
    intake.rings[:, columns.RING_WATCHED] = 1
    written(intake)
    assert take_seen(intake.rings, intake.inboxes) == (columns.SEEN_RESET, 5, 5)
    intake = made_up([[[packet]]], ethernet=False)
    written(intake)
    assert take_seen(intake.rings, intake.inboxes) == (0, 0, 0)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def trace(kind: int, *, verdict=None, policy=None, table=b"t", chain=b"c", handle=True) -> bytes:
    body = bytes(4) + attribute(1, table + b"\0") + attribute(2, chain + b"\0")
    body += attribute(3, bytes(8)) if handle else b""
    body += attribute(4, struct.pack(">I", kind))
    if verdict is not None:
        body += attribute(5 | 0x8000, attribute(1, struct.pack(">i", verdict)))
    if policy is not None:
        body += attribute(16, struct.pack(">I", policy))
    return body


RULE, POLICY, RETURN = 3, 1, 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (trace(RULE, verdict=0), columns.SEEN_DROP),
        (trace(RULE, verdict=1), 0),
        (trace(RULE, verdict=-1), 0),
        (trace(POLICY, policy=0), columns.SEEN_DROP),
        (trace(POLICY, policy=1), 0),
        (trace(RETURN, verdict=0), 0),
        (trace(RULE, verdict=-1, table=b"ttrace", chain=b"freeze_output"), columns.SEEN_MATCH),
        (trace(RULE, verdict=-1, table=b"ttrace", chain=b"freeze_output", handle=False), 0),
        (trace(RULE, verdict=-1, table=b"ttrace", chain=b"output_first"), 0),
        (trace(RULE, verdict=-1, table=b"ttrace2", chain=b"freeze_output"), 0),
        (trace(RULE, verdict=-1, table=b"x", chain=b"freeze_output"), 0),
        (trace(POLICY, policy=1, table=b"ttrace", chain=b"freeze_output"), 0),
        (trace(RULE, verdict=0)[:26], 0),  # cut in front of the verdict
        (bytes(4) + attribute(4, b"\0\0") + attribute(5, b"") + b"\1\0\1\0", 0),
        (bytes(4) + attribute(5 | 0x8000, attribute(1, b"")) + attribute(4, struct.pack(">I", RULE)), 0),
        (bytes(4) + b"\0\0\0\0" + trace(RULE, verdict=0)[4:], 0),  # a length of 0 must not hang
        (b"", 0),
    ],
)
def test_verdicts_and_our_own_rules_are_seen_in_a_message(body, expected):
    intake = made_up([], inboxes=1)
    intake.inboxes[0, columns.INBOX_WATCHED] = ALL
    put_datagrams(intake, 0, [message(NFT_TRACE, body)])
    messages.keep_datagrams(intake, 0, 1, 77, 0)
    assert take_seen(intake.rings, intake.inboxes) == ((expected, 77, 77) if expected else (0, 0, 0))


def test_what_is_not_looked_for_is_not_seen():
    intake = made_up([], inboxes=1)
    intake.inboxes[0, columns.INBOX_WATCHED] = columns.SEEN_MATCH
    put_datagrams(intake, 0, [message(NFT_TRACE, trace(RULE, verdict=0))])
    messages.keep_datagrams(intake, 0, 1, 77, 0)
    assert take_seen(intake.rings, intake.inboxes) == (0, 0, 0)
