"""Events of the kernel's tracepoints, counted and told by perf: no program in the kernel, and nothing stays behind.

Sources: man 2 perf_event_open, linux/perf_event.h.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import struct
from pathlib import Path
from typing import Final

from .libc import LIBC

_CALL_NUMBER: Final = {"x86_64": 298, "aarch64": 241}  # __NR_perf_event_open
_ONLINE: Final = Path("/sys/devices/system/cpu/online")

_ATTRIBUTES: Final = struct.Struct("=IIQQQQQIIQ")
"""struct perf_event_attr in its first version, which every kernel takes: type, size, config, sample_period,
sample_type, read_format, flags, wakeup_events, bp_type, bp_addr."""
_TYPE_TRACEPOINT: Final = 2
_SAMPLE_RAW: Final = 1 << 10
_DISABLED: Final = 1  # the first of the flags
_ALL_PROCESSES: Final = -1
_NO_GROUP: Final = -1
_CLOSE_ON_EXEC: Final = 8  # PERF_FLAG_FD_CLOEXEC
_IOC_ENABLE: Final = 0x2400
_IOC_DISABLE: Final = 0x2401
_IOC_SET_FILTER: Final = 0x40082406  # of 64-bit machines

_DATA_HEAD, _DATA_TAIL, _DATA_OFFSET, _DATA_BYTES = 1024, 1032, 1040, 1048
"""struct perf_event_mmap_page: where its 64-bit numbers stand."""
RECORD_HEADER_BYTES: Final = 8
"""struct perf_event_header: type and size in bytes of the record, 32 and 16 bits, at 0 and 6."""
RECORD_SAMPLE: Final = 9
RAW_DATA: Final = RECORD_HEADER_BYTES + 4
"""Where what a tracepoint tells begins in the record of a sample, behind its length."""

_NUMBER: Final = struct.Struct("=Q")


def online_cpus() -> list[int]:
    """Numbers of the processors. Raises OSError, ValueError."""
    ranges = (part.partition("-") for part in _ONLINE.read_text().strip().split(","))
    return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]


class TracepointEvent:
    """What passes a tracepoint on one processor, in whatever process, and fits a filter: counted and told from `enable`
    on, until `close`."""

    def __init__(self, tracepoint: int, cpu: int, *, filter_text: str, pages: int) -> None:
        """`tracepoint`: its number; `filter_text`: of its fields (`reason > 2`); `pages`: a power of two, of memory for
        what waits to be taken. Raises OSError."""
        self._event = _open(tracepoint, cpu)
        try:
            fcntl.ioctl(self._event, _IOC_SET_FILTER, filter_text.encode() + b"\0")
            self._memory = mmap.mmap(self._event, (1 + pages) * mmap.PAGESIZE)
        except (OSError, ValueError):
            os.close(self._event)
            raise

    def enable(self) -> None:
        """Count from now on. Raises OSError."""
        fcntl.ioctl(self._event, _IOC_ENABLE, 0)

    def disable(self) -> None:
        """Count no more. Raises OSError."""
        fcntl.ioctl(self._event, _IOC_DISABLE, 0)

    def count(self) -> int:
        """How many there were, also of those that found no room to be told."""
        return int(_NUMBER.unpack(os.read(self._event, _NUMBER.size))[0])

    def take(self) -> bytes:
        """The records that wait, one after the other: whole ones, each of a multiple of 8 bytes."""
        memory = self._memory
        head, tail, offset, length = (
            _NUMBER.unpack_from(memory, at)[0] for at in (_DATA_HEAD, _DATA_TAIL, _DATA_OFFSET, _DATA_BYTES)
        )
        begin, waiting = offset + tail % length, head - tail
        first = min(waiting, offset + length - begin)
        records = memory[begin : begin + first] + memory[offset : offset + waiting - first]
        _NUMBER.pack_into(memory, _DATA_TAIL, head)
        return records

    def close(self) -> None:
        """Give it back."""
        self._memory.close()
        os.close(self._event)


def _open(tracepoint: int, cpu: int) -> int:
    number = _CALL_NUMBER.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    attributes = _ATTRIBUTES.pack(
        _TYPE_TRACEPOINT, _ATTRIBUTES.size, tracepoint, 1, _SAMPLE_RAW, 0, _DISABLED, 0, 0, 0
    )  # fmt: skip
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    event = LIBC.syscall(ctypes.c_long(number), buffer, _ALL_PROCESSES, cpu, _NO_GROUP, ctypes.c_ulong(_CLOSE_ON_EXEC))
    if event < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(event)
