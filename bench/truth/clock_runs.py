"""How often the clocks lie within the error ttrace states, over many clocks on the same recordings."""

import random
import tempfile
from pathlib import Path

from .clock import Clock
from .judge import judge_clocks
from .rewriting import rewritten
from .truth import read_frames

MOST_SHIFT_NS, MOST_DRIFT_PPM = 10_000_000_000, 100


def random_clock(dice, *, drifting):
    shift_ns = dice.randint(-MOST_SHIFT_NS, MOST_SHIFT_NS)
    return Clock(shift_ns, dice.uniform(-MOST_DRIFT_PPM, MOST_DRIFT_PPM) if drifting else 0.0)


def clock_runs(case, files, log, runs):
    """Yield a Score for each run: node b has a random clock; every second one drifts."""
    frames = read_frames(files, log, case.spans)
    for seed in range(runs):
        clocks = {"b": random_clock(random.Random(f"{case.name} {seed}"), drifting=seed % 2 == 1)}
        with tempfile.TemporaryDirectory(prefix="ttruth-") as scratch:
            made, reference_times = rewritten(case, files, Path(scratch), cut=False, clocks=clocks)
            arguments = [f"{point}={path}" for point, path in made]
            yield judge_clocks(arguments, frames, reference_times)
