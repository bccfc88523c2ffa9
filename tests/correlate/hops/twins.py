"""What order_hops means: plain Python over lists, short and slow. test_twins.py holds the kernels to it."""

from dataclasses import dataclass
from itertools import count, pairwise

INPUT, OUTPUT = 41, 50
NEVER, FIRST = 2**62, -(2**62)


@dataclass(frozen=True)
class Seen:
    """A sighting of one packet: a captured frame, or (`told`) a chain that saw it."""

    row: int
    told: bool
    namespace: int
    station: int
    """Where in the namespace: smaller comes first."""
    time_ns: int
    order: int = 0
    """Of what was told: its turn in the socket."""


def order(packet):
    """(row, visit) of the sightings of one packet, in the order of its way.

    Frames are in order of time, what was told in that of the socket. A visit is one passage through one namespace.
    Visits come in the order of their first frames; within one, stations tell.
    """
    frames = sorted((s for s in packet if not s.told), key=lambda s: (s.time_ns, s.station, s.row))
    told = sorted((s for s in packet if s.told), key=lambda s: (s.order, s.station, s.row))
    visit, begins = {}, []  # of each row; per visit, the time that puts it among the others
    for number, seen in enumerate(frames):
        before = frames[number - 1] if number else None
        if before is None or before.namespace != seen.namespace or seen.station < before.station:
            begins.append(seen.time_ns)
        visit[seen.row] = len(begins) - 1
    for number, seen in enumerate(told):
        earlier = [s for s in told[:number] if s.namespace == seen.namespace]
        of_frames = sorted({visit[s.row] for s in frames if s.namespace == seen.namespace})
        if of_frames:
            visit[seen.row] = of_frames[min(passages([*earlier, seen]) - 1, len(of_frames) - 1)]
        elif earlier and seen.station >= earlier[-1].station:
            visit[seen.row] = visit[earlier[-1].row]
            if seen.station == INPUT:  # it goes no further
                begins[visit[seen.row]] = max(begins[visit[seen.row]], NEVER)
        else:
            visit[seen.row] = len(begins)
            begins.append({OUTPUT: FIRST, INPUT: NEVER}.get(seen.station, seen.time_ns))
    turn = dict(zip(sorted(range(len(begins)), key=lambda v: (begins[v], v)), count()))
    way = sorted([*frames, *told], key=lambda s: (turn[visit[s.row]], s.station))  # else as they are: frames first
    return [(s.row, turn[visit[s.row]]) for s in way]


def passages(told):
    """How many passages through their namespace these are: each begins where the stations begin again."""
    return 1 + sum(after.station < before.station for before, after in pairwise(told))
