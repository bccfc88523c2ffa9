"""Capture of a flood on veth pairs: CPU per packet, losses, bytes written."""

import time
from contextlib import ExitStack
from dataclasses import dataclass

from .capture_tools import Dumpcap, Tcpdump, Ttrace, absent, capturing, have_pages, is_there
from .flooding import Flood
from .measuring import Goal, Row, in_turn, median_and_spread, number, verdict
from .network import Wires, pinned, split_cpus

TITLE = "Capturing a flood"
NOTES = """\
- A sender writes frames into one end of veth pairs, the same number at the same rate for each tool; the tool captures
  at the other end, in a namespace of its own. Sender and tool have a CPU each, except where there are two senders:
  those and the tool get what the kernel gives them.
- CPU is user and system time of the tool's processes from before the first packet to a second after the last, by
  recorded packet. Start and stop are stated apart. What the kernel does for a packet before the tool is woken (copying
  it into the ring) is in nobody's number: it happens on the sender's CPU.
- The snaplen is 1,600 for all (ttrace's default) unless said otherwise; everything else is each tool's default: rings
  of 16 MiB for each interface in ttrace (256 together at most), of 2 MiB in tcpdump and dumpcap. tcpdump is one process
  for each interface. `ttrace` traces 1,000 packets a second, its default.
- Super-packets are TCP of 65,226 bytes, as containers of one node send them to each other.
- Files go to the page cache of the disk, to pages that were used before. In a virtual machine whose host takes back
  what is free, a page that is used for the first time costs ten times as much; to /dev/null nothing of that is left.
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    what: str
    kind: str = "small"
    """Of flood.py."""
    rate: int | None
    """Packets a second; 0 is as fast as it goes, None is no packet at all."""
    reckoned: int = 0
    """Packets a second to reckon with where the rate is 0."""
    interfaces: int = 1
    senders: int = 1
    snaplen: int = 1_600
    output: str = ""
    """Written instead of files."""
    quick: bool = False
    """Part of --quick."""


SMALL, SUPER, WHOLE = 100_000, 20_000, 262_144
CASES = (
    Case(what="nothing arrives, 1 interface", rate=None),
    Case(what="nothing arrives, 16 interfaces", rate=None, interfaces=16),
    Case(what="64-byte packets, 100,000/s, 1 interface", rate=SMALL),
    Case(what="64-byte packets, 100,000/s, 1 interface, to /dev/null", rate=SMALL, output="/dev/null"),
    Case(what="64-byte packets, 100,000/s, 4 interfaces", rate=SMALL, interfaces=4),
    Case(what="64-byte packets, 100,000/s, 16 interfaces", rate=SMALL, interfaces=16),
    Case(what="64-byte packets, as fast as one CPU sends", rate=0, reckoned=200_000),
    Case(what="64-byte packets, as fast as two senders go", rate=0, reckoned=100_000, senders=2),
    Case(what="super-packets, 20,000/s (10 Gbit/s), 1 interface", kind="gso", rate=SUPER),
    Case(what="super-packets, 20,000/s, 4 interfaces", kind="gso", rate=SUPER, interfaces=4, quick=True),
    Case(what="super-packets, 20,000/s, 16 interfaces", kind="gso", rate=SUPER, interfaces=16),
    Case(what="super-packets kept whole, 2,000/s (1 Gbit/s)", kind="gso", rate=2_000, snaplen=WHOLE),
    Case(
        what="super-packets kept whole, 2,000/s, to /dev/null",
        kind="gso",
        rate=2_000,
        snaplen=WHOLE,
        output="/dev/null",
    ),
    Case(what="super-packets kept whole, as fast as one CPU sends", kind="gso", rate=0, reckoned=4_000, snaplen=WHOLE),
)


SIZES = {"small": 64, "gso": 65_226}
RECORD_BYTES = 44
"""That a packet takes in ttrace's file beside its own."""


