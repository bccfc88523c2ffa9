"""The queues of interfaces (qdiscs) and what they dropped, and the tc filters that packets pass as they come in.

Sources: linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h, linux/gen_stats.h.
"""

import socket
import struct
from contextlib import suppress
from typing import Final, NamedTuple

from .netlink_dump import attributes, dump, number_of
from .netns import Netns, plain_text
from .rtnetlink import MOST

_RTM_GETQDISC: Final = 38
_RTM_GETTFILTER: Final = 46
_MESSAGE: Final = struct.Struct("=4xiIII")
"""struct tcmsg: interface, handle, parent, info."""
_TCA_KIND, _TCA_OPTIONS, _TCA_STATS2 = 1, 2, 7
_TCA_STATS_QUEUE: Final = 3
_QUEUE: Final = struct.Struct("=IIIII")
"""struct gnet_stats_queue: packets, bytes, drops, requeues, overlimits."""
_TCA_BPF_NAME, _TCA_BPF_ID = 7, 11
_ROOT: Final = 0xFFFFFFFF  # TC_H_ROOT
_INGRESS: Final = 0xFFFFFFF1  # TC_H_INGRESS, TC_H_CLSACT
_INGRESS_FILTERS: Final = 0xFFFFFFF2  # TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
_U32_NODE: Final = 0xFFF  # TC_U32_NODE: without it, a hash table
_MOST_HOOKED: Final = 500
"""Interfaces whose filters are read: each is a question of its own."""
_MOST_FILTERS: Final = 100
"""Of one interface."""


class Queues(NamedTuple):
    """By index of the interface."""

    counts: dict[int, dict[str, int]]
    """`dropped`, `overlimits`, `requeues` of its queue, `ingress_dropped` by filters; what is 0 is left out."""
    filters: dict[int, list[dict[str, object]]]
    """Those at its ingress, as in `links` of docs/file-format.md."""


def read_queues(netns: Netns) -> Queues:
    """Of all interfaces of a namespace; nothing where the kernel has no such queues."""
    found = Queues({}, {})
    hooked: list[int] = []
    with suppress(OSError):
        messages, _ = dump(netns, socket.NETLINK_ROUTE, _RTM_GETQDISC, _MESSAGE.pack(0, 0, 0, 0), most=MOST)
        for message in messages:
            if len(message) >= _MESSAGE.size:
                index, _, parent, _ = _MESSAGE.unpack_from(message)
                _add(found.counts.setdefault(index, {}), parent, attributes(message, _MESSAGE.size))
                if parent == _INGRESS:
                    hooked.append(index)
    for index in hooked[:_MOST_HOOKED]:
        with suppress(OSError):
            if filters := _filters(netns, index):
                found.filters[index] = filters
    return found


def _add(counts: dict[str, int], parent: int, told: dict[int, bytes]) -> None:
    """Of the queue itself, which counts what its classes drop, and of the hook of filters."""
    queue = attributes(told.get(_TCA_STATS2, b"")).get(_TCA_STATS_QUEUE, b"")
    if len(queue) < _QUEUE.size or parent not in (_ROOT, _INGRESS):
        return
    _, _, dropped, requeues, overlimits = _QUEUE.unpack_from(queue)
    named = {"ingress_dropped": dropped}
    if parent == _ROOT:
        named = {"dropped": dropped, "overlimits": overlimits, "requeues": requeues}
    counts.update({name: number for name, number in named.items() if number})


def _filters(netns: Netns, index: int) -> list[dict[str, object]]:
    body = _MESSAGE.pack(index, 0, _INGRESS_FILTERS, 0)
    messages, _ = dump(netns, socket.NETLINK_ROUTE, _RTM_GETTFILTER, body, most=_MOST_FILTERS)
    found: list[dict[str, object]] = []
    for message in messages:
        if len(message) < _MESSAGE.size:
            continue
        _, handle, _, info = _MESSAGE.unpack_from(message)
        told = attributes(message, _MESSAGE.size)
        options = attributes(told.get(_TCA_OPTIONS, b""))
        kind = _text(told.get(_TCA_KIND))
        if not handle or (kind == "u32" and not handle & _U32_NODE):  # the head of a list, not a filter
            continue
        row: dict[str, object] = {"kind": kind, "priority": info >> 16}
        if kind == "bpf":
            row |= {"name": _text(options.get(_TCA_BPF_NAME)), "program": number_of(options.get(_TCA_BPF_ID))}
        found.append({name: value for name, value in row.items() if value is not None})
    return found


def _text(content: bytes | None) -> str | None:
    return plain_text(content.rstrip(b"\0")) if content is not None else None
