"""From a recording to the files that are measured."""

import subprocess

from .clock import WHOLE, Clock, read_pcap, stretched, write_pcap

CUT = 64
"""Bytes that are kept of each packet, for the second way to look at a recording."""
GAP_NS = 20_000_000
"""Nothing was seen anywhere for so long: a quiet time."""


def rewritten(case, files, folder, *, cut, clocks=None):
    """The files as they are measured ([(point, path)]), with the case's clocks, pauses, spans and snaplens; and per
    record its time in the file less what its clock is wrong by.
    """
    raw = {point: read_pcap(path) for point, path in files.items()}
    everything = [record.time_ns for _, records in raw.values() for record in records]
    later = stretched(everything, GAP_NS, case.pause_ns)
    start_ns, end_ns = min(everything), max(everything)
    made, reference_times = [], []
    for point, (link, records) in raw.items():
        clock = (case.clocks if clocks is None else clocks).get(point.split("/")[0], Clock())
        for part, span in enumerate(case.spans.get(point, WHOLE)):
            path = folder / f"{point.replace('/', '-')}{part or ''}.pcap"
            made.append((point, path))
            kept = span.cut(records, start_ns, end_ns)
            true_ns = [later(record.time_ns) for record in kept]
            shown_ns = [clock.read(time_ns, start_ns) for time_ns in true_ns]
            times = [time_ns - time_ns % clock.resolution_ns for time_ns in shown_ns]
            wrong_by = [shown - true for shown, true in zip(shown_ns, true_ns, strict=True)]
            reference_times += [time_ns - by for time_ns, by in zip(times, wrong_by, strict=True)]
            write_pcap(path, link, kept, times)
            snaplen = CUT if cut else case.snaplens.get(point)
            if snaplen:
                whole = path.with_suffix(".whole")
                path.rename(whole)
                # -F: editcap would write pcapng.
                subprocess.run(["editcap", "-F", "pcap", "-s", str(snaplen), str(whole), str(path)], check=True)
                whole.unlink()
    return made, reference_times
