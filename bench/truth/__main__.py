"""`python -m bench.truth [CASE...]`: record, correlate, compare, print a table; as root.

Each case is measured with whole packets and cut at 64 bytes (`editcap -s 64`), each with the places of the files named
(`a/docker0=FILE`) and not named (`FILE`). At the end, random clocks are put on some of the recordings.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from .clock_runs import clock_runs
from .judge import judge
from .network import DockerNetwork, Network
from .recorder import QUIET_CHECKS, SNAPLEN, SUPER_PACKETS, PacketsLostError, raw_name, recorded
from .rewriting import CUT, rewritten
from .scenes import CASES, numbered
from .table import COLUMNS, Result, clock_line, document, false_line, line, overall, row
from .truth import lost_packets, read_frames
from .views.command import add_arguments, measure_views, plan_of

CLOCK_CASES = ("routed", "both", "ports", "nat66", "loss", "reorder", "delay", "ends", "drift", "docker")
"""Those whose recordings get random clocks."""
CLOCK_RUNS = 20
"""For each of them."""
ATTEMPTS = 3
"""To record a case without a loss."""


def record(case, folder):
    """Run the scene; point -> raw file, and the wire's log."""
    log = folder / "wire.log" if case.wire else None
    make = DockerNetwork if case.docker else Network
    network = make(
        wire=case.wire,
        log=log,
        bridge_nf=case.bridge_nf,
        middle=case.middle,
        same_addresses=case.same_addresses,
    )
    with network:
        if case.tunnel:
            network.tunnel(case.tunnel)
        for place, command in case.rules:
            network.do(place, command)
        for place in case.servers:
            network.serve(place)
        points = {point: network.path(point.split("/")[0]) for point in case.points}
        slow = int((case.wire.delay_ms + case.wire.jitter_ms) / 10) if case.wire else 0
        all_jobs = [job for jobs in case.jobs.values() for job in jobs]
        large = any(job["job"] == "bulk" or max(job.get("sizes", (0,))) > SNAPLEN for job in all_jobs)
        snaplen = SUPER_PACKETS if large else SNAPLEN
        quiet_checks = QUIET_CHECKS + slow
        with recorded(points, folder, filters=case.filters, snaplen=snaplen, quiet_checks=quiet_checks) as files:
            network.send(numbered(case.jobs))
        network.end_wire()
    return mirrored(case, files, folder), log


def mirrored(case, files, folder):
    """The files, those of one mirror port merged."""
    for point, parts in case.mirrors.items():
        sources = [files.pop(part) for part in parts]
        files[point] = folder / raw_name(point)
        subprocess.run(["mergecap", "-F", "nsecpcap", "-w", files[point], *sources], check=True)
    return files


def record_completely(case, folder):
    """record(), again when the machine was too busy for tcpdump."""
    for _ in range(ATTEMPTS - 1):
        with suppress(PacketsLostError):
            return record(case, folder)
    return record(case, folder)


def recording_in(case, folder):
    """What record() returned when it was kept."""
    files = {point: folder / raw_name(point) for point in case.points}
    return mirrored(case, files, folder), folder / "wire.log" if case.wire else None


def measure(case, files, log, folder):
    """Yield the result of each way to look at the recording."""
    frames = read_frames(files, log, case.spans)
    lost = lost_packets(frames, log, [case.points.index(point) for point in case.drop])
    for snaplen in ("all", "64"):
        made, reference_times = rewritten(case, files, folder, cut=snaplen == "64")
        for names in ("named", "bare"):
            arguments = [f"{named(point)}={path}" if names == "named" else str(path) for point, path in made]
            kept_bytes = CUT if snaplen == "64" else None
            yield Result(case, snaplen, names, judge(frames, arguments, lost, reference_times, kept_bytes))


def named(point):
    """The place of a file on the command line: of several interfaces, the node."""
    return point.removesuffix("/any").removesuffix("/mirror")


def run_case(case, folder, explain, reuse):
    """Record and measure one case and print it; its results and the scores of its clock runs."""
    folder.mkdir(parents=True, exist_ok=True)
    files, log = recording_in(case, folder) if reuse else record_completely(case, folder)
    results = []
    for result in measure(case, files, log, folder):
        print(line(row(result)), flush=True)
        for kind, samples in result.score.samples.items():
            for sample in samples[:explain]:
                print(f"    {kind}: {sample}")
        results.append(result)
    runs = list(clock_runs(case, files, log, CLOCK_RUNS)) if case.name in CLOCK_CASES else []
    if runs and not all(score.clock_ok for score in runs):
        print(f"    {clock_line(runs)}", flush=True)
    return results, runs


def parse_arguments():
    parser = argparse.ArgumentParser(prog="python -m bench.truth", description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the captures in this folder")
    parser.add_argument("--reuse", action="store_true", help="measure what an earlier run kept there, record nothing")
    parser.add_argument("--explain", type=int, default=0, metavar="N", help="show N mistakes of each kind")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table as Markdown")
    add_arguments(parser)
    options = parser.parse_args()
    options.plan = plan_of(options, parser)
    if unknown := set(options.cases) - {case.name for case in CASES}:
        parser.error(f"no case is called {', '.join(sorted(unknown))}")
    if options.reuse and not options.keep:
        parser.error("--reuse needs --keep DIR")
    return options


def main():
    options = parse_arguments()
    begin = time.monotonic()
    if options.views:
        measure_views(options, options.plan)
        return
    print(line(COLUMNS), flush=True)
    results, runs = [], []
    for case in CASES:
        if options.cases and case.name not in options.cases:
            continue
        with tempfile.TemporaryDirectory(prefix="ttruth-") as scratch:
            folder = options.keep / case.name if options.keep else Path(scratch)
            of_case, clocks_of_case = run_case(case, folder, options.explain, options.reuse)
        results += of_case
        runs += clocks_of_case
    print(overall(results))
    print(false_line(results))
    if runs:
        print(clock_line(runs))
    if options.write:
        options.write.write_text(document(results, runs))
    print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
