"""The boxes that a capture is made to cross."""

from dataclasses import dataclass

from ..clock import Clock


@dataclass(frozen=True)
class Kind:
    """One way to see a capture: its points and what lies between them. All chances are per packet."""

    name: str
    what: str
    boxes: tuple = ("",)
    """What each box translates: `s` the source of those who call from side 0, `d` the destination of their calls. There
    is a point before, between and behind them."""
    delay_us: tuple = (50, 5000)
    """Of each box, drawn between these for a whole view."""
    jitter: float = 0.1
    """A packet takes up to this part of the delay longer; none overtakes another for that."""
    reordered: float = 0.0
    copied: float = 0.0
    lost: float = 0.0
    """Never arrives behind a box, where its conversation does not contradict that."""
    missed: float = 0.0
    """Passes, and one point does not capture it."""
    mtu: int | None = None
    """Behind the first box, for what may be fragmented."""
    mirrored: bool = False
    """The first point sees each frame twice."""
    offloaded: bool = False
    """What is sent from side 0 has its checksum left to the card at the first point."""
    snaplens: tuple = ()
    """Bytes kept at each point; 0: all."""
    clocks: tuple = (Clock(),)
    """Of each point; the last one holds for those that follow."""
    named: bool = False
    """The files are given with their places, all of one node, so that they share a clock."""
    random_ports: bool = False
    """A translated source gets a port by chance; else its own where that is free."""

    @property
    def points(self):
        """How many."""
        return len(self.boxes) + 1

    def clock(self, point):
        """That of a point."""
        return self.clocks[min(point, len(self.clocks) - 1)]

    def snaplen(self, point):
        """That of a point, 0 for all."""
        return self.snaplens[min(point, len(self.snaplens) - 1)] if self.snaplens else 0


EXACT = Clock(resolution_ns=1)
"""Records nanoseconds."""
AHEAD, BEHIND = Clock(3_700_000_000), Clock(-1_300_000_000, 60.0)
HOURS = Clock(7_200_000_000_000, -100.0)

KINDS = (
    Kind("routed", "a router", clocks=(Clock(), AHEAD)),
    Kind("one-clock", "source NAT with ports kept, both files of one node", ("s",), clocks=(EXACT,), named=True),
    Kind("snat", "source NAT with random ports", ("s",), random_ports=True, clocks=(Clock(), BEHIND)),
    Kind("dnat", "destination NAT, the clock two hours off", ("d",), clocks=(Clock(), HOURS)),
    Kind("both", "source and destination NAT in one box", ("sd",), offloaded=True, clocks=(Clock(), AHEAD)),
    Kind("three", "source NAT, then destination NAT, three points", ("s", "d"), clocks=(Clock(), AHEAD, BEHIND)),
    Kind("lossy", "source NAT, 3 % lost", ("s",), lost=0.03, clocks=(Clock(), AHEAD)),
    Kind("missed", "source NAT, each capture missed 3 %", ("s",), missed=0.03, clocks=(Clock(), AHEAD)),
    Kind("copied", "destination NAT, 3 % twice and 5 % out of order", ("d",), copied=0.03, reordered=0.05),
    Kind("fragments", "source NAT, and fragments of 576 bytes behind it", ("s",), mtu=576, clocks=(EXACT, AHEAD)),
    Kind("cut", "source NAT, cut at 96 and 64 bytes", ("s",), snaplens=(96, 64), offloaded=True, random_ports=True),
    Kind("mirror", "source NAT, each frame twice at the first point", ("s",), mirrored=True, clocks=(EXACT,)),
    Kind("mirror-ahead", "the same, the other clock 3.7 s ahead", ("s",), mirrored=True, clocks=(EXACT, AHEAD)),
    Kind(
        "everything", "all of it, three points", ("s", "d"), jitter=1.0, reordered=0.02, copied=0.01, lost=0.02,
        missed=0.01, mtu=1000, snaplens=(0, 96), offloaded=True, random_ports=True, clocks=(Clock(), HOURS, BEHIND),
    ),
)  # fmt: skip
