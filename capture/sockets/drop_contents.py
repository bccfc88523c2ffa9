"""What the program at the tracepoint of drops writes of each: the second half of `drop_program.py`.

R6 is the packet, R8 the counters of its namespace (no more needed), R9 the record; the rest stands on the stack.
"""

from dataclasses import dataclass
from typing import Final

from ...pcapng.blocks import DROP_MESSAGE, DropAttribute
from ..machine.assembly import Assembly
from ..machine.ebpf import (
    ADD,
    FUNC_MAP_LOOKUP_ELEMENT,
    FUNC_PROBE_READ_KERNEL,
    FUNC_SNPRINTF,
    JUMP_IF_EQUAL,
    JUMP_IF_GREATER,
    JUMP_IF_GREATER_THAN,
    LOAD_32,
    LOAD_64,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    STORE_16,
    STORE_32,
    STORE_64,
    STORE_IMMEDIATE_32,
    STORE_IMMEDIATE_64,
    SUBTRACT,
    load_map,
    load_map_value,
)
from . import drop_layout as layout

_NO_HEADER: Final = 0xFFFF  # of skb->network_header: not set

# On the stack, below R10.
STACK_POINTER: Final = -8
STACK_NAMESPACE: Final = -16  # 32 bits: inode, then the index
STACK_LOCATION: Final = -24
STACK_DEVICE: Final = -32
STACK_TIME: Final = -40
STACK_REASON: Final = -48  # 32 bits
STACK_FAMILY: Final = -56


@dataclass(frozen=True, slots=True, kw_only=True)
class DropMaps:
    """Descriptors of the maps that the program uses."""

    namespaces: int
    """Inode of a namespace to its index, 32 bits each."""
    counters: int
    """By index."""
    names: int
    """Texts of `REASON_BYTES` by the number of the reason."""
    symbol_format: int
    """How snprintf writes a symbol."""
    ring: int


def put_contents(code: Assembly, at: dict[str, int], maps: DropMaps) -> None:
    """All of a record. `at`: offsets of members (`DropTypes`)."""
    _put_head(code)
    _put_numbers(code, at)
    _put_texts(code, maps)
    _put_packet(code, at)


def read_to_stack(code: Assembly, to: int, size: int, source: int, offset: int = 0) -> None:
    """Read `size` bytes of the kernel's memory, from a register's address and so much more, to the stack."""
    code.move(R3, source, offset)
    code.move(R1, R10, to)
    code.set(R2, size)
    code.call(FUNC_PROBE_READ_KERNEL)


def follow_pointer(code: Assembly, register: int, offset: int) -> None:
    """The pointer that stands there, into the same register."""
    read_to_stack(code, STACK_POINTER, 8, register, offset)
    code.add(LOAD_64, to=register, source=R10, offset=STACK_POINTER)


def _put_head(code: Assembly) -> None:
    code.add(LOAD_64, to=R7, source=R10, offset=STACK_TIME)
    code.add(STORE_64, to=R9, source=R7, offset=layout.RECORD_TIME)
    code.add(LOAD_32, to=R7, source=R10, offset=STACK_NAMESPACE)
    code.add(STORE_32, to=R9, source=R7, offset=layout.RECORD_NAMESPACE)
    head = (0, DROP_MESSAGE, 0, 0, layout.VERSION)  # length (set when it is known), type and flags, sequence, port
    for position, word in enumerate(head):
        code.add(STORE_IMMEDIATE_32, to=R9, offset=layout.MESSAGE + 4 * position, value=word)


def _begin_attribute(code: Assembly, attribute: DropAttribute, at: int, size: int) -> None:
    code.add(STORE_IMMEDIATE_32, to=R9, offset=layout.MESSAGE + at, value=4 + size | attribute << 16)


