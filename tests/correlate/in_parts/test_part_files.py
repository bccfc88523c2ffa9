"""What stays of a part is in a file once, and others refer to it."""

from pathlib import Path

import numpy as np
import pytest

from ttrace.correlate.in_parts import tasks
from ttrace.correlate.in_parts.part_files import keep, load_beside, save_beside
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.in_parts.work_folder import WorkFolder, load
from ttrace.correlate.pipeline import Followed
from ttrace.correlate.progress import unheard

RECORDINGS = Path(__file__).parents[3] / "pcaps"


@pytest.fixture
def folder():
    made = WorkFolder()
    yield made
    made.close()


def test_what_stays_is_referred_to_and_what_changed_is_written(folder):
    rows, others = np.arange(100_000), np.arange(100_000)
    staying = keep(folder.new_name("staying"), {"rows": rows, "others": others})
    first = folder.new_name("first")
    save_beside(first, {"deep": [rows], "others": others, "own": 5}, staying)
    assert Path(first).stat().st_size < 1000
    found, again = load_beside(first)
    np.testing.assert_array_equal(found["deep"][0], rows)
    assert found["own"] == 5
    found["deep"][0][7] = -1
    second = folder.new_name("second")
    save_beside(second, found, again.without("rows"))
    assert 400_000 < Path(second).stat().st_size < 900_000
    assert load_beside(second)[0]["deep"][0][7] == -1
    assert load(staying.path)["rows"][7] == 7


@pytest.mark.slow
@pytest.mark.parametrize("recording", ["docker-udp", "docker-http"])
def test_rounds_write_what_they_hold(monkeypatch, recording):
    """Whatever a round changed, the next one finds so."""
    seen = []

    def save_and_look(path, value, staying):
        save_beside(path, value, staying)
        written, _ = load_beside(path)
        held, found = (one.linked if isinstance(one, Followed) else one for one in (value, written))
        for name in ("sightings", "said", "outers"):
            rows = [getattr(one, name).view(np.uint8) for one in (held, found)]
            np.testing.assert_array_equal(*rows)
        seen.append(type(value).__name__)

    monkeypatch.setattr(tasks, "save_beside", save_and_look)
    files = sorted(str(file) for file in (RECORDINGS / recording).glob("*.pcapng"))
    correlate_in_parts(files, unheard, most=30, workers=1).close()
    assert set(seen) == {"Linked", "Followed", "Correlation"}
