"""One sighting beside another: what it is, and how far apart the two are in time."""

from dataclasses import dataclass

from ..result.correlation import Correlation
from ..result.values import Hop
from ..sightings import FRAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """A sighting, compared with the frame that is explained."""

    hop: Hop
    path: int
    """Its path, by id."""
    connection: int
    difference_ns: int | None
    """How much later than that frame it was, on the reference clock; None for a chain: its message has no time."""
    clock_error_ns: int | None
    """How far the clocks of two nodes may make that wrong; 0 on one machine, None where nothing bounds it."""


def compare_times(result: Correlation, own: int, other: int) -> Apart:
    """The sighting `other` beside the frame `own` (rows of the sightings)."""
    captured = result.sightings["kind"][other] == FRAME
    return Apart(
        hop=result.hop_of(other),
        path=int(result.packets.packet[other]) + 1,
        connection=int(result.connections.connection[other]) + 1,
        difference_ns=int(result.times_ns[other] - result.times_ns[own]) if captured else None,
        clock_error_ns=_clock_error(result, own, other) if captured else None,
    )


def _clock_error(result: Correlation, own: int, other: int) -> int | None:
    nodes = [result.topology.points[result.sightings["place"][sighting]].node for sighting in (own, other)]
    machines = [result.topology.machine(node) for node in nodes]
    if machines[0] == machines[1]:
        return 0
    clocks = {clock.node: clock.certainty for clock in result.clocks}
    error = int(clocks[nodes[0]].beside(clocks[nodes[1]]).at(result.times_ns[[own, other]]).max())
    return None if error < 0 else error