def _put_numbers(code: Assembly, at: dict[str, int]) -> None:
    for attribute in layout.NUMBERS:
        _begin_attribute(code, attribute, layout.number_at(attribute), 4)
    code.add(LOAD_32, to=R7, source=R10, offset=STACK_REASON)
    code.add(STORE_32, to=R9, source=R7, offset=_value(DropAttribute.REASON_NUMBER))
    code.add(LOAD_64, to=R7, source=R10, offset=STACK_DEVICE)
    members = (
        (DropAttribute.DEVICE, R7, at["net_device.ifindex"], 4),
        (DropAttribute.INPUT, R6, at["sk_buff.skb_iif"], 4),
        (DropAttribute.LENGTH, R6, at["sk_buff.len"], 4),
        (DropAttribute.PROTOCOL, R6, at["sk_buff.protocol"], 2),
    )
    for attribute, source, offset, size in members:
        code.add(STORE_IMMEDIATE_32, to=R9, offset=_value(attribute), value=0)
        code.move(R3, source, offset)
        code.move(R1, R9, _value(attribute))
        code.set(R2, size)
        code.call(FUNC_PROBE_READ_KERNEL)


def _value(attribute: DropAttribute) -> int:
    """Where the value of an attribute of 32 bits stands in the record."""
    return layout.MESSAGE + layout.number_at(attribute) + 4


def _put_texts(code: Assembly, maps: DropMaps) -> None:
    """The name of the reason, and the function that dropped the packet."""
    texts = ((DropAttribute.REASON, layout.REASON, layout.REASON_BYTES),
             (DropAttribute.SYMBOL, layout.SYMBOL, layout.SYMBOL_BYTES))  # fmt: skip
    for attribute, begin, size in texts:
        _begin_attribute(code, attribute, begin, size)
        for word in range(0, size, 4):
            code.add(STORE_IMMEDIATE_32, to=R9, offset=layout.MESSAGE + begin + 4 + word, value=0)
    code.extend(load_map(R1, maps.names))
    code.move(R2, R10, STACK_REASON)
    code.call(FUNC_MAP_LOOKUP_ELEMENT)
    code.jump("no name", JUMP_IF_EQUAL, to=R0, value=0)
    for word in range(0, layout.REASON_BYTES, 4):
        code.add(LOAD_32, to=R7, source=R0, offset=word)
        code.add(STORE_32, to=R9, source=R7, offset=layout.MESSAGE + layout.REASON + 4 + word)
    code.label("no name")
    code.move(R1, R9, layout.MESSAGE + layout.SYMBOL + 4)
    code.set(R2, layout.SYMBOL_BYTES)
    code.extend(load_map_value(R3, maps.symbol_format))
    code.move(R4, R10, STACK_LOCATION)
    code.set(R5, 8)
    code.call(FUNC_SNPRINTF)


def _put_packet(code: Assembly, at: dict[str, int]) -> None:
    """R8 is how many bytes of it there are from its network header on, as far as they lie behind each other."""
    code.add(STORE_IMMEDIATE_64, to=R10, offset=STACK_POINTER, value=0)
    read_to_stack(code, STACK_POINTER, 2, R6, at["sk_buff.network_header"])
    code.add(LOAD_64, to=R7, source=R10, offset=STACK_POINTER)
    code.add(STORE_IMMEDIATE_64, to=R10, offset=STACK_POINTER, value=0)
    read_to_stack(code, STACK_POINTER, 4, R6, at["sk_buff.tail"])
    code.add(LOAD_64, to=R1, source=R10, offset=STACK_POINTER)
    code.set(R8, 0)
    code.jump("measured", JUMP_IF_EQUAL, to=R7, value=_NO_HEADER)
    code.jump("measured", JUMP_IF_GREATER_THAN, to=R7, source=R1)
    code.move(R8, R1)
    code.add(SUBTRACT, to=R8, source=R7)
    code.jump("much", JUMP_IF_GREATER, to=R8, value=layout.PACKET_BYTES)
    code.jump("measured")
    code.label("much")
    code.set(R8, layout.PACKET_BYTES)
    code.label("measured")
    follow_pointer(code, R6, at["sk_buff.head"])
    code.add(ADD, to=R6, source=R7)
    code.move(R3, R6)
    code.move(R1, R9, layout.MESSAGE + layout.PACKET + 4)
    code.move(R2, R8)
    code.call(FUNC_PROBE_READ_KERNEL)
    _begin_attribute(code, DropAttribute.PACKET, layout.PACKET, 0)
    code.move(R7, R8, 4)
    code.add(STORE_16, to=R9, source=R7, offset=layout.MESSAGE + layout.PACKET)
    code.move(R7, R8, layout.PACKET + 4)
    code.add(STORE_32, to=R9, source=R7, offset=layout.MESSAGE)
