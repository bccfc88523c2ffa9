"""From a recording to the files that are measured."""

import subprocess

from .clock import Clock, read_pcap, stretched, write_pcap

GAP_NS = 20_000_000
"""Nothing was seen anywhere for so long: a quiet time."""


def rewritten(case, files, folder, *, cut, clocks=None):
    """The files as they are measured, with the case's clocks, pauses and snaplens; and per record its time in the file
    less what its clock is wrong by.
    """
    raw = {point: read_pcap(path) for point, path in files.items()}
    everything = [record.time_ns for records in raw.values() for record in records]
    later = stretched(everything, GAP_NS, case.pause_ns)
    start_ns = min(everything)
    made, reference_times = {}, []
    for point, records in raw.items():
        clock = (case.clocks if clocks is None else clocks).get(point.split("/")[0], Clock())
        made[point] = folder / f"{point.replace('/', '-')}.pcap"
        times = []
        for record in records:
            true_ns = later(record.time_ns)
            shown_ns = clock.read(true_ns, start_ns) // 1000 * 1000
            times.append(shown_ns)
            reference_times.append(shown_ns - (clock.read(true_ns, start_ns) - true_ns))
        write_pcap(made[point], records, times)
        snaplen = 64 if cut else case.snaplens.get(point)
        if snaplen:
            whole = made[point].with_suffix(".whole")
            made[point].rename(whole)
            # -F: editcap would write pcapng.
            subprocess.run(["editcap", "-F", "pcap", "-s", str(snaplen), str(whole), str(made[point])], check=True)
            whole.unlink()
    return made, reference_times
