"""What all measurements share: programs run in turn, what a process used, and the rows of the table."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ttrace.errors import TtraceError

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one process used, from its start to its end."""

    wall_s: float
    cpu_s: float
    """User and system, of all its threads and of the children it waited for."""
    peak_mib: float


class Process:
    """A running program. In a session of its own: Ctrl-C is for the bench, which ends what it started."""

    def __init__(self, command, **more):
        self._began = time.perf_counter()
        self._popen = subprocess.Popen(command, text=True, start_new_session=True, **more)
        self.stdin, self.stdout, self.stderr = self._popen.stdin, self._popen.stdout, self._popen.stderr
        self.pid = self._popen.pid

    def cpu_s(self):
        """Seconds of CPU so far, to the nanosecond (/proc/PID/stat counts in hundredths): its CPU-time clock, whose
        number is made of the pid (MAKE_PROCESS_CPUCLOCK in linux/posix-timers_types.h)."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def wait_for(self, word):
        """Read stderr up to the line with this word; raises TtraceError if the program ends without it."""
        said = []
        for line in self.stderr:
            if word in line:
                return
            said.append(line)
        raise TtraceError(f"`{self._popen.args}` did not start: {''.join(said).strip()}")

    def signal(self, number=signal.SIGINT):
        self._popen.send_signal(number)

    def finish(self):
        """Wait for its end; returns its Usage, and what it wrote to stderr if that is a pipe."""
        said = self.stderr.read() if self.stderr else ""
        _, status, used = os.wait4(self.pid, 0)
        wall_s = time.perf_counter() - self._began
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        self._close()
        if self._popen.returncode:
            raise TtraceError(f"`{self._popen.args}` ended with {self._popen.returncode}: {said.strip()}")
        usage = Usage(wall_s=wall_s, cpu_s=used.ru_utime + used.ru_stime, peak_mib=used.ru_maxrss / 1024)
        return usage, said

    def kill(self):
        """End it if it still runs."""
        if self._popen.returncode is None:
            self._popen.kill()
            self._popen.wait()
        self._close()

    def _close(self):
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe:
                with suppress(BrokenPipeError):  # what was still to be written to a program that has ended
                    pipe.close()


def measured(command, **more):
    """Usage of a command; what it says is thrown away."""
    process = Process(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT, **more)
    try:
        return process.finish()[0]
    finally:
        process.kill()


def python(module, *arguments):
    """The command line of a module of the bench, in a process of its own."""
    return [sys.executable, "-m", f"{__package__}.{module}", *map(str, arguments)]


def said_by(command):
    """(Usage of a command, what it writes to stdout)."""
    process = Process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    try:
        said = process.stdout.read()
        return process.finish()[0], said
    finally:
        process.kill()


def in_turn(runs, rounds):
    """Run all of `runs` (name -> function) one after the other, `rounds` times; name -> what they returned."""
    results = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            _say(f"  round {number + 1} of {rounds}: {name}")
            results[name].append(run())
    _say("")
    return results


def _say(text):
    """Write over the last line of a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A bound for the median, of the ratios or of what was measured."""

    bound: float
    of: str = "ratio"
    """`ratio` or `value`."""
    at_least: bool = False

    def words(self, row, tool):
        values = row.ratios(tool) if self.of == "ratio" else row.samples[tool]
        if values is None:
            return f"{self._bound()}: not measured"
        value = statistics.median(values)
        met = value >= self.bound if self.at_least else value <= self.bound
        return f"{self._bound()}: {verdict(met)}"

    def _bound(self):
        return f"{'at least' if self.at_least else 'at most'} {self.bound:,g}"


def verdict(met):
    return "met" if met else "missed"


@dataclass(kw_only=True)
class Row:
    """One thing measured: ttrace and its peers side by side."""

    what: str
    unit: str
    reference: str
    """The tool that all are set in relation to, round by round."""
    samples: dict[str, Sequence[float]]
    """Tool to one value per round."""
    absent: dict[str, str] = field(default_factory=dict)
    """Tool to the reason why it was not measured."""
    goals: dict[str, Goal] = field(default_factory=dict)
    """Tool to the bound of its ratio to the reference, or of its value."""
    verdicts: dict[str, str] = field(default_factory=dict)
    """Tool to another goal and whether it is met."""
    notes: dict[str, str] = field(default_factory=dict)
    """Tool to what else there is to say."""

    def ratios(self, tool):
        """None where the reference is not there, or took nothing at all."""
        if not all(self.samples.get(self.reference, [0])):
            return None
        return [a / b for a, b in zip(self.samples[tool], self.samples[self.reference], strict=True)]


def number(value):
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - _exponent(value))}f}"


def _exponent(value):
    return int(f"{value:e}".partition("e")[2]) if value else 0


def median_and_spread(values, unit=""):
    """`2.05 s (1.98 to 2.31)`."""
    text = number(statistics.median(values)) + (f" {unit}" if unit else "")
    return text if len(values) == 1 else f"{text} ({number(min(values))} to {number(max(values))})"
