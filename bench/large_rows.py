"""`ttrace correlate` on two files that are larger than the memory it may take."""

import threading
import time
from contextlib import suppress
from pathlib import Path

from ttrace.lab.recording import ttrace_command

from .files import made
from .measuring import Goal, Process, Row, median_and_spread
from .peers import reader

TITLE = "Correlating what is larger than the memory"
NOTES = """\
- Two files of one traffic as above, with 440 bytes in each packet, without trace events; `ttrace correlate --memory
  2048` with its text report, files in the page cache.
- Memory is what is resident in all processes of ttrace together, every page counted once (Pss in
  `/proc/PID/smaps_rollup`), at the worst of moments a tenth of a second apart.
"""
_MIB = 2048
_EVERY_S = 0.1


def rows(sizes, folder):
    files = made(folder, "large", sizes.large_bytes)
    times, memories, reading = [], [], []
    for _ in range(sizes.large_rounds):
        seconds, mib = _resident(ttrace_command("correlate", "--memory", str(_MIB), *map(str, files)))
        times.append(seconds)
        memories.append(mib)
        reading.append(reader("chunks", files)[0]["seconds"])
    size = sum(path.stat().st_size for path in files)
    what = f"{size / 1e9:.3g} GB in two files"
    name = f"ttrace correlate --memory {_MIB}"
    own = "ttrace: read, decode, fingerprint"
    yield Row(
        what=what, unit="s", reference=own, samples={name: times, own: reading},
        notes={name: f"{median_and_spread(memories, 'MiB')} at most"},
    )  # fmt: skip
    yield Row(
        what=f"{what}: memory", unit="MiB", reference=name, samples={name: memories},
        goals={name: Goal(bound=_MIB, of="value")},
    )  # fmt: skip


def _resident(command):
    """(seconds that a command took, MiB that it and its children had resident at most)."""
    begun = time.perf_counter()
    with Path("/dev/null").open("w") as nowhere:
        process = Process(command, stdout=nowhere, stderr=nowhere)
    ended, most = threading.Event(), [0]

    def watch():
        while not ended.wait(_EVERY_S):
            most[0] = max(most[0], sum(map(_pss_kib, _family(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        process.finish()
    finally:
        ended.set()
        watcher.join()
        process.kill()
    return time.perf_counter() - begun, most[0] / 1024


def _family(pid):
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _family(int(child))
    return found


def _pss_kib(pid):
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return 0
