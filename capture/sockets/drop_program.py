"""The BPF program at the tracepoint skb:kfree_skb: which drops are recorded, and what of each.

It is put together for the kernel that runs, by what that says of its structures (`machine/btf.py`). Everything is
read with probe_read_kernel, which answers with zeros where an address is none: `skb->dev` is something else while a
packet waits in the queue of a socket (struct sk_buff has it in unions).
"""

from typing import Final

from ..machine.assembly import Assembly
from ..machine.ebpf import (
    AND_IMMEDIATE,
    ATOMIC_ADD_64,
    EXIT,
    FUNC_KTIME_GET_NS,
    FUNC_MAP_LOOKUP_ELEMENT,
    FUNC_RINGBUF_QUERY,
    FUNC_RINGBUF_RESERVE,
    FUNC_RINGBUF_SUBMIT,
    JUMP_IF_EQUAL,
    JUMP_IF_GREATER,
    JUMP_IF_GREATER_THAN,
    JUMP_IF_NOT_EQUAL,
    LOAD_32,
    LOAD_64,
    R0,
    R1,
    R2,
    R3,
    R6,
    R7,
    R8,
    R9,
    R10,
    RB_AVAIL_DATA,
    RB_FORCE_WAKEUP,
    RB_NO_WAKEUP,
    STORE_32,
    STORE_64,
    STORE_IMMEDIATE_64,
    SUBTRACT,
    load_map,
)
from . import drop_layout as layout
from .drop_contents import (
    STACK_DEVICE,
    STACK_FAMILY,
    STACK_LOCATION,
    STACK_NAMESPACE,
    STACK_REASON,
    STACK_TIME,
    DropMaps,
    follow_pointer,
    put_contents,
    read_to_stack,
)
from .drop_types import DropTypes

# Counters of one namespace, in 64 bits each.
COUNT_WINDOW: Final = 0  # when the second began in which drops are counted, on the monotonic clock
COUNT_IN_WINDOW: Final = 8
COUNT_OVER: Final = 16  # drops beyond the limit
COUNT_NO_ROOM: Final = 24  # drops that found the ring buffer full
COUNTERS_BYTES: Final = 32

_SECOND_NS: Final = 1_000_000_000
_NO_DROPS: Final = ("SKB_NOT_DROPPED_YET", "SKB_CONSUMED", "SKB_DROP_REASON_PACKET_SOCK_ERROR")
"""What is told but is no drop of a packet. The last is of the copy that a packet socket, as ours are, did not take."""
_INTERNET: Final = (2, 10)  # AF_INET, AF_INET6
_REFERENCE_BITS: Final = -8  # all but what skb->_skb_refdst keeps in the lowest bits of a pointer


def drop_program(types: DropTypes, maps: DropMaps, *, limit: int, wake_bytes: int) -> list[bytes]:
    """The program. `limit`: drops that are recorded of one namespace in a second; `wake_bytes`: how many may wait
    before somebody is woken."""
    code = Assembly()
    _begin(code, types)
    _find_namespace(code, types)
    _look_up(code, maps)
    _count(code, limit)
    _reserve(code, maps)
    put_contents(code, types.offsets, maps)
    _submit(code, maps, wake_bytes)
    return code.program()


def _begin(code: Assembly, types: DropTypes) -> None:
    """R9 is the arguments, R6 the packet; those that are no drops are passed over."""
    code.move(R9, R1)
    code.add(LOAD_64, to=R6, source=R9, offset=0)
    code.add(LOAD_64, to=R7, source=R9, offset=8)
    code.add(STORE_64, to=R10, source=R7, offset=STACK_LOCATION)
    code.add(LOAD_64, to=R7, source=R9, offset=8 * types.reason_argument)
    code.add(STORE_64, to=R10, source=R7, offset=STACK_REASON)
    code.add(LOAD_32, to=R7, source=R10, offset=STACK_REASON)
    for number, name in types.reasons.items():
        if name in _NO_DROPS:
            code.jump("end", JUMP_IF_EQUAL, to=R7, value=number)


def _find_namespace(code: Assembly, types: DropTypes) -> None:
    """The inode of the packet's namespace to the stack: that of its device, or of its socket, or of its route."""
    at = types.offsets
    read_to_stack(code, STACK_DEVICE, 8, R6, at["sk_buff.dev"])
    code.add(LOAD_64, to=R7, source=R10, offset=STACK_DEVICE)
    _take_namespace(code, at, at["net_device.nd_net.net"])
    code.add(STORE_IMMEDIATE_64, to=R10, offset=STACK_DEVICE, value=0)
    if types.socket_argument is not None:
        code.add(LOAD_64, to=R7, source=R9, offset=8 * types.socket_argument)
        _take_namespace_of_socket(code, at, "receiver")
    code.move(R7, R6)
    follow_pointer(code, R7, at["sk_buff.sk"])
    _take_namespace_of_socket(code, at, "sender")
    code.move(R7, R6)
    follow_pointer(code, R7, at["sk_buff._skb_refdst"])
    code.add(AND_IMMEDIATE, to=R7, value=_REFERENCE_BITS)
    follow_pointer(code, R7, at["dst_entry.dev"])
    _take_namespace(code, at, at["net_device.nd_net.net"])
    code.jump("end")


