"""A node's clock against the reference: lines, and how far they may be wrong."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of time in which a clock ran evenly."""

    start_ns: int
    """By this clock; the first piece begins with the captures."""
    offset_ns: int
    """This clock minus the reference at `start_ns`."""
    drift: float
    """Change of the offset, in ns per ns."""
    error_ns: int | None
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
    """How the offset changes with time; empty where it is taken as constant."""

    @property
    def drift_ppm(self) -> float:
        """Parts per million by which this clock runs faster than the reference, in the first piece."""
        return self.pieces[0].drift * 1e6 if self.pieces else 0.0

    @property
    def steps(self) -> int:
        """How often the clock was set during the captures."""
        return max(len(self.pieces) - 1, 0)

    @property
    def largest_error_ns(self) -> int | None:
        """Half-width of the interval that the offset must lie in at any time; None where nothing bounds it."""
        errors = [piece.error_ns for piece in self.pieces]
        if self.error_ns is None or None in errors:
            return None
        known = [error for error in errors if error is not None]
        # What the clocks in between may be off is in `error_ns` only.
        return self.error_ns + (max(known) - known[0] if known else 0)

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
            change = (piece.drift * (times_ns[here] - piece.start_ns)).astype(np.int64)
            offsets[here] = piece.offset_ns + change
        return offsets
