"""Datagrams of a netlink socket are cut into messages, which are counted and wait as blocks."""

import socket

import numpy as np
import pytest

from ttrace.capture.kernels import columns
from ttrace.capture.kernels.messages import compact, keep_datagrams, receive
from ttrace.pcapng.blocks import NETLINK_HEADER
from ttrace.pcapng.write import enhanced_packet

from .made_up import made_up, message, put_datagrams, written

TIME_NS = 1_700_000_000_000_000_000


def kept(datagrams: list[bytes]):
    intake = made_up([], inboxes=1)
    put_datagrams(intake, 0, datagrams)
    keep_datagrams(intake, 0, len(datagrams), TIME_NS, 0)
    return intake


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 204])
def test_a_message_is_the_block_of_the_plain_writer(size):
    text = message(0x0A11, bytes(range(size)))
    assert written(kept([text])) == enhanced_packet(interface=0, time_ns=TIME_NS, data=NETLINK_HEADER + text)


def test_several_messages_of_a_datagram_are_blocks_of_their_own():
    first, second = message(0x0A00, b"abcde"), message(0x0A0F, b"xyz")
    expected = [enhanced_packet(interface=0, time_ns=TIME_NS, data=NETLINK_HEADER + text) for text in (first, second)]
    assert written(kept([first.ljust(24, b"\0") + second])) == b"".join(expected)


def counts(intake) -> dict[str, int]:
    names = ("MESSAGES", "TRACE", "CONNTRACK", "GENERATIONS", "MALFORMED")
    return {name: int(intake.inboxes[0, getattr(columns, f"INBOX_{name}")]) for name in names}


@pytest.mark.parametrize(
    ("kind", "flags", "counted"),
    [
        (0x0A11, 0, "TRACE"), (0x0400, 0, "TRACE"), (0x0100, 0, "CONNTRACK"), (0x0102, 0, "CONNTRACK"),
        (0x0100, 2, None), (0x0A0F, 0, "GENERATIONS"), (0x0A06, 0, None), (0x0401, 0, None),
    ],
)  # fmt: skip
def test_messages_are_counted_by_kind(kind, flags, counted):
    found = {name: count for name, count in counts(kept([message(kind, flags=flags)])).items() if count}
    assert found == {"MESSAGES": 1} | ({counted: 1} if counted else {})


@pytest.mark.parametrize("kind", [2, 3, 15])
def test_control_messages_are_left_out(kind):
    intake = kept([message(kind, b"abcd") + message(0x0A11)])
    assert counts(intake)["MESSAGES"] == 1


@pytest.mark.parametrize("length", [0, 15, 21, 0xFFFFFFFF])
def test_a_length_that_cannot_be_ends_the_datagram(length):
    intake = kept([message(0x0A11) + message(0x0A11, b"abcd", length=length), message(0x0A11)])
    assert counts(intake) == {"MESSAGES": 2, "TRACE": 2, "CONNTRACK": 0, "GENERATIONS": 0, "MALFORMED": 1}


def test_what_waits_moves_to_the_front_when_there_is_room():
    intake = made_up([], inboxes=1)
    put_datagrams(intake, 0, [message(0x0A11, bytes(30_000))] * 4)
    for number in range(2):
        keep_datagrams(intake, 0, 4, TIME_NS + number, 0)
    row = intake.inboxes[0]
    step = int(row[columns.INBOX_TAIL]) // 8
    row[columns.INBOX_HEAD] = 5 * step
    before = bytes(intake.octets[row[columns.INBOX_BASE] + 5 * step :][: 3 * step])
    compact(intake)
    assert (row[columns.INBOX_HEAD], row[columns.INBOX_TAIL]) == (0, 3 * step)
    assert bytes(intake.octets[row[columns.INBOX_BASE] :][: 3 * step]) == before


def test_a_socket_that_fails_is_noted_and_one_without_data_is_not():
    intake = made_up([], inboxes=1)
    progress = np.zeros(columns.PROGRESS_COLUMNS, np.int64)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nothing:
        intake.inboxes[0, columns.INBOX_DESCRIPTOR] = nothing.fileno()
        receive(intake, 0, progress)
        assert progress[columns.ERROR] == 0
    receive(intake, 0, progress)
    assert progress[columns.ERROR] == 9  # EBADF
