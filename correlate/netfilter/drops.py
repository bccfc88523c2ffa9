"""Packets that the kernel says it dropped: why, in which of its functions, and at which device (docs/file-format.md).

A message has the packet from its network header on, so it is matched like a frame. Its texts are told as they stand.
What is no IP (ARP, frames of bridges) is left out: it has no header to be matched by. So is what a tap or a raw socket
did not take, which tells nothing of the packet.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.loads import address
from ...kernels.njit import njit
from ...pcapng.blocks import DROP_MESSAGE, DropAttribute
from ...pcapng.rows import joined
from ..decode.ip import dissect_ip
from ..protocols import ETHERTYPE_IPV4, ETHERTYPE_IPV6
from ..schema import SIGHTING, TOLD
from ..sightings import DROP
from .attributes import attribute, behind, u16
from .messages import KernelMessages, RawMessages, Said, SightingSource
from .numbers import ABSENT, NF_DROP, Hook

_TEXTS: Final = ("reason", "symbol")
_TEXT_BYTES: Final = 64
"""More of a text is not kept."""
COLUMNS: Final = np.dtype(
    [
        *((name, TOLD[name]) for name in TOLD.names or ()),
        ("reason", f"S{_TEXT_BYTES}"),  # SKB_DROP_REASON_… without that; empty for one the capture had no name for
        ("symbol", f"S{_TEXT_BYTES}"),  # `ip_forward+0x31f/0x520`: the function of the kernel, where in it, its size
        ("number", "u4"),  # of the reason, in that kernel
        ("length", "u4"),  # of the packet, from where the kernel had got to
        ("device", "u4"),  # ifindex of the device it was at, 0 when it was at none any more
    ],
    align=True,
)
_TAPS: Final = frozenset(
    {
        "packet_rcv", "packet_rcv_spkt", "tpacket_rcv", "raw_rcv", "raw_rcv_skb", "raw_local_deliver",
        "rawv6_rcv", "rawv6_rcv_skb", "raw6_local_deliver", "ipv6_raw_deliver", "macvlan_broadcast",
        "macvlan_broadcast_one", "macvlan_process_broadcast", "ping_queue_rcv_skb", "__ping_queue_rcv_skb",
        "__udp4_lib_mcast_deliver", "__udp6_lib_mcast_deliver",
    }
)  # fmt: skip
"""Functions of the kernel that drop a copy, as taps and raw sockets get one, and never the packet itself: also those
that the compiler of this or that kernel makes a part of their callers (`raw_rcv_skb` of `raw_rcv`)."""

_REASON, _SYMBOL, _PACKET = int(DropAttribute.REASON), int(DropAttribute.SYMBOL), int(DropAttribute.PACKET)
_NUMBER, _DEVICE = int(DropAttribute.REASON_NUMBER), int(DropAttribute.DEVICE)
_INPUT, _LENGTH = int(DropAttribute.INPUT), int(DropAttribute.LENGTH)
_MALFORMED, _OTHER, _IP = -1, 0, 1
_DEVICE_BITS: Final = 9
_PLACE_MASK: Final = (1 << 19) - 1
"""Places are numbers of less than 20 bits (outcomes/passages.py)."""


def _decode(raw: RawMessages) -> tuple[Said, int]:
    rows, headers = np.zeros(raw.which.size + 1, COLUMNS), np.zeros(raw.which.size + 1, SIGHTING)
    letters = np.zeros((raw.which.size + 1, len(_TEXTS), _TEXT_BYTES), np.uint8)
    numbers = np.zeros((raw.which.size + 1, 4), np.int64)
    count = malformed = 0
    if raw.which.size:
        count, malformed = _decode_all(raw.data, raw.rows, raw.which, raw.reach, headers, letters, numbers)
    rows, headers = rows[:count], headers[:count]
    headers["file"], headers["kind"] = raw.file, DROP
    rows["order"] = np.int64(raw.file) << 32 | headers["frame"].astype(np.int64)
    rows["conntrack_direction"], rows["verdict"], rows["hook"] = ABSENT, NF_DROP, Hook.DROPPED
    rows["number"], rows["device"], rows["input_index"], rows["length"] = numbers[:count].T
    rows["output_index"] = rows["device"]
    for number, name in enumerate(_TEXTS):
        rows[name] = letters[:count, number].view(f"S{_TEXT_BYTES}")[:, 0]  # zeros behind a text are its end
    where = headers["namespace"].astype(np.int64) << _DEVICE_BITS ^ rows["device"] ^ rows["input_index"]
    headers["place"] = where & _PLACE_MASK
    kept = np.flatnonzero(~_of_taps(rows["symbol"]))
    return Said(rows=rows.take(kept), headers=headers.take(kept)), malformed


def _of_taps(symbols: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bool_]:
    known, which = np.unique(symbols, return_inverse=True)
    return np.array([function_of(symbol) in _TAPS for symbol in known.tolist()], np.bool_)[which]


@njit(cache=True, nogil=True)
def _decode_all(data, messages, which, reach, headers, letters, numbers):
    """(rows filled in, malformed messages); of each table, one row more is there."""
    count = malformed = 0
    for i in which:
        message = messages[i]
        state = _decode_one(data, message.start, message.end, reach, headers[count], letters[count], numbers[count])
        if state == _IP:
            header = headers[count]
            header.time_ns = message.time_ns
            header.frame = message.frame
            header.namespace = message.namespace
            header.ethertype = ETHERTYPE_IPV4 if header.ip_version == 4 else ETHERTYPE_IPV6
            count += 1
        else:
            malformed += state == _MALFORMED
            headers[count] = np.zeros(1, headers.dtype)[0]
            letters[count] = 0
            numbers[count] = 0
    return count, malformed


@njit(cache=True)
def _decode_one(data, at, end, reach, header, letters, numbers):
    """One message; whether it is of an IP packet. Attributes that are not known are passed over."""
    packet = packet_end = np.int64(0)
    while at < end:
        kind, value, stop = attribute(data, at, end)
        if kind < 0:
            return _MALFORMED
        if kind == _REASON:
            _set_text(data, value, stop, letters[0])
        elif kind == _SYMBOL:
            _set_text(data, value, stop, letters[1])
        elif kind == _PACKET:
            packet, packet_end = value, stop
        elif stop - value == 4:
            _set_number(data, value, kind, numbers)
        at = behind(at, stop)
    if packet_end > packet and dissect_ip(address(data), packet, packet_end, header, reach):
        return _IP
    return _OTHER


@njit(cache=True)
def _set_text(data, at, end, text):
    """As much of a text as there is room for."""
    for i in range(text.size):
        text[i] = data[at + i] if at + i < end else 0


@njit(cache=True)
def _set_number(data, at, kind, numbers):
    """An attribute of 32 bits, in host order, which is little-endian in our files."""
    word = u16(data, at) | (u16(data, at + 2) << 16)
    if kind == _NUMBER:
        numbers[0] = word
    elif kind == _DEVICE:
        numbers[1] = word
    elif kind == _INPUT:
        numbers[2] = word
    elif kind == _LENGTH:
        numbers[3] = word


def reason_name(row: np.void) -> str:
    """The kernel's name of the reason: `NEIGH_FAILED`; of one that has none in the file its number: `reason 65538`."""
    name: str = row["reason"].decode(errors="backslashreplace")
    return name or f"reason {row['number']}"


def function_of(symbol: bytes) -> str:
    """The function that dropped it, without where in it: `neigh_invalidate`."""
    # Parts that the compiler made of one function have suffixes: `ip_rcv_finish_core.isra.0`.
    return symbol.decode(errors="backslashreplace").partition("+")[0].partition(" ")[0].partition(".")[0]


def drop_words(row: np.void) -> str:
    """`NEIGH_FAILED (neigh_invalidate)`."""
    function = function_of(row["symbol"])
    return f"{reason_name(row)} ({function})" if function else reason_name(row)


def _words(row: np.void, names: Mapping[int, str]) -> str:
    del names
    return f"the kernel dropped it: {drop_words(row)}"


DROPS: Final = SightingSource(
    kind=DROP, name="drop", types=(DROP_MESSAGE,), columns=COLUMNS, decode=_decode, words=_words,
    worded=("reason", "symbol", "number"),
)  # fmt: skip


def said_drops(messages: Sequence[KernelMessages]) -> npt.NDArray[np.void]:
    """What the drops of all files say, a row (`COLUMNS`) for each sighting of that kind, in their order."""
    return joined(COLUMNS, (one.said[DROP].rows for one in messages if DROP in one.said))