def rows(sizes, folder):
    for case in CASES:
        if case.quick or not sizes.quick:
            yield measure(case, sizes, folder)


def measure(case, sizes, folder):
    tools = [Ttrace(), Ttrace("--no-trace"), Tcpdump(), Dumpcap()]
    if case.rate == 0:
        tools.append(Tcpdump("-B", "16384"))
    packets = int((case.rate or case.reckoned) * sizes.flood_s)
    there = {tool.name: tool for tool in tools if is_there(tool)}
    with Wires(case.interfaces) as wires:
        runs = {
            name: lambda tool=tool: _capture(tool, case, packets, sizes, wires, folder) for name, tool in there.items()
        }
        if sizes.warm_up:
            runs["ttrace"]()
        results = in_turn(runs, sizes.rounds)
    make = _idle_row if case.rate is None else _row
    row = make(case, packets * case.senders, sizes, results)
    row.absent = absent(tools)
    return row


def _capture(tool, case, packets, sizes, wires, folder):
    """One flood, recorded by one tool."""
    own, others = map(pinned, split_cpus()) if case.senders == 1 else ((), ())
    senders = case.senders if packets else 0
    with ExitStack() as stack:
        arguments = [*others, *wires.inside("tx")], case.kind, packets, case.rate, wires.interfaces
        floods = [stack.enter_context(Flood(*arguments)) for _ in range(senders)]
        before = [*own, *wires.inside("rx")]
        capture = capturing(tool, wires.interfaces, case.snaplen, folder, before, output=case.output)
        running = stack.enter_context(capture)
        if not case.output:
            have_pages(folder, packets * len(floods) * (min(case.snaplen, SIZES[case.kind]) + RECORD_BYTES))
        running.begin()
        for flood in floods:
            flood.start()
        for flood in floods:
            flood.end()
        time.sleep(sizes.settle_s if floods else sizes.flood_s)
        running.end()
    return running.recorded


def _idle_row(case, _sent, sizes, results):
    return Row(
        what=case.what,
        unit="ms CPU/s",
        reference="tcpdump",
        samples={name: [run.cpu_s / sizes.flood_s * 1e3 for run in runs] for name, runs in results.items()},
        notes={name: _start_and_stop(runs) for name, runs in results.items()},
    )


def _row(case, sent, _sizes, results):
    row = Row(
        what=case.what,
        unit="µs CPU/packet",
        reference="tcpdump",
        samples={name: [run.cpu_s / max(run.packets, 1) * 1e6 for run in runs] for name, runs in results.items()},
        notes={name: _note(runs, sent) for name, runs in results.items()},
    )
    if "tcpdump" in results:
        lost = {name: sum(run.lost for run in runs) for name, runs in results.items()}
        for name in ("ttrace", "ttrace --no-trace"):
            row.goals[name] = Goal(bound=1.0)
            row.verdicts[name] = f"no more lost: {verdict(lost[name] <= lost['tcpdump'])}"
    return row


def _start_and_stop(runs):
    return f"start and stop {number(max(run.start_stop_cpu_s for run in runs))} s CPU"


def _note(runs, sent):
    lost = [run.lost / sent * 100 for run in runs]
    parts = [f"lost {median_and_spread(lost)} %" if any(lost) else "lost 0"]
    # What was neither recorded nor counted as lost, or came though nobody sent it.
    amiss = [sent - run.packets - run.lost for run in runs]
    if any(amiss):
        parts.append(f"{max(amiss, key=abs):,} packets unaccounted for")
    if any(run.events_lost for run in runs):
        parts.append(f"{sum(run.events_lost for run in runs):,} netlink messages lost")
    if any(run.trace_events for run in runs):
        parts.append(f"{max(run.trace_events for run in runs):,} trace events")
    if any(run.bytes for run in runs):
        parts.append(f"{number(max(run.bytes / max(run.packets, 1) for run in runs))} bytes/packet written")
    return ", ".join([*parts, _start_and_stop(runs)])
