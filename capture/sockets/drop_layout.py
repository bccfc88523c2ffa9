"""How the kernel's drops lie in memory: constants alone, for the program that writes them and the loop that copies.

A record is what only the loop needs, then the message as it stands in the file (docs/file-format.md): all of it is put
together in the kernel, so that nothing has to be looked up when a record is copied.
"""

from typing import Final

from ...pcapng.blocks import DropAttribute

RECORD_TIME: Final = 0  # 64 bits: nanoseconds of CLOCK_MONOTONIC
RECORD_NAMESPACE: Final = 8  # 32 bits: which of the captured namespaces, from 0
MESSAGE: Final = 16
"""Where the message begins in a record, with its length (struct nlmsghdr)."""
VERSION: Final = 1

_HEADER: Final = 16  # struct nlmsghdr
_ATTRIBUTES: Final = _HEADER + 4  # what stands for a family's own header: the version of the message
_ATTRIBUTE: Final = 4
"""struct nlattr: its length with this, its type."""

NUMBERS: Final = (
    DropAttribute.REASON_NUMBER,
    DropAttribute.DEVICE,
    DropAttribute.INPUT,
    DropAttribute.PROTOCOL,
    DropAttribute.LENGTH,
)
"""Attributes of 32 bits, in their order."""
REASON_BYTES: Final = 48
"""Longer than any name of a reason (40 bytes in Linux 6.18, without its prefix 24); so for symbols."""
SYMBOL_BYTES: Final = 64
PACKET_BYTES: Final = 128
"""Of the packet, from its network header: more than any header of IP and what it carries."""

REASON: Final = _ATTRIBUTES + len(NUMBERS) * (_ATTRIBUTE + 4)
"""Where attributes begin in the message: the texts, then the packet, which is as long as it is."""
SYMBOL: Final = REASON + _ATTRIBUTE + REASON_BYTES
PACKET: Final = SYMBOL + _ATTRIBUTE + SYMBOL_BYTES
MESSAGE_BYTES: Final = PACKET + _ATTRIBUTE + PACKET_BYTES
RECORD_BYTES: Final = MESSAGE + MESSAGE_BYTES


def number_at(attribute: DropAttribute) -> int:
    """Where an attribute of 32 bits begins in the message."""
    return _ATTRIBUTES + NUMBERS.index(attribute) * (_ATTRIBUTE + 4)
