"""ttrace, tcpdump and dumpcap as anybody would call them, and what they say of what they recorded."""

import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

from ttrace.lab.recording import READY, ttrace_command

from .measuring import Process


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What one capture came to."""

    packets: int
    lost: int
    events_lost: int = 0
    """Netlink messages, of ttrace alone."""
    trace_events: int = 0
    bytes: int
    cpu_s: float
    """Between `begin` and `end` of the capture."""
    start_stop_cpu_s: float
    """Before and after."""


class Tcpdump:
    """One process for each interface."""

    program = "tcpdump"
    ready = "listening on"

    def __init__(self, *options):
        self.name = " ".join(["tcpdump", *options])
        self._options = options

    def commands(self, interfaces, files, snaplen):
        for interface, file in zip(interfaces, files, strict=False):
            # As root: the user `tcpdump`, whom it becomes otherwise, may not write here.
            yield ["tcpdump", "-i", interface, "-w", file, "-s", str(snaplen), "-Z", "root", *self._options]

    def counts(self, said):
        return {"packets": _sum(r"(\d+) packets? captured", said), "lost": _sum(r"(\d+) packets? dropped", said)}


class Dumpcap:
    """One process, with a thread for each interface."""

    name = program = "dumpcap"
    ready = "File: "

    def commands(self, interfaces, files, snaplen):
        words = [word for interface in interfaces for word in ("-i", interface)]
        yield ["dumpcap", "-q", "-s", str(snaplen), *words, "-w", files[0]]

    def counts(self, said):
        return {
            "packets": _sum(r"Packets captured: (\d+)", said),
            "lost": _sum(r"received/dropped on interface '[^']*': \d+/(\d+)", said),
        }


class Ttrace:
    """One process with one thread, whatever the number of interfaces."""

    program = None
    ready = READY

    def __init__(self, *options):
        self.name = " ".join(["ttrace", *options])
        self._options = options

    def commands(self, interfaces, files, snaplen):
        words = [word for interface in interfaces for word in ("--iface", interface)]
        yield ttrace_command("capture", "-w", files[0], "--snaplen", str(snaplen), *words, *self._options)

    def counts(self, said):
        return {
            "packets": _sum(r"^\S+: ([\d,]+) packets?,", said),
            "lost": _sum(r"packets?   LOST ([\d,]+)$", said),
            "events_lost": _sum(r"netfilter: LOST ([\d,]+)", said),
            "trace_events": _sum(r"^\S+: .* ([\d,]+) trace events?", said),
        }


def _sum(pattern, text):
    return sum(int(found.replace(",", "")) for found in re.findall(pattern, text, re.MULTILINE))


def is_there(tool):
    return tool.program is None or shutil.which(tool.program) is not None


def absent(tools):
    """Tool to why it is not measured."""
    return {tool.name: f"`{tool.program}` is not installed" for tool in tools if not is_there(tool)}


class Capture:
    """The running processes of one tool."""

    def __init__(self, tool, processes, files):
        self._tool, self._processes, self._files = tool, processes, files
        self._cpu_s = [0.0, 0.0]
        self.recorded = None
        """What it came to, once stopped."""

    def begin(self):
        """From here on the CPU counts."""
        self._cpu_s[0] = sum(process.cpu_s() for process in self._processes)

    def end(self):
        """To here."""
        self._cpu_s[1] = sum(process.cpu_s() for process in self._processes)

    def stop(self):
        for process in self._processes:
            process.signal()
        ends = [process.finish() for process in self._processes]
        said = "\n".join(words for _, words in ends)
        cpu_s = self._cpu_s[1] - self._cpu_s[0]
        self.recorded = Recorded(
            **self._tool.counts(said),
            bytes=sum(file.stat().st_size for file in self._files if file.exists()),
            cpu_s=cpu_s,
            start_stop_cpu_s=sum(usage.cpu_s for usage, _ in ends) - cpu_s,
        )


def have_pages(folder, size):
    """Have the pages for a file of `size` bytes used before: a virtual machine may have to get them from its host,
    which would be the work of the first tool that happens to write there."""
    path, piece = folder / "pages", bytes(3 << 20)
    with path.open("wb", buffering=0) as file:
        for _ in range(0, size, len(piece)):
            file.write(piece)
    path.unlink()


@contextmanager
def capturing(tool, interfaces, snaplen, folder, before=(), *, output=""):
    """A capture of these interfaces, ready; `before` are the words before each command (namespace, CPUs).

    It goes to files in the folder, which are removed at the end, or to `output`.
    """
    files = [] if output else [folder / f"capture-{number}" for number in range(len(interfaces))]
    paths = [str(file) for file in files] or [output] * len(interfaces)
    processes = []
    try:
        for command in tool.commands(interfaces, paths, snaplen):
            processes.append(Process([*before, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        for process in processes:
            process.wait_for(tool.ready)
        capture = Capture(tool, processes, files)
        yield capture
        capture.stop()
    finally:
        for process in processes:
            process.kill()
        for file in files:
            file.unlink(missing_ok=True)
