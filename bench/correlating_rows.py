"""`ttrace correlate` from end to end."""

import re
from itertools import pairwise
from pathlib import Path
from statistics import median

from ttrace.lab.recording import ttrace_command

from .files import made
from .measuring import Goal, Row, in_turn, measured, median_and_spread, number
from .peers import missing, reader, tshark_s

TITLE = "Correlating"
NOTES = """\
- Two files of one traffic, TCP connections of 20 packets through MASQUERADE on one node and DNAT on the other, each
  packet seen at three points of both (`bench/synthesis.py`). "With trace events": the first two packets of each
  connection are traced on both nodes, about 15 messages each time, as recorded in `pcaps/docker-demo`.
- ttrace is the whole command with its text report, kernels compiled before. tshark only decodes the two files
  (`-T fields`), a tenth of the packets, scaled up. "Read, decode, fingerprint" is what ttrace itself takes for that,
  without the start of Python; "beside a tenth of them" is all stages of `correlate_captures`, without start and report.
  Memory is the most that was resident, with the pages of the mapped files.
"""
_SHARE = 10
_GIB_PER_MILLION = 1.3
"""Memory for a million packets, with some to spare."""
TSHARK = "tshark -T fields"
READING = "ttrace: read, decode, fingerprint"


def rows(sizes, folder):
    kinds = {"traced": "with trace events"}
    if not sizes.quick:
        kinds = {"nat": "without trace events", **kinds}
    for name, what in kinds.items():
        yield from _measure(sizes, folder, name, what)


def _measure(sizes, folder, name, what):
    counts, whole = [sizes.correlated // _SHARE, sizes.correlated], sizes.correlated
    too_large = _too_large(sizes.correlated * 10) if sizes.large else None
    if sizes.large and not too_large:
        counts.append(sizes.correlated * 10)
    sets = {count: made(folder, name, count) for count in counts}
    commands, works = [], {count: [] for count in counts}

    def command():
        commands.append(measured(ttrace_command("correlate", *map(str, sets[whole]))))
        return commands[-1].wall_s

    def work(count):
        works[count].append(reader("stages", sets[count]))
        return works[count][-1][0]["seconds"]

    reason = missing("tshark")
    runs = {"ttrace correlate": command, READING: lambda: reader("packets", sets[whole])[0]["seconds"]}
    runs |= {_work_name(count): lambda count=count: work(count) for count in counts}
    if not reason:
        runs[TSHARK] = lambda: tshark_s(sets[counts[0]], _SHARE, folder)
    if sizes.warm_up:
        work(counts[0])
        works[counts[0]].clear()
    samples = in_turn(runs, sizes.correlate_rounds)
    titled = f"2 x {whole // 2:,} packets {what}"
    yield _beside_tshark(titled, samples, commands, reason)
    # Each goal is a bound in relation to something else, and a row has one relation.
    yield Row(
        what=f"{titled}, beside its own reading",
        unit="s",
        reference=READING,
        samples={name: samples[name] for name in ("ttrace correlate", READING)},
        goals={"ttrace correlate": Goal(bound=3)},
    )
    for less, more in pairwise(counts):
        yield _growth(what, less, more, samples, works)
    if too_large:
        name = _work_name(whole * 10)
        yield Row(what=f"{name} packets, {what}", unit="s", reference=name, samples={}, absent={name: too_large})


def _too_large(packets):
    """Why so many are not correlated here, None if they can be."""
    available = re.search(r"MemAvailable:\s*(\d+)", Path("/proc/meminfo").read_text())
    needed, there = packets / 1e6 * _GIB_PER_MILLION, int(available[1]) / 2**20
    return f"needs {needed:.0f} GiB of memory, {there:.0f} are available" if there < needed else None


def _work_name(count):
    return f"ttrace, 2 x {count // 2:,}"


def _memory(usages):
    return median_and_spread([usage.peak_mib for usage in usages], "MiB")


def _beside_tshark(what, samples, commands, reason):
    return Row(
        what=what,
        unit="s",
        reference=TSHARK,
        samples={name: samples[name] for name in ("ttrace correlate", READING, TSHARK) if name in samples},
        absent={TSHARK: reason} if reason else {},
        goals={"ttrace correlate": Goal(bound=0.01)},
        notes={"ttrace correlate": _memory(commands), TSHARK: f"on 1/{_SHARE} of the packets"},
    )


def _growth(what, less, more, samples, works):
    def note(count):
        found = [work["stages"] for work, _ in works[count]]
        times = ", ".join(f"{stage} {number(median(work[stage] for work in found))} s" for stage in found[0])
        return f"{_memory([usage for _, usage in works[count]])}; {times}"

    return Row(
        what=f"2 x {more // 2:,} packets {what}, beside a tenth of them",
        unit="s",
        reference=_work_name(less),
        samples={_work_name(count): samples[_work_name(count)] for count in (more, less)},
        goals={_work_name(more): Goal(bound=11)},
        notes={_work_name(count): note(count) for count in (more, less)},
    )
