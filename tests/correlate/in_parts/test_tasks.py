"""Tasks need nothing but names of files and small values: any process can do them."""

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.in_parts import rounds
from ttrace.correlate.in_parts.part_files import load_beside
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.in_parts.worker_pool import WorkerPool
from ttrace.correlate.progress import unheard

pytestmark = pytest.mark.slow

FILES = sorted(str(file) for file in (Path(__file__).parents[3] / "pcaps" / "docker-http").glob("*.pcapng"))
PROGRAM = """if True:
    import pickle, sys
    task, work = pickle.load(sys.stdin.buffer)
    pickle.dump(task(work), sys.stdout.buffer)"""


def elsewhere(task, work):
    """What a process says that has nothing but the files."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=pickle.dumps((task, work)), capture_output=True, check=True
    )
    return pickle.loads(done.stdout)


def plain(value):
    """Dataclasses at any depth as dictionaries, which can be compared."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


@pytest.fixture
def tasks_done_twice(monkeypatch):
    """The tasks of one part are done here, then in a fresh interpreter, which must come to the same; its result counts.
    Gives their names."""
    seen = []

    class Elsewhere(WorkerPool):
        def run(self, task, works, done):  # noqa: ARG002 - as in WorkerPool
            for work, here in zip(works, map(task, works), strict=True):
                if work.number == 1:
                    seen.append(task.__name__)
                    assert len(pickle.dumps(work)) < 10_000
                    made_here = plain(load_beside(work.after)[0])
                    Path(work.after).unlink()
                    np.testing.assert_equal(plain(elsewhere(task, work)), plain(here))
                    np.testing.assert_equal(plain(load_beside(work.after)[0]), made_here)
                yield here

    monkeypatch.setattr(rounds, "WorkerPool", Elsewhere)
    return seen


def test_a_fresh_interpreter_comes_to_the_same(tasks_done_twice):
    found = correlate_in_parts(FILES, unheard, most=30, workers=1)
    assert tasks_done_twice == ["make_sightings", "follow_packets", "conclude_part"]
    assert found.paths == correlate_captures(FILES).packets.count
    found.close()
