"""Packet rings: how they share the memory, and that none is left."""

import socket
from pathlib import Path

import pytest

from ttrace.capture.machine.netns import Netns
from ttrace.capture.sockets.arena import Arena
from ttrace.capture.sockets.bpf import accept_all
from ttrace.capture.sockets.ring import SMALLEST_UNITS, UNIT_BYTES, block_bytes_of, open_ring, ring_budget
from ttrace.errors import TtraceError
from ttrace.pcapng.blocks import LinkType


def mib(units: int) -> float:
    return units * UNIT_BYTES / (1 << 20)


@pytest.mark.parametrize(
    ("ring_mib", "points", "share"),
    [(None, 1, 16), (None, 16, 16), (None, 64, 4), (None, 500, 2), (64, 1, 64), (2, 9, 2)],
)
def test_rings_share_the_memory_but_each_gets_enough(ring_mib, points, share):
    assert mib(ring_budget(ring_mib, points).share_units) == share


def test_a_ring_of_a_later_interface_gets_what_is_left():
    budget = ring_budget(None, 16)
    assert mib(budget.next_units(0)) == 16
    assert mib(budget.next_units(250 * 4)) == 6
    assert mib(budget.next_units(300 * 4)) == 2


def index_of(name: str) -> int:
    """Of an interface in the thread's namespace; one that nothing has if it is gone."""
    return dict(map(reversed, socket.if_nameindex())).get(name, 99_999)


@pytest.mark.parametrize("mib", [2, 4, 16, 256])
@pytest.mark.parametrize(("packet_bytes", "fewest"), [(64, 128), (1_600, 128), (9_216, 32), (65_664, 16)])
def test_a_ring_has_many_blocks_that_hold_its_longest_packet(mib, packet_bytes, fewest):
    units = mib * (1 << 20) // UNIT_BYTES
    block_bytes = block_bytes_of(units, packet_bytes)
    assert block_bytes > packet_bytes
    assert units * UNIT_BYTES // block_bytes >= fewest
    assert block_bytes & (block_bytes - 1) == 0


def test_packets_of_half_a_mebibyte_leave_a_small_ring_eight_blocks():
    assert block_bytes_of(SMALLEST_UNITS, 524_416) * 8 == SMALLEST_UNITS * UNIT_BYTES


def open_eth(arena: Arena, netns: Netns, name: str, units: int = SMALLEST_UNITS):
    with netns.entered():
        return open_ring(
            arena, netns, interface=name, index=index_of(name), link_type=LinkType.ETHERNET, mac=b"",
            program=accept_all(64), units=units, packet_bytes=64,
        )  # fmt: skip


def mapped_rings(pid: int | str = "self") -> int:
    """Packet rings that are in the memory of a process."""
    return Path(f"/proc/{pid}/maps").read_text().count("socket:[")


def test_ring_on_an_interface_that_is_gone_leaves_no_memory(router):
    before = mapped_rings()
    arena = Arena(slots=1, slot_bytes=SMALLEST_UNITS * UNIT_BYTES)
    for _ in range(3):
        with pytest.raises(TtraceError, match="cannot capture on `gone0`"):
            open_eth(arena, router, "gone0")
        assert (arena.free_slots, mapped_rings()) == (1, before)
    ring = open_eth(arena, router, "eth0")
    assert (arena.free_slots, mapped_rings()) == (0, before + 1)
    ring.close()
    ring.close()
    assert (arena.free_slots, mapped_rings()) == (1, before)
    arena.close()


@pytest.mark.parametrize(
    ("units", "hint"),
    [
        (16, "each capture point needs 4 MiB of memory: give all of them together less with `--ring-mib N`"),
        (8, "each capture point needs 2 MiB of memory, the least there is: capture on fewer with `--iface NAME`"),
    ],
)
def test_no_memory_for_a_ring_names_the_option(router, monkeypatch, units, hint):
    class NoMemory(socket.socket):
        def setsockopt(self, *arguments):
            if arguments[1] == 5:  # PACKET_RX_RING
                raise OSError(12, "Cannot allocate memory")
            super().setsockopt(*arguments)

    monkeypatch.setattr("ttrace.capture.sockets.ring.socket.socket", NoMemory)
    with pytest.raises(TtraceError) as raised:
        open_eth(Arena(slots=1, slot_bytes=units * UNIT_BYTES), router, "eth0", units)
    assert raised.value.hint == hint
