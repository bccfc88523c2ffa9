"""How much memory a correlation may take, and how much it would."""

import os
from pathlib import Path
from typing import Final

BYTES_PER_SIGHTING: Final = 700
"""At most resident, of all tables, for each captured frame and each chain evaluation (docs/performance.md)."""
BASE_BYTES: Final = 320 << 20
"""The interpreter with its libraries and compiled kernels."""
_LEAST_FRAME: Final = 100
"""Bytes that a frame takes in a file, as a rule: 60 of its own and its headers in the file."""
_FEWEST: Final = 10_000
"""Sightings of a part, however little memory there is."""

_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")
_MEMINFO: Final = Path("/proc/meminfo")


def memory_budget() -> int:
    """Bytes that a correlation takes when nobody says how many: half of what is available on this machine."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) << 10
    except OSError:
        pass  # not on Linux
    try:
        limit = _CGROUP.read_text().strip()
        available = min(available, int(limit) if limit != "max" else available)
    except (OSError, ValueError):
        pass  # no control group, or an older kind
    return available // 2


def bytes_needed(sightings: int, size: int) -> int:
    """Resident memory for so many sightings from files of `size` bytes, which are mapped."""
    return BASE_BYTES + sightings * BYTES_PER_SIGHTING + size


def most_sightings(size: int) -> int:
    """Sightings that files of this many bytes hold at most, as a rule."""
    return size // _LEAST_FRAME


def sightings_per_part(budget: int, workers: int) -> int:
    """How many sightings each of the processes may have in memory."""
    return max((budget - BASE_BYTES * 3 // 2) // (workers * BYTES_PER_SIGHTING), _FEWEST)


def parts_at_once(workers: int, most: int, wanted: int, largest: int) -> int:
    """How many processes there is memory for, where each of `workers` was to have `most` sightings, but most parts have
    `wanted`, for there must not be too many, and one has `largest`, for it could not be divided."""
    room = max(most, _FEWEST) * workers * 5 // 4  # a part is never quite as large as was wanted
    return min(workers, 1 + max(room - largest, 0) // max(wanted, 1))
