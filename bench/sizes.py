"""How much is measured: for the numbers, or to see that the bench works."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The defaults are those of `make bench`."""

    quick: bool = False
    warm_up: bool = True
    """Run ttrace once before, to compile what is not and to have its programs in the page cache."""
    rounds: int = 3
    flood_s: float = 2.0
    """How long packets are sent at their rate."""
    settle_s: float = 1.2
    """How long to wait then: in tcpdump and dumpcap a packet may wait for a second."""
    forwarded: int = 150_000
    """Packets sent through NAT as fast as they go."""
    read_packets: int = 2_000_000
    """In the files that are read."""
    correlated: int = 2_000_000
    """Frames in two files together."""
    correlate_rounds: int = 3
    trace_events: int = 1_000_000
    start_rounds: int = 7
    cold_rounds: int = 2
    large_bytes: int = 10_000_000_000
    """In two files together that are larger than the memory."""
    large_rounds: int = 1
    large: bool = False
    """Correlate ten times as much too."""


QUICK = Sizes(
    quick=True,
    warm_up=False,
    rounds=1,
    flood_s=0.2,
    settle_s=0.2,
    forwarded=5_000,
    read_packets=20_000,
    correlated=20_000,
    correlate_rounds=1,
    trace_events=10_000,
    start_rounds=1,
    cold_rounds=0,
    large_bytes=100_000_000,
)
