"""Runs the targets, each in a child, two at a time; a child that dies or hangs is a finding, and another goes on."""

import faulthandler
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from .child import Shared, begin, keep
from .targets import WEIGHTS, target

HANG_S = 20.0
"""Seconds of the processor after which a mutant hangs; where it waits, three times as many of the clock."""


@dataclass
class Tried:
    """What came of a target."""

    name: str
    mutants: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    """Seconds of the mutant that took longest, as far as the parent saw."""
    crashes: int = 0
    hangs: int = 0


def run(names: list[str], seconds: float, seed: int, found: Path, workers: int = 2) -> list[Tried]:
    """So many seconds in all, shared among the targets."""
    shares = {name: WEIGHTS.get(name, 1) for name in names}
    waiting = [
        _Job(name, seed, seconds * workers * shares[name] / sum(shares.values()), found)
        # The longest first: then they end together.
        for name in sorted(names, key=lambda name: -shares[name])
    ]
    running: list[_Job] = []
    done: list[Tried] = []
    while waiting or running:
        while waiting and len(running) < workers:
            running.append(waiting.pop(0))
            running[-1].start()
        time.sleep(0.05)
        for job in list(running):
            if job.watch():
                running.remove(job)
                done.append(job.tried)
    return sorted(done, key=lambda tried: names.index(tried.name))


class _Job:
    """One target, and the child that works on it."""

    def __init__(self, name: str, seed: int, seconds: float, found: Path) -> None:
        self.tried = Tried(name)
        self._seed, self._seconds, self._found = seed, seconds, found
        self._shared = Shared()
        self._target = target(name)
        self._child = 0
        self._begun = 0.0
        self._mutant = -1
        """The one whose time is taken, from this on the processor:"""
        self._cpu_before = 0.0

    def start(self) -> None:
        self._begun = self._begun or time.monotonic()
        self._child = begin(
            self._target, self.tried.name, self._seed, self.tried.mutants, self._begun + self._seconds, self._shared,
            self._found,
        )  # fmt: skip

    def watch(self) -> bool:
        """Look after the child; True when all is done."""
        number, since, data = self._shared.read()
        took = time.monotonic() - since if since else 0.0
        self.tried.slowest = max(self.tried.slowest, took)
        self.tried.seconds = time.monotonic() - self._begun
        if not since or self._mutant != number:
            self._mutant, self._cpu_before = number, self._cpu()
        if took > HANG_S and (took > 3 * HANG_S or self._cpu() - self._cpu_before > HANG_S):
            os.kill(self._child, signal.SIGABRT)  # faulthandler says where it was
            os.waitpid(self._child, 0)
            self.tried.hangs += 1
            return self._go_on(number, f"hang: {HANG_S} s\n{self._log()}", data)
        child, status = os.waitpid(self._child, os.WNOHANG)
        if child == 0:
            return False
        if status == 0:
            self.tried.mutants = number
            return True
        self.tried.crashes += 1
        number, _, data = self._shared.read()
        return self._go_on(number, f"crash: status {status}\n{self._log()}", data)

    def _go_on(self, number: int, what: str, data: bytes) -> bool:
        keep(self._found, self.tried.name, what, data)
        self.tried.mutants = number + 1
        if self.tried.crashes + self.tried.hangs > 20 or time.monotonic() > self._begun + self._seconds:
            return True
        self._shared.tried(self.tried.mutants)
        self.start()
        return False

    def _cpu(self) -> float:
        """Seconds that the child has used of the processor."""
        try:
            fields = Path(f"/proc/{self._child}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _log(self) -> str:
        log = self._found / f"{self.tried.name}.log"
        return log.read_text(errors="replace")[-6000:] if log.exists() else ""


faulthandler.enable()
