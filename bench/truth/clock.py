"""Classic pcap files with other timestamps: another clock, a coarser one, quiet times made longer, a part of a file."""

import struct
from dataclasses import dataclass
from itertools import pairwise

NANO, MICRO = 0xA1B23C4D, 0xA1B2C3D4
ETHERNET, RAW_IP, COOKED = 1, 101, 276
"""Link types; tcpdump calls the last LINUX_SLL2."""


@dataclass(frozen=True)
class Record:
    """One packet of a pcap file."""

    time_ns: int
    length: int
    """On the wire."""
    data: bytes


@dataclass(frozen=True)
class Clock:
    """A clock that is `shift_ns` ahead at the start of the recording, and goes wrong from there."""

    shift_ns: int = 0
    drift_ppm: float = 0.0
    step_ns: int = 0
    """Somebody sets it `step_after_ns` later."""
    step_after_ns: int = 0
    resolution_ns: int = 1000

    def read(self, time_ns, start_ns):
        """What it shows at `time_ns`."""
        passed_ns = time_ns - start_ns
        step_ns = self.step_ns if passed_ns >= self.step_after_ns else 0
        return time_ns + self.shift_ns + round(passed_ns * self.drift_ppm / 1e6) + step_ns


@dataclass(frozen=True)
class Span:
    """A part of a recording, in seconds from its start; a negative end counts from its end."""

    begin_s: float = 0
    end_s: float | None = None

    def cut(self, records, start_ns, end_ns):
        """Those of one point, in a recording that lasts from `start_ns` to `end_ns`."""
        begin_ns, until_ns = start_ns + round(self.begin_s * 1e9), end_ns + 1
        if self.end_s is not None:
            until_ns = (start_ns if self.end_s > 0 else end_ns) + round(self.end_s * 1e9)
        return [record for record in records if begin_ns <= record.time_ns < until_ns]


WHOLE = (Span(),)


def read_pcap(path):
    """Link type and records."""
    data = path.read_bytes()
    magic, link = struct.unpack_from("<I16xI", data)
    unit = {NANO: 1, MICRO: 1000}[magic]
    records, position = [], 24
    while position + 16 <= len(data):
        seconds, fraction, captured, length = struct.unpack_from("<4I", data, position)
        position += 16
        records.append(Record(seconds * 10**9 + fraction * unit, length, data[position : position + captured]))
        position += captured
    return link, records


def write_pcap(path, link, records, times_ns, *, nano=False):
    """The records with other times, in microseconds unless `nano`, as tcpdump does by default."""
    unit = 1 if nano else 1000
    parts = [struct.pack("<IHHiIII", NANO if nano else MICRO, 2, 4, 0, 0, 262144, link)]
    for record, time_ns in zip(records, times_ns, strict=True):
        seconds, fraction = divmod(time_ns, 10**9)
        parts.append(struct.pack("<4I", seconds, fraction // unit, len(record.data), record.length))
        parts.append(record.data)
    path.write_bytes(b"".join(parts))


def stretched(times_ns, gap_ns, pause_ns):
    """A function of time: where nothing was captured anywhere for `gap_ns`, `pause_ns` more pass.

    So a recording of two seconds lasts minutes and its packets are as fast as they were: time enough for a drift.
    """
    times = sorted(times_ns)
    borders = [b for a, b in pairwise(times) if b - a > gap_ns]

    def later(time_ns):
        return time_ns + pause_ns * sum(border <= time_ns for border in borders)

    return later
