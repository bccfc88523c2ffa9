"""Checksums that are wrong, and not only in the capture: what the frames of suspects say beside those that were taken.

A sender leaves its sums to its device, so a capture there shows the sum of the pseudo header (Linux, BSD), nothing, or
whatever the buffer held before. The first two are told apart by their value (decode/checksums.py). Of any other a wrong
sum is believed only where

- the same packet had a right one before, or one that was still to be filled in; or
- the sender's other packets, that were taken, have right ones at the same place; or
- the capture is of Linux (`ttrace capture`), which leaves nothing else there; or
- it came in there, as did packets of others that were taken and have right ones.

And never where a packet of the same sender was taken with a wrong one.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ...pcapng.rows import placed
from ..arrays.grouping import hashed
from ..decode.checksums import Sum
from ..nodes.topology import Topology
from .common import BROKEN, FRAMES
from .facts import Rows
from .suspects import place_keys, sender_keys

_BEFORE, _BY_SENDER, _ON_LINUX, _BY_OTHERS = 1.0, 0.95, 0.9, 0.85
"""How sure it is, by what it rests on."""


class What(IntEnum):
    """Which checksum."""

    NONE = 0
    HEADER = 1
    TRANSPORT = 2
    OUTER = 3


class Failed(NamedTuple):
    """Suspects of whose connection all have a wrong checksum where they were last seen."""

    suspects: npt.NDArray[np.void]
    states: npt.NDArray[np.uint8]
    """Sum of each of their frames, (suspects, FRAMES)."""
    whats: npt.NDArray[np.uint8]
    """What of each of them."""
    first: Rows
    """Its first frame from which on it is wrong."""


def failed(suspects: npt.NDArray[np.void], sums: npt.NDArray[np.void]) -> Failed:
    """Those worth a second look. `sums`: of their frames, (suspects, FRAMES)."""
    wrong = int(Sum.WRONG)
    by_kind = [sums[name] == wrong for name in ("header", "outer", "transport")]
    whats = np.select(by_kind, [int(What.HEADER), int(What.OUTER), int(What.TRANSPORT)]).astype(np.uint8)
    states = np.where(whats > 0, np.uint8(wrong), sums["transport"]).astype(np.uint8)
    states[np.arange(FRAMES) >= suspects["count"][:, None]] = Sum.UNKNOWN
    number = np.arange(FRAMES)
    last = np.where(states != Sum.UNKNOWN, number, -1).max(axis=1, initial=-1)
    row = np.arange(states.shape[0])
    broken = (last >= 0) & (states[row, last] == wrong)
    # Where one of them is right and fails all the same, it is something else that keeps them.
    keys = hashed(suspects["connection"], suspects["fails"])
    broken &= ~np.isin(keys, keys[(last >= 0) & ~broken])
    good = np.isin(states, (Sum.RIGHT, Sum.OFFLOADED))
    before = np.where(good, number, -1).max(axis=1, initial=-1)
    first = np.where((states == wrong) & (number > before[:, None]), number, FRAMES).min(axis=1, initial=FRAMES)
    kept = np.flatnonzero(broken)
    return Failed(suspects.take(kept), states[kept], whats[kept], first[kept])


def places_of(found: Failed) -> npt.NDArray[np.uint64]:
    """Where controls are wanted, and of which protocol: where it is wrong first."""
    return np.unique(place_keys(_wrong(found), np.arange(found.first.size)))


def _wrong(found: Failed) -> npt.NDArray[np.void]:
    return found.suspects["seen"][np.arange(found.first.size), found.first]


class _Controls(NamedTuple):
    """Sums of frames that were taken, by a key of theirs."""

    right: npt.NDArray[np.uint64]
    wrong: npt.NDArray[np.uint64]


def judged(
    found: Failed, controls: npt.NDArray[np.void], sums: npt.NDArray[np.void], topology: Topology
) -> npt.NDArray[np.void]:
    """BROKEN rows. `controls`: CONTROL rows of all parts; `sums`: of each."""
    wrong = _wrong(found)
    is_wrong = np.logical_or.reduce([sums[name] == Sum.WRONG for name in ("header", "outer", "transport")])
    is_right = ~is_wrong & (sums["transport"] == Sum.RIGHT)
    seen = controls["seen"]
    of_sender, at_place = sender_keys(seen), place_keys(seen, np.arange(seen.size))
    mine, here = sender_keys(wrong), place_keys(wrong, np.arange(wrong.size))
    row, number = np.arange(found.first.size), np.arange(FRAMES)
    good = np.isin(found.states, (Sum.RIGHT, Sum.OFFLOADED)) & (number < found.first[:, None])
    before = np.where(good, number, -1).max(axis=1, initial=-1)
    was_good = (before >= 0) & ~found.suspects["doubtful"][row, found.first]
    on_linux = np.array([one.known for one in topology.namespaces] or [False], np.bool_)[wrong["namespace"]]
    told = wrong["direction"] != Direction.UNKNOWN
    others = np.isin(here, at_place[is_right]) & ~np.isin(here, at_place[is_wrong])
    sure = np.select(
        [
            was_good, np.isin(mine, of_sender[is_right]), on_linux & told & ~np.isin(here, at_place[is_wrong]),
            others & (wrong["direction"] == Direction.IN),
        ],
        [_BEFORE, _BY_SENDER, _ON_LINUX, _BY_OTHERS], 0.0,
    )  # fmt: skip
    sure[np.isin(mine, of_sender[is_wrong])] = 0
    rows = np.zeros(row.size, BROKEN)
    for name in ("path", "fails"):
        rows[name] = found.suspects[name]
    rows["what"], rows["sure"] = found.whats[row, found.first], sure
    placed(rows["wrong"], wrong)
    rows["before"] = np.where(was_good, found.states[row, before], Sum.UNKNOWN)
    rows["right"] = found.suspects["seen"][row, np.maximum(before, 0)]
    rows = rows.take(np.flatnonzero(sure > 0))
    return rows.take(np.argsort(rows["path"], kind="stable"))
