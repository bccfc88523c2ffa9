"""The process that tries mutants: it may die, and says beforehand what it tries."""

import faulthandler
import gc
import mmap
import os
import random
import resource
import struct
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ttrace.errors import TtraceError

from .mutator import MOST_BYTES

_STATE = struct.Struct("<QdQ")
MOST_MEMORY = 3 << 30
"""Bytes of address space that a mutant of 300 kB may take, beyond what is mapped at the start."""


class Shared:
    """What the child tells its parent: how many mutants it has tried, since when it tries this one, and its bytes."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _STATE.size + 4 * MOST_BYTES)

    def trying(self, number: int, data: bytes) -> None:
        data = data[: 4 * MOST_BYTES]
        self._memory[_STATE.size : _STATE.size + len(data)] = data
        self._memory[: _STATE.size] = _STATE.pack(number, time.monotonic(), len(data))

    def tried(self, number: int) -> None:
        self._memory[: _STATE.size] = _STATE.pack(number, 0.0, 0)

    def read(self) -> tuple[int, float, bytes]:
        """(mutants tried, when this one was begun or 0, its bytes)."""
        number, since, size = _STATE.unpack(self._memory[: _STATE.size])
        return number, since, self._memory[_STATE.size : _STATE.size + size]


def mutant(target: ModuleType, seeds: Sequence[bytes], name: str, seed: int, number: int) -> bytes:
    """Mutant so and so of a run."""
    rng = random.Random(f"{seed} {name} {number}")
    made: bytes = target.mutate(rng, rng.choice(seeds), list(seeds))
    return made


def try_mutants(
    target: ModuleType, name: str, seed: int, first: int, until: float, shared: Shared, found: Path
) -> None:
    """Try mutants from number `first` on, until that moment (of the monotonic clock)."""
    soft = _mapped() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    seeds = target.seeds()
    target.run(seeds[0])  # what has to be compiled or imported is none of a mutant's time
    number = first
    while time.monotonic() < until:
        data = mutant(target, seeds, name, seed, number)
        shared.trying(number, data)
        try:
            target.run(data)
        except TtraceError as error:
            if "None" in error.message or "\n" in error.message:
                keep(found, name, f"{error.message!r} is no message for people", data)
        except BaseException as error:  # noqa: BLE001 - a finding
            keep(found, name, "".join(traceback.format_exception(error)), data)
        number += 1
        shared.tried(number)
        if number % 200 == 0:
            gc.collect()


def _mapped() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE


def keep(found: Path, name: str, what: str, data: bytes) -> None:
    """Keep a finding: the input and what happened. Of each place where it happens one is enough, the smallest."""
    lines = [line for line in what.splitlines() if line.startswith('  File "')]
    place = "".join(c if c.isalnum() else "-" for c in (lines[-1].rsplit("/", 1)[-1] if lines else what.strip())[:60])
    folder = found / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{place}.bin"
    if not path.exists() or len(path.read_bytes()) > len(data):
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(what)


def begin(target: ModuleType, name: str, seed: int, first: int, until: float, shared: Shared, found: Path) -> int:
    """A child that does so; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        found.mkdir(parents=True, exist_ok=True)
        log = (found / f"{name}.log").open("ab", buffering=0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        faulthandler.enable(log)
        sys.stdout = sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - a descriptor
        try_mutants(target, name, seed, first, until, shared, found)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - the parent tells of it
        traceback.print_exc()
        os._exit(9)
