"""Each capture in a process of its own, which may crash or take for ever without harm to the others."""

import multiprocessing.connection
import os
import random
import signal
import tempfile
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .captures import UnreadableError, read_any
from .judge import judge
from .kinds import KINDS
from .points import make_view

SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp", ".trace", ".ntar", ".gz")


@dataclass
class Outcome:
    """What came of one capture."""

    path: Path
    scores: list = field(default_factory=list)
    """(kind's name, seed, Score) for each view."""
    failure: str | None = None
    """`unreadable: …`, `crashed: …`, `took longer than … s`."""
    left_out: int = 0
    seconds: float = 0


@dataclass(frozen=True)
class Plan:
    """What is done with each capture."""

    kinds: tuple = tuple(kind.name for kind in KINDS)
    per_file: int = 3
    """Views of each, drawn by its name and the seed; 0: one of each kind."""
    seed: int = 0
    most_frames: int = 5000
    timeout_s: int = 120
    keep: Path | None = None
    """A folder in which the views' files stay."""

    def views_of(self, name):
        """(kind, seed of the view) for a capture with this name."""
        chosen = [kind for kind in KINDS if kind.name in self.kinds]
        if self.per_file and self.per_file < len(chosen):
            picked = random.Random(f"{name} {self.seed}").sample(range(len(chosen)), self.per_file)
            chosen = [chosen[i] for i in sorted(picked)]
        return [(kind, f"{name}:{kind.name}:{self.seed}") for kind in chosen]


def captures_in(folder):
    """The captures below a folder, by name; what is no capture may be among them. Or one file."""
    if folder.is_file():
        return [folder]
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(found)


def measure_all(paths, plan, jobs):
    """Yield the Outcome of each, as they end; at most `jobs` at once."""
    waiting, running = list(reversed(paths)), {}
    context = multiprocessing.get_context("fork")
    while waiting or running:
        while waiting and len(running) < jobs:
            path = waiting.pop()
            end, other = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(path, plan, other), daemon=True)
            process.start()
            other.close()
            running[path] = process, end, time.monotonic()
        multiprocessing.connection.wait([end for _, end, _ in running.values()], timeout=0.5)
        for path in list(running):
            outcome = _outcome(path, *running[path], plan)
            if outcome is not None:
                del running[path]
                yield outcome


def _outcome(path, process, end, began, plan):
    """What came of it, None while it runs."""
    passed = time.monotonic() - began
    if end.poll():
        try:
            outcome = end.recv()
        except EOFError:
            process.join()
            how = signal.Signals(-process.exitcode).name if process.exitcode < 0 else f"exit {process.exitcode}"
            outcome = Outcome(path, failure=f"crashed: {how}")
    elif passed > plan.timeout_s:
        process.kill()
        outcome = Outcome(path, failure=f"took longer than {plan.timeout_s} s")
    else:
        return None
    process.join()
    end.close()
    outcome.seconds = passed
    return outcome


def _work(path, plan, answer):
    """In the process: make and judge the views of one capture."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    outcome = Outcome(path)
    try:
        capture = read_any(path, plan.most_frames)
        outcome.left_out = capture.left_out
        for kind, seed in plan.views_of(path.name):
            with _folder(plan, seed) as folder:
                score = judge(make_view(capture, kind, seed, folder))
            score.samples = {kind_of: lines[:20] for kind_of, lines in score.samples.items()}
            outcome.scores.append((kind.name, seed, score))
    except UnreadableError as error:
        outcome.failure = f"unreadable: {error}"
    except Exception as error:  # noqa: BLE001 (whatever it is, it is counted and named)
        where = traceback.extract_tb(error.__traceback__)[-1]
        outcome.failure = f"crashed: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    answer.send(outcome)
    answer.close()


@contextmanager
def _folder(plan, seed):
    """For the files of one view."""
    if plan.keep:
        folder = plan.keep / seed.replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="ttviews-") as scratch:
            yield Path(scratch)
