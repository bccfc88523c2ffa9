"""Classic pcap files with other timestamps: another clock, a coarser one, quiet times made longer."""

import struct
from dataclasses import dataclass
from itertools import pairwise

NANO, MICRO = 0xA1B23C4D, 0xA1B2C3D4


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

    def read(self, time_ns, start_ns):
        """What it shows at `time_ns`."""
        return time_ns + self.shift_ns + round((time_ns - start_ns) * self.drift_ppm / 1e6)


def read_pcap(path):
    data = path.read_bytes()
    magic = struct.unpack_from("<I", data)[0]
    unit = {NANO: 1, MICRO: 1000}[magic]
    records, position = [], 24
    while position + 16 <= len(data):
        seconds, fraction, captured, length = struct.unpack_from("<4I", data, position)
        position += 16
        records.append(Record(seconds * 10**9 + fraction * unit, length, data[position : position + captured]))
        position += captured
    return records


def write_pcap(path, records, times_ns, *, nano=False):
    """The records with other times, in microseconds unless `nano`, as tcpdump does by default."""
    unit = 1 if nano else 1000
    parts = [struct.pack("<IHHiIII", NANO if nano else MICRO, 2, 4, 0, 0, 262144, 1)]
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
