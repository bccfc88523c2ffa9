"""From what passes the points to the files that are measured, and the truth of each frame in them."""

import random
from dataclasses import dataclass, replace

from ..clock import Record, write_pcap
from .crossing import Crossing, Truth
from .kinds import Kind

MIRROR_NS = 2_000
"""The second of two equal frames of a mirror comes up to so much later."""


@dataclass
class View:
    """Files, and what is true of them."""

    kind: Kind
    paths: list
    frames: list
    """Seen, in the order of the files and of the frames in them."""
    truth: Truth
    crossing: Crossing
    missed: set
    """(packet, point): it passed there, and the capture did not see it."""

    @property
    def arguments(self):
        """Of `ttrace correlate`."""
        if self.kind.named:
            return [f"box/eth{n}={path}" for n, path in enumerate(self.paths)]
        return [str(path) for path in self.paths]


def make_view(capture, kind, seed, folder):
    """Let the capture cross, and write what each point captured. The same seed makes the same files."""
    crossing = Crossing(capture, kind, seed)
    truth = crossing.run()
    dice = random.Random(f"{seed} points")
    start_ns = min(seen.time_ns for seen in truth.seen)
    paths, frames, missed = [], [], set()
    for point in range(kind.points):
        here = sorted((seen for seen in truth.seen if seen.point == point), key=lambda seen: seen.time_ns)
        kept = [seen for seen in _mirrored(here, kind, point, dice) if not _misses(seen, kind, dice, missed)]
        path = folder / f"point{point}.pcap"
        _write(path, capture.link, kept, kind, point, start_ns)
        paths.append(path)
        frames += kept
    return View(kind, paths, frames, truth, crossing, missed)


def _mirrored(seen, kind, point, dice):
    if not kind.mirrored or point:
        return seen
    twice = seen + [replace(one, time_ns=one.time_ns + dice.randrange(100, MIRROR_NS), copy=True) for one in seen]
    return sorted(twice, key=lambda one: one.time_ns)


def _misses(seen, kind, dice, missed):
    if not kind.missed or dice.random() >= kind.missed:
        return False
    missed.add((seen.packet, seen.point))
    return True


def _write(path, link, kept, kind, point, start_ns):
    clock, snaplen = kind.clock(point), kind.snaplen(point)
    records = [Record(0, one.length, one.data[: snaplen or None]) for one in kept]
    times = [max(clock.read(one.time_ns, start_ns), 0) for one in kept]
    times = [time_ns - time_ns % clock.resolution_ns for time_ns in times]
    write_pcap(path, link, records, times, nano=clock.resolution_ns < 1000)
