"""Where and with what was measured."""

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from pathlib import Path

from .peers import missing

_VERSION, _LIBPCAP = r"(\d+\.\d+[.\d]*)", r"libpcap version (\S+)"


class Machine:
    """The machine as it was from the start of the measurement on."""

    def __init__(self):
        self._load = os.getloadavg()
        self._ticks = _ticks()
        self._began = time.time()

    def lines(self):
        """What to know of it, a line each."""
        model = _first(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        memory = int(_first(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())) / 2**20
        kind = "virtual machine" if " hypervisor " in Path("/proc/cpuinfo").read_text() else "machine"
        distribution = _first(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
        return [
            f"{kind}, {os.cpu_count()} CPUs ({model}), {memory:.0f} GiB; Linux {platform.release()}; {distribution}",
            ", ".join([f"Python {platform.python_version()}", *_packages(), *_programs()]),
            (
                f"begun {time.strftime('%Y-%m-%d %H:%M', time.gmtime(self._began))} UTC, "
                f"done in {(time.time() - self._began) / 60:.0f} minutes; load {self._load[0]:.2f} before the start, "
                f"{self._stolen():.1f} % of the CPU time taken by the host"
            ),
        ]

    def _stolen(self):
        spent = [now - then for now, then in zip(_ticks(), self._ticks, strict=True)]
        return spent[7] / max(sum(spent[:8]), 1) * 100


def _ticks():
    """CPU time by kind (proc_stat(5)); the eighth is stolen."""
    return [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]


def _first(pattern, text):
    found = re.search(pattern, text)
    return found[1].strip() if found else "?"


def _packages():
    for name in ("numpy", "numba", "pandas", "dpkt", "scapy"):
        if not missing(module=name):
            yield f"{name} {importlib.metadata.version(name)}"


def _programs():
    for program in ("tcpdump", "dumpcap", "capinfos", "tshark", "nft"):
        if not missing(program):
            done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
            said = done.stdout + done.stderr
            yield f"{program} {_first(_VERSION, said)}"
            if program == "tcpdump":
                yield f"libpcap {_first(_LIBPCAP, said)}"
