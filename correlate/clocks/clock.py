"""A node's clock against the reference: lines, and how far they may be wrong."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_ALWAYS_NS: Final = 1 << 62


class Certainty(NamedTuple):
    """How far a clock may be wrong at a time: little while something compares it, and the more the longer it is alone.

    All times in ns, by the reference clock.
    """

    error_ns: int
    """While there is evidence; -1 where nothing bounds it at any time."""
    from_ns: int = -_ALWAYS_NS
    """Evidence begins."""
    to_ns: int = _ALWAYS_NS
    """It ends."""
    growth: float = 0.0
    """More error for each ns before it begins or behind its end: as much as the evidence itself leaves open."""

    def at(self, times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Half-width in ns of the interval that the offset must lie in at each of these times; -1 not known."""
        if self.error_ns < 0 or not self.growth:
            return np.full(times_ns.shape, self.error_ns, np.int64)
        alone = np.maximum(np.maximum(self.from_ns - times_ns, times_ns - self.to_ns), 0)
        return self.error_ns + np.ceil(self.growth * alone).astype(np.int64)

    def beside(self, other: "Certainty") -> "Certainty":
        """Of both together, where one clock was compared with the other."""
        if self.error_ns < 0 or other.error_ns < 0:
            return Certainty(-1)
        return Certainty(
            self.error_ns + other.error_ns, max(self.from_ns, other.from_ns), min(self.to_ns, other.to_ns),
            self.growth + other.growth,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of time in which a clock ran evenly."""

    start_ns: int
    """By this clock; the first piece begins with the captures."""
    offset_ns: int
    """This clock minus the reference at `start_ns`."""
    drift: float
    """Change of the offset, in ns per ns of the reference."""
    error_ns: int | None
    """While something compares the clocks: from `evidence_ns[0]` to `evidence_ns[1]`, by the reference clock."""
    evidence_ns: tuple[int, int] = (-_ALWAYS_NS, _ALWAYS_NS)
    growth: float = 0.0
    """How far from `drift` the evidence lets it be: what the error grows by in each ns beyond the evidence."""
    from_ns: int | None = None
    """By this clock, when the piece takes over from the one before; None for the first of its epoch."""
    epoch: int = 0
    """How often the clock was set back before: then its times come twice, and only the order of the frames tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How one node's clock relates to the first node's."""

    node: str
    offset_ns: int
    """This clock minus the reference clock, when the captures began; to be subtracted."""
    error_ns: int | None
    """Half-width of the interval the offset must lie in; None when packets went only one way, or contradict."""
    basis: str
    """In words: `reference`, `same machine`, `N packets`, `no bound, N packets` or `unknown`."""
    packets: int = 0
    """Packets seen on both nodes that bound the offset."""
    pieces: tuple[Piece, ...] = ()
    """How the offset changes with time; empty where it is the same always."""
    over: "Clock | None" = None
    """The clock that it was compared with, where that is not the reference's own."""

    @property
    def drift_ppm(self) -> float:
        """Parts per million by which this clock runs faster than the reference, in the first piece."""
        return self.pieces[0].drift * 1e6 if self.pieces else 0.0

    @property
    def steps(self) -> int:
        """How often the clock was set during the captures."""
        return max(len(self.pieces) - 1, 0)

    @property
    def certainty(self) -> Certainty:
        """How far it may be wrong, and when. Where it was set meanwhile, of the worst of its pieces."""
        if self.error_ns is None:
            return Certainty(-1)
        errors = [piece.error_ns for piece in self.pieces]
        if None in errors:
            return Certainty(-1)
        own = Certainty(self.error_ns)
        if self.pieces:
            own = Certainty(
                max(error for error in errors if error is not None),
                min(piece.evidence_ns[0] for piece in self.pieces),
                max(piece.evidence_ns[1] for piece in self.pieces),
                max(piece.growth for piece in self.pieces),
            )
        return own if self.over is None else own.beside(self.over.certainty)

    @property
    def largest_error_ns(self) -> int | None:
        """Half-width of the interval that the offset must lie in while there is evidence; None: nothing bounds it."""
        error = self.certainty.error_ns
        return None if error < 0 else error

    @property
    def turns_ns(self) -> list[int]:
        """Times of this clock between which its offset is farthest from that of any line: of each piece both ends."""
        ends = [(piece, piece.evidence_ns[1]) for piece in self.pieces if piece.evidence_ns[1] < _ALWAYS_NS]
        return [piece.start_ns for piece in self.pieces] + [at + offset_at(piece, at) for piece, at in ends]

    @property
    def epochs(self) -> int:
        """How often the clock was set back."""
        return self.pieces[-1].epoch if self.pieces else 0

    def offsets(
        self, times_ns: npt.NDArray[np.int64], epochs: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.int64]:
        """The offset at each of these times of this clock, in ns; `epochs`: how often it had been set back by then."""
        offsets = np.full(times_ns.shape, self.offset_ns, np.int64)
        for piece in self.pieces:
            begin = piece.start_ns if epochs is None else piece.from_ns
            begun = np.ones(times_ns.shape, np.bool_)
            if begin is not None and piece is not self.pieces[0]:
                begun = times_ns >= begin
            here = begun if epochs is None else begun & (epochs == piece.epoch)
            offsets[here] = piece.offset_ns
            if piece.drift:
                offsets[here] += np.rint(_by_own_time(piece.drift) * (times_ns[here] - piece.start_ns)).astype(np.int64)
        return offsets

    @property
    def only_line(self) -> tuple[int, int, float] | None:
        """(offset in ns, time of this clock at which it was so, growth of it per ns of this clock), where that is so at
        all times; None where the clock was set."""
        if not self.pieces:
            return self.offset_ns, 0, 0.0
        piece = self.pieces[0]
        if len(self.pieces) > 1 or piece.epoch:
            return None
        return piece.offset_ns, piece.start_ns, _by_own_time(piece.drift)

    def reference_ns(self, time_ns: int) -> int:
        """A time of this clock, by the reference clock."""
        return time_ns - int(self.offsets(np.array([time_ns]))[0])


def offset_at(piece: Piece, reference_ns: int) -> int:
    """The offset of a piece at a time of the reference clock, in ns."""
    return piece.offset_ns + round(piece.drift * (reference_ns + piece.offset_ns - piece.start_ns))


def begun_at(piece: Piece, time_ns: int) -> tuple[int, int]:
    """`start_ns` and `offset_ns` of the same line from another time of this clock on."""
    return time_ns, piece.offset_ns + round(_by_own_time(piece.drift) * (time_ns - piece.start_ns))


def _by_own_time(drift: float) -> float:
    """How the offset changes per ns of a clock that gains `drift` in each ns of the reference: in that time it shows
    1 + drift. A day at 100 ppm makes 864 us of the difference."""
    return drift / (1 + drift)
