"""All that the kernel said of packets, whatever kind of message said it: one row per sighting that is no frame."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import joined
from ..schema import SIGHTING, TOLD
from .evaluations import Evaluations
from .messages import KernelMessages, Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Row i of `rows` and `sightings` belong together; they are in order of their kinds."""

    rows: npt.NDArray[np.void]
    """TOLD columns; those behind them are of one kind only."""
    sightings: npt.NDArray[np.void]
    """SIGHTING rows."""

    @classmethod
    def of(cls, evaluations: Evaluations, said: dict[int, Said]) -> "Told":
        """The evaluations first, then what single messages say, by the kind of the sightings."""
        if not said:
            return cls(rows=evaluations.rows, sightings=evaluations.sightings)
        others = [said[kind] for kind in sorted(said)]
        columns = [_common(evaluations.rows), *(_common(one.rows) for one in others)]
        headers = [evaluations.sightings, *(one.headers for one in others)]
        return cls(rows=joined(TOLD, columns), sightings=joined(SIGHTING, headers))


def said_by_all(messages: list[KernelMessages]) -> dict[int, Said]:
    """What the single messages of all files say, by the kind of the sightings; kinds that no file has are left out."""
    kinds = sorted({kind for one in messages for kind, said in one.said.items() if said.headers.size})
    return {kind: Said.joined([one.said[kind] for one in messages if kind in one.said]) for kind in kinds}


def _common(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The TOLD columns of a table that has more."""
    found = np.empty(rows.size, TOLD)
    for name in TOLD.names or ():
        found[name] = rows[name]
    return found


def nothing_told() -> Told:
    """Of captures without messages of the kernel."""
    return Told(rows=np.empty(0, TOLD), sightings=np.empty(0, SIGHTING))
