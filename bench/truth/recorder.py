"""tcpdump, as anybody would call it. In nanoseconds, which is for the truth: clock.py writes what is measured."""

import signal
import subprocess
from contextlib import contextmanager

from ttrace.lab.namespace import inside
from ttrace.lab.waiting import wait_until

QUIET_CHECKS = 25
"""Times, 10 ms apart, that no file may have grown before a recording ends."""
SNAPLEN, SUPER_PACKETS = 2048, 70_000
"""Whole packets, without and with GSO. In immediate mode each takes a slot of this size in the ring: no more than
needed, or a burst finds no room."""


class PacketsLostError(Exception):
    """tcpdump lost packets, so their turns tell nothing."""


def raw_name(point):
    """File of a point's recording."""
    return f"{point.replace('/', '-')}.raw.pcap"


@contextmanager
def recorded(points, folder, *, filters=None, snaplen=SNAPLEN, quiet_checks=QUIET_CHECKS):
    """Record while the body makes traffic; yields point -> file, complete at the end.

    `points`: `NODE/INTERFACE` -> namespace path. `filters`: more words for the tcpdump of a point.
    """
    running = []
    files = {}
    try:
        for point, netns in points.items():
            files[point] = folder / raw_name(point)
            words = [
                "tcpdump",
                "-i",
                point.split("/")[1],
                "-w",
                str(files[point]),
                "--immediate-mode",
                "-U",
                "-s",
                str(snaplen),
            ]
            words += ["--nano", "-n", "-B", "65536", "-Z", "root", *(filters or {}).get(point, [])]
            running.append(subprocess.Popen([*inside(netns), *words], stderr=subprocess.PIPE, text=True))
        for process in running:
            said = [process.stderr.readline()]
            while "listening on" not in said[-1]:  # `-i any` has its link type to tell first
                assert said[-1], "".join(said)
                said.append(process.stderr.readline())
        yield files
        wait_until(_Quiet(files.values(), quiet_checks), 20, "no packet comes any more")
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        reports = [process.communicate(timeout=20)[1] for process in running]
    for report in reports:
        if "\n0 packets dropped by kernel" not in report:
            raise PacketsLostError(report)


class _Quiet:
    """Have the files kept their sizes for long enough?"""

    def __init__(self, files, checks):
        self._files, self._checks = list(files), checks
        self._sizes, self._same = None, 0

    def __call__(self):
        sizes = [file.stat().st_size for file in self._files]
        self._same = self._same + 1 if sizes == self._sizes else 0
        self._sizes = sizes
        return self._same >= self._checks