def _take_namespace_of_socket(code: Assembly, at: dict[str, int], which: str) -> None:
    """That of the socket in R7, if it is one of IP: packets of others are none of a network's."""
    code.add(STORE_IMMEDIATE_64, to=R10, offset=STACK_FAMILY, value=0)
    read_to_stack(code, STACK_FAMILY, 2, R7, at["sock.__sk_common.skc_family"])
    code.add(LOAD_64, to=R8, source=R10, offset=STACK_FAMILY)
    for family in _INTERNET:
        code.jump(f"{which} is of IP", JUMP_IF_EQUAL, to=R8, value=family)
    code.jump(f"{which} is none")
    code.label(f"{which} is of IP")
    _take_namespace(code, at, at["sock.__sk_common.skc_net.net"])
    code.label(f"{which} is none")


def _take_namespace(code: Assembly, at: dict[str, int], offset: int) -> None:
    """With the inode of the namespace that R7 points to, so many bytes into it, go on, if there is one."""
    follow_pointer(code, R7, offset)
    code.add(STORE_IMMEDIATE_64, to=R10, offset=STACK_NAMESPACE, value=0)
    read_to_stack(code, STACK_NAMESPACE, 4, R7, at["net.ns.inum"])
    code.add(LOAD_32, to=R7, source=R10, offset=STACK_NAMESPACE)
    code.jump("found", JUMP_IF_NOT_EQUAL, to=R7, value=0)


def _look_up(code: Assembly, maps: DropMaps) -> None:
    """R8 is the counters of the namespace, whose index stands on the stack; one that is not captured is passed over."""
    code.label("found")
    for map_ in (maps.namespaces, maps.counters):
        code.extend(load_map(R1, map_))
        code.move(R2, R10, STACK_NAMESPACE)
        code.call(FUNC_MAP_LOOKUP_ELEMENT)
        code.jump("end", JUMP_IF_EQUAL, to=R0, value=0)
        if map_ == maps.namespaces:
            code.add(LOAD_32, to=R7, source=R0)
            code.add(STORE_32, to=R10, source=R7, offset=STACK_NAMESPACE)
    code.move(R8, R0)


def _count(code: Assembly, limit: int) -> None:
    """Count the drop, and pass over it beyond the limit. Two processors may both begin a second: that does no harm."""
    code.call(FUNC_KTIME_GET_NS)
    code.add(STORE_64, to=R10, source=R0, offset=STACK_TIME)
    code.add(LOAD_64, to=R1, source=R8, offset=COUNT_WINDOW)
    code.move(R2, R0)
    code.add(SUBTRACT, to=R2, source=R1)
    code.set(R3, _SECOND_NS)
    code.jump("begin second", JUMP_IF_GREATER_THAN, to=R2, source=R3)
    code.jump("same second")
    code.label("begin second")
    code.add(STORE_64, to=R8, source=R0, offset=COUNT_WINDOW)
    code.add(STORE_IMMEDIATE_64, to=R8, offset=COUNT_IN_WINDOW, value=0)
    code.label("same second")
    _add_one(code, COUNT_IN_WINDOW)
    code.add(LOAD_64, to=R1, source=R8, offset=COUNT_IN_WINDOW)
    code.set(R2, limit)
    code.jump("over", JUMP_IF_GREATER_THAN, to=R1, source=R2)


def _add_one(code: Assembly, counter: int) -> None:
    code.set(R1, 1)
    code.add(ATOMIC_ADD_64, to=R8, source=R1, offset=counter)


def _reserve(code: Assembly, maps: DropMaps) -> None:
    """R9 is the record from now on."""
    code.extend(load_map(R1, maps.ring))
    code.set(R2, layout.RECORD_BYTES)
    code.set(R3, 0)
    code.call(FUNC_RINGBUF_RESERVE)
    code.jump("no room", JUMP_IF_EQUAL, to=R0, value=0)
    code.move(R9, R0)


def _submit(code: Assembly, maps: DropMaps, wake_bytes: int) -> None:
    code.extend(load_map(R1, maps.ring))
    code.set(R2, RB_AVAIL_DATA)
    code.call(FUNC_RINGBUF_QUERY)
    code.set(R2, RB_NO_WAKEUP)
    code.jump("wake", JUMP_IF_GREATER, to=R0, value=wake_bytes)
    code.jump("submit")
    code.label("wake")
    code.set(R2, RB_FORCE_WAKEUP)
    code.label("submit")
    code.move(R1, R9)
    code.call(FUNC_RINGBUF_SUBMIT)
    code.jump("end")
    for name, counter in (("over", COUNT_OVER), ("no room", COUNT_NO_ROOM)):
        code.label(name)
        _add_one(code, counter)
        code.jump("end")
    code.label("end")
    code.set(R0, 0)
    code.add(EXIT)
