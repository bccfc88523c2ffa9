"""What the targets have in common: a file that is read from guarded memory."""

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ttrace.pcapng import source
from ttrace.pcapng.capture_file import RECORD, CaptureFile, Interface

from ..guarded import guarded


@contextmanager
def guarded_files():
    """Files are mapped as guarded copies."""
    mapping = source.map_file
    source.map_file = lambda descriptor, _name: guarded(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
    try:
        yield
    finally:
        source.map_file = mapping


@contextmanager
def written(*inputs: bytes):
    """Paths of files with these bytes."""
    with TemporaryDirectory(prefix="ttrace-fuzz-", dir="/dev/shm") as folder:
        paths = [Path(folder) / f"n{i}.pcapng" for i in range(len(inputs))]
        for path, data in zip(paths, inputs, strict=True):
            path.write_bytes(data)
        yield paths


def capture_of_frames(frames: list[tuple[int, bytes]], what: str = "packets") -> CaptureFile:
    """What a reader makes of frames of these link types: (link type, bytes). Behind the last byte of the last frame
    nothing may be read."""
    types = sorted({link_type for link_type, _ in frames})
    records = np.zeros(len(frames), RECORD)
    ends = np.cumsum([0, *(len(data) for _, data in frames)])
    records["time_ns"] = 1_700_000_000_000_000_000 + np.arange(len(frames))
    records["offset"] = ends[:-1]
    records["captured"] = [len(data) for _, data in frames]
    records["original"] = records["captured"] + 3
    records["interface"] = [types.index(link_type) for link_type, _ in frames]
    interfaces = [
        Interface(name=f"e{one}", link_type=one, snaplen=0, units_per_second=10**9, facts={"what": what})
        for one in types
    ]
    data = guarded(b"".join(data for _, data in frames))
    return CaptureFile(path="made", data=data, records=records, interfaces=interfaces)
