"""The clocks of the nodes, from the packets that went between them.

A packet that left node A at t_a (by A's clock) and came to node B at t_b (by B's) says that B's clock is ahead of A's
by at most t_b - t_a, for its delay is positive; one the other way bounds it from below. The offset is the middle of
that interval, the half-width its error. What the interval cannot show is an asymmetry of the two delays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..pcapng.blocks import Direction
from .names import stays_on_link
from .topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How one node's clock relates to the first node's."""

    node: str
    offset_ns: int
    """This clock minus the reference clock; to be subtracted."""
    error_ns: int | None
    """Half-width of the interval the offset must lie in; None when packets went only one way, or contradict."""
    basis: str
    """In words: `reference`, `same machine`, `N packets`, `no bound, N packets` or `unknown`."""
    packets: int = 0
    """Packets seen on both nodes that bound the offset."""


def align_clocks(observations: npt.NDArray[np.void], topology: Topology) -> list[Clock]:
    """One Clock per node, in the order of the files; nodes reached over others add up their offsets and errors.

    `observations` are SIGHTING rows. Nodes whose captures were made on the same running kernel (same boot id) share a
    clock.
    """
    nodes = list(dict.fromkeys(topology.file_nodes))
    uplinks = _uplink_rows(observations, topology)
    clocks = {nodes[0]: Clock(node=nodes[0], offset_ns=0, error_ns=0, basis="reference")}
    boots = {node: _boot_id(topology, node) for node in nodes}
    progress = True
    while progress:
        progress = False
        for node in nodes:
            if node in clocks:
                continue
            found = _reach(node, clocks, boots, lambda a, b: _offset(uplinks, topology, a, b))
            if found is not None:
                clocks[node] = found
                progress = True
    return [clocks.get(n, Clock(node=n, offset_ns=0, error_ns=None, basis="unknown")) for n in nodes]


def _boot_id(topology: Topology, node: str) -> str | None:
    facts = topology.snapshots.get((node, None, "node", "start")) or {}
    return facts.get("boot_id")


def _reach(
    node: str,
    clocks: dict[str, Clock],
    boots: dict[str, str | None],
    offset: Callable[[str, str], tuple[int, int | None, int] | None],
) -> Clock | None:
    """The clock of `node` from the known ones: the one with the smallest error."""
    best: Clock | None = None
    for known in list(clocks.values()):
        if boots[node] is not None and boots[node] == boots[known.node]:
            return Clock(node=node, offset_ns=known.offset_ns, error_ns=known.error_ns, basis="same machine")
        bound = offset(known.node, node)
        if bound is None:
            continue
        value, error, packets = bound
        both = error is not None and known.error_ns is not None
        total = error + known.error_ns if error is not None and known.error_ns is not None else None
        basis = f"{packets:,} packets" if both else f"no bound, {packets:,} packets"
        clock = Clock(node=node, offset_ns=known.offset_ns + value, error_ns=total, basis=basis, packets=packets)
        if best is None or (total is not None and (best.error_ns is None or total < best.error_ns)):
            best = clock
    return best


def _uplink_rows(observations: npt.NDArray[np.void], topology: Topology) -> npt.NDArray[np.void]:
    """Unicast packets seen where they leave or enter a node, for what NAT does happens inside."""
    if not topology.points:
        return observations[:0]
    is_uplink = np.array([topology.is_uplink(p) for p in topology.points], np.bool_)
    return observations[
        is_uplink[observations["place"]] & (observations["ip_version"] > 0) & ~stays_on_link(observations)
    ]


def _offset(
    uplinks: npt.NDArray[np.void], topology: Topology, first: str, second: str
) -> tuple[int, int | None, int] | None:
    """(offset of second minus first in ns, half-width or None, packets), None when no packet went between them."""
    forth = _delays(uplinks, topology, first, second)
    back = _delays(uplinks, topology, second, first)
    packets = forth.size + back.size
    if forth.size and back.size:
        high, low = int(forth.min()), -int(back.min())
        if high < low:
            # The bounds contradict each other: a clock was set, or equal packets were taken for one. Most are right.
            return int(np.median(forth) - np.median(back)) // 2, None, packets
        return (high + low) // 2, (high - low + 1) // 2, packets
    # A delay is positive: the fastest packet arrived after it was sent, by a nanosecond at least.
    if forth.size:
        return int(forth.min()) - 1, None, packets
    if back.size:
        return 1 - int(back.min()), None, packets
    return None


def _delays(uplinks: npt.NDArray[np.void], topology: Topology, sender: str, receiver: str) -> npt.NDArray[np.int64]:
    """Receive time minus send time, each by its own clock, of the packets seen exactly once on either side."""
    node_of = np.array([p.node for p in topology.points])
    nodes = node_of[uplinks["place"]]
    sent = _unique(uplinks[(nodes == sender) & (uplinks["direction"] == Direction.OUT)])
    received = _unique(uplinks[(nodes == receiver) & (uplinks["direction"] == Direction.IN)])
    _, i, j = np.intersect1d(_identity(sent), _identity(received), assume_unique=True, return_indices=True)
    return (received["time_ns"][j] - sent["time_ns"][i]).astype(np.int64)


def _identity(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    return rows["flow"] ^ (rows["content"] * np.uint64(0x9E3779B97F4A7C15))


def _unique(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Rows whose flow and content occur once: a repeated one could be matched with the wrong copy."""
    _, index, counts = np.unique(_identity(rows), return_index=True, return_counts=True)
    return rows[index[counts == 1]]
