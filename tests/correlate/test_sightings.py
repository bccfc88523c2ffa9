"""Which sightings there are."""

import numpy as np
import pytest

from ttrace.correlate import sightings as module
from ttrace.correlate.schema import NOTE_CUT, NOTE_ERROR, SIGHTING
from ttrace.correlate.sightings import ERRORS, OUTERS, PIECES, marks_of


@pytest.mark.parametrize("at", [0, 5, 11])
@pytest.mark.parametrize(
    ("column", "value", "mark"),
    [
        ("fragment", 0x2000, PIECES),
        ("outer", 3, OUTERS),
        ("notes", NOTE_ERROR | NOTE_CUT, ERRORS),
        ("notes", NOTE_CUT, 0),
    ],
)
def test_one_sighting_is_enough(monkeypatch, at, column, value, mark):
    monkeypatch.setattr(module, "_PIECE", 4)
    rows = np.zeros(12, SIGHTING)
    rows[column][at] = value
    assert marks_of(rows) == mark


def test_marks_add_up():
    rows = np.zeros(3, SIGHTING)
    rows["fragment"][0], rows["outer"][1], rows["notes"][2] = 1, 1, NOTE_ERROR
    assert marks_of(rows) == PIECES | OUTERS | ERRORS
    assert marks_of(rows[:0]) == 0
