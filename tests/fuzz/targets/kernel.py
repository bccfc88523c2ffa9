"""What the targets for kernel messages have in common."""

import numpy as np

from ttrace.correlate.netfilter.messages import KernelMessages
from ttrace.correlate.netfilter.sources import decode_messages

from ..mutator import Records
from ..recordings import NETLINK, join_messages, split_messages
from .reading import capture_of_frames

RECORDS = Records(split_messages, join_messages)


def decoded(data: bytes) -> KernelMessages:
    """The messages (with their headers, each behind its length) through the decoders."""
    messages = [_with_length(message) for message in split_messages(data)]
    cooked = bytes.fromhex("00000338") + bytes(10) + bytes.fromhex("000c")
    return decode_messages(
        capture_of_frames([(NETLINK, cooked + one) for one in messages], "netlink"), 0, np.zeros(1, np.uint16)
    )


def _with_length(message: bytes) -> bytes:
    """As a rule the length in the header is right: the kernel's is."""
    if len(message) < 20 or message[-1] == 0xEE:
        return message
    return len(message).to_bytes(4, "little") + message[4:]
