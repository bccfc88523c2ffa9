"""Packets that the kernel dropped and that were only counted: of a whole machine, by reason and function."""

from collections.abc import Mapping
from typing import Final, NamedTuple

PREFIX: Final = "drop"
"""Of the counter of each, as NamespaceFacts.counters has it: `drop.TCP_CSUM.tcp_v4_rcv`."""


class CountedDrops(NamedTuple):
    """What was counted of one reason in one function."""

    reason: str
    """The kernel's name, `TCP_CSUM`; empty for what came too fast for its reason to be told."""
    function: str
    """Of the kernel, as it calls it (`ip_rcv_finish_core.isra.0`); empty where it is not told."""
    packets: int

    @property
    def words(self) -> str:
        """`TCP_CSUM (tcp_v4_rcv)`."""
        function = self.function.partition(".")[0]  # parts that the compiler made of it have suffixes
        reason = self.reason or "reasons that were not told apart"
        return f"{reason} ({function})" if function else reason


def counted_drops(counters: Mapping[str, int]) -> tuple[CountedDrops, ...]:
    """Those among the counters of a node, the most frequent first."""
    found = []
    for name, packets in counters.items():
        group, _, rest = name.partition(".")
        if group == PREFIX:
            reason, _, function = rest.partition(".")
            found.append(CountedDrops(reason, function, packets))
    return tuple(sorted(found, key=lambda one: (-one.packets, one.reason, one.function)))
