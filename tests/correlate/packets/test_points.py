"""Points: what the same packet passes only once."""

import numpy as np
import pytest

from ttrace.correlate.packets.points import point_keys
from ttrace.correlate.schema import SIGHTING
from ttrace.correlate.sightings import EVALUATION, FRAME
from ttrace.pcapng.blocks import Direction


def two(**columns) -> np.ndarray:
    """Two sightings that differ in these columns."""
    rows = np.zeros(2, SIGHTING)
    rows["place"], rows["direction"], rows["kind"], rows["flow"], rows["ttl"] = 7, Direction.IN, FRAME, 5, 64
    for name, values in columns.items():
        rows[name] = values
    return rows


@pytest.mark.parametrize(
    "columns",
    [
        {"place": (7, 8)},
        {"direction": (Direction.IN, Direction.OUT)},
        {"fragment": (0x2000, 185)},
        {"direction": 0, "ttl": (64, 63)},
        {"direction": 0, "flow": (5, 6)},
        # A node that a packet passes twice sees it under other addresses the second time, and so do its chains.
        {"flow": (5, 6)},
        {"direction": 0, "kind": EVALUATION, "flow": (5, 6)},
    ],
)
def test_other_points(columns):
    assert len(set(point_keys(two(**columns), np.arange(2)).tolist())) == 2


@pytest.mark.parametrize(
    "columns",
    [
        {"ttl": (64, 63)},
        {"fragment": (0, 0x2000)},
        # A chain has no direction, and says by itself where it stands.
        {"direction": 0, "kind": EVALUATION, "ttl": (64, 63)},
    ],
)
def test_the_same_point(columns):
    assert len(set(point_keys(two(**columns), np.arange(2)).tolist())) == 1
