"""`python -m bench.steady [--minutes M] [--rate N] [--write FILE]`: a capture that is left running; as root.

Is what it takes flat over time? A ring of files, tracing on, a steady load through NAT; memory, descriptors, CPU and
losses are read once a minute.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ttrace.lab import LightLab
from ttrace.lab.namespace import inside
from ttrace.lab.recording import ttrace_command

from .flooding import Flood
from .forwarding_rows import sink
from .machine import Machine
from .measuring import Process
from .network import PREFIX, pinned, remove_left_behind, split_cpus

_TICKS = os.sysconf("SC_CLK_TCK")


class Sample(NamedTuple):
    """What the capture has taken so far."""

    at_s: float
    resident_mib: float
    descriptors: int
    cpu_s: float
    files: int
    files_mib: float


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.steady", description=__doc__.partition(": ")[2])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=5_000, help="packets per second that the container sends")
    parser.add_argument("--every", type=float, default=60, metavar="S", help="seconds from sample to sample")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table as Markdown")
    options = parser.parse_args()
    machine = Machine()
    samples, summary = measure(options)
    text = document(options, machine, samples, summary)
    print(text)
    if options.write:
        options.write.write_text(text)
    return 0


def measure(options):
    """Samples over time, and what the capture says at its end."""
    remove_left_behind()
    own, others = map(pinned, split_cpus())
    with LightLab(PREFIX) as lab, sink(lab), tempfile.TemporaryDirectory(prefix="ttsteady-") as folder:
        web, node = lab.containers["web1"], lab.nodes["master"]
        ring = ["-w", f"{folder}/ring.pcapng", "--rotate-size", "64M", "--keep", "4"]
        command = [*own, *inside(node.netns_path), *ttrace_command("capture", *ring)]
        capture = Process(command, stderr=subprocess.PIPE)
        packets = int(options.minutes * 60 * options.rate)
        try:
            capture.wait_for("capturing")
            before = [*others, *inside(web.netns_path)]
            with Flood(before, "udp", packets, options.rate, [lab.nodes["slave"].address]) as flood:
                flood.start()
                samples = list(watched(capture.pid, Path(folder), options))
                flood.end()
            capture.signal()
            return samples, capture.finish()[1]
        finally:
            capture.kill()


def watched(pid, folder, options):
    """A sample every so often, while packets are sent."""
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < options.minutes * 60 - 1:
        time.sleep(min(options.every, options.minutes * 60 - 1 - now))
        yield sample(pid, folder, time.monotonic() - begin)


def sample(pid, folder, at_s):
    status = Path(f"/proc/{pid}/status").read_text()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    sizes = [file.stat().st_size for file in folder.glob("*.pcapng")]
    return Sample(
        at_s=at_s,
        resident_mib=int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        files=len(sizes),
        files_mib=sum(sizes) / 2**20,
    )


def document(options, machine, samples, summary):
    """The result as Markdown."""
    half = len(samples) // 2
    shares = [(b.cpu_s - a.cpu_s) / (b.at_s - a.at_s) * 100 for a, b in pairwise(samples)]
    descriptors = [one.descriptors for one in samples]
    step = max(1, len(samples) // 15)
    lines = [
        "# Left running",
        "",
        f"`python -m bench.steady --minutes {options.minutes:g} --rate {options.rate}`: a container sends",
        f"{options.rate:,} UDP datagrams a second through docker0, Docker's rules and MASQUERADE;",
        "`ttrace capture --rotate-size 64M --keep 4` with tracing at docker0, the veth and eth0.",
        "",
        *(f"- {line}" for line in machine.lines()),
        "",
        "| minute | memory | descriptors | CPU so far | files |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *map(_row, [*samples[:-1:step], samples[-1]]),
        "",
        f"- Memory, median of the first half: {_memory(samples[:half])}; of the second: {_memory(samples[half:])}.",
        f"- CPU: median {statistics.median(shares):.1f} % of a core, {min(shares):.1f} to {max(shares):.1f} %.",
        f"- Descriptors: {min(descriptors)} to {max(descriptors)}.",
        "",
        "What the capture said at its end:",
        "",
        *("    " + line for line in summary.strip().splitlines()[-12:]),
        "",
    ]
    return "\n".join(lines)


def _row(one):
    files = f"{one.files}, {one.files_mib:,.0f} MiB"
    return f"| {one.at_s / 60:.1f} | {one.resident_mib:,.1f} MiB | {one.descriptors} | {one.cpu_s:,.1f} s | {files} |"


def _memory(samples):
    return f"{statistics.median(one.resident_mib for one in samples):,.1f} MiB"


if __name__ == "__main__":
    sys.exit(main())
