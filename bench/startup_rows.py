"""How long it takes until something is there."""

import tempfile
import time

from ttrace.lab.recording import ttrace_command

from .capture_tools import Dumpcap, Tcpdump, Ttrace, absent, capturing, is_there
from .measuring import ROOT, Row, in_turn, measured
from .network import Wires
from .peers import TSHARK, missing, wall_s

TITLE = "Starting up"
NOTES = """\
- Whole commands, with files in the page cache. "Cold" is the first run on a machine, when numba compiles: with
  NUMBA_CACHE_DIR naming an empty folder.
- "Capturing" is from the start of the command until it says that it captures, on one quiet veth; ttrace has then also
  taken its snapshots and loaded its tracing table.
"""
_DEMO = [str(ROOT / "pcaps" / "docker-demo" / f"{node}.pcapng") for node in ("master", "slave")]


def rows(sizes, folder):
    yield _help(sizes)
    yield _ready(sizes, folder)
    yield _demo(sizes)
    if sizes.cold_rounds:
        yield _cold_capture(sizes, folder)
        yield _cold_correlate(sizes)


def _run(*command):
    return lambda: measured(command).wall_s


def _help(sizes):
    runs = {"ttrace --help": _run(*ttrace_command("--help"))}
    absent_peers = {}
    for program in ("tcpdump", "tshark"):
        if reason := missing(program):
            absent_peers[f"{program} --help"] = reason
        else:
            runs[f"{program} --help"] = _run(program, "--help")
    samples = in_turn(runs, sizes.start_rounds)
    return Row(what="help", unit="s", reference="tshark --help", samples=samples, absent=absent_peers)


def _ready(sizes, folder):
    tools = [Ttrace(), Ttrace("--no-trace"), Tcpdump(), Dumpcap()]
    with Wires(1) as wires:
        runs = {tool.name: lambda tool=tool: _ready_s(tool, wires, folder) for tool in tools if is_there(tool)}
        if sizes.warm_up:
            runs["ttrace"]()
        samples = in_turn(runs, sizes.start_rounds)
    return Row(what="capturing", unit="s", reference="tcpdump", samples=samples, absent=absent(tools))


def _ready_s(tool, wires, folder, before=()):
    begin = time.perf_counter()
    with capturing(tool, wires.interfaces, 1_600, folder, [*before, *wires.inside("rx")]):
        return time.perf_counter() - begin


def _demo(sizes):
    name, reason = "tshark -T fields", missing("tshark")
    runs = {"ttrace correlate": _run(*ttrace_command("correlate", *_DEMO))}
    if not reason:
        runs[name] = lambda: sum(wall_s(TSHARK, file) for file in _DEMO)
    if sizes.warm_up:
        runs["ttrace correlate"]()
    samples = in_turn(runs, sizes.start_rounds)
    absent_peers = {name: reason} if reason else {}
    return Row(what="the demo's two files", unit="s", reference=name, samples=samples, absent=absent_peers)


def _cold_capture(sizes, folder):
    with Wires(1) as wires:
        runs = {
            "ttrace, cold": lambda: _with_empty_cache(lambda words: _ready_s(Ttrace(), wires, folder, words)),
            "ttrace": lambda: _ready_s(Ttrace(), wires, folder),
        }
        samples = in_turn(runs, sizes.cold_rounds)
    return Row(what="capturing, cold", unit="s", reference="ttrace", samples=samples)


def _cold_correlate(sizes):
    command = ttrace_command("correlate", *_DEMO)
    runs = {
        "ttrace correlate, cold": lambda: _with_empty_cache(lambda words: measured([*words, *command]).wall_s),
        "ttrace correlate": _run(*command),
    }
    samples = in_turn(runs, sizes.cold_rounds)
    return Row(what="the demo's two files, cold", unit="s", reference="ttrace correlate", samples=samples)


def _with_empty_cache(run):
    """Call `run` with the words that give the command behind them an empty cache of compiled kernels."""
    with tempfile.TemporaryDirectory(prefix="ttbench-") as cache:
        return run(["env", f"NUMBA_CACHE_DIR={cache}"])
