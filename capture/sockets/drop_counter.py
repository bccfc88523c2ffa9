"""How many packets the kernel dropped, by reason and function, where no BPF program may say which packets they were.

perf tells of each event at the tracepoint skb:kfree_skb, on each processor, of the whole machine: it knows no
namespaces. What it tells of is counted here, by calls that go through a block of records at once; what came when there
was no more room is in the count of the event itself, without a reason.
"""

import errno
import os
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import compress, count, repeat
from operator import ne
from typing import Final

from ..machine.btf import Btf
from ..machine.kernel_functions import KernelFunctions
from ..machine.perf import RAW_DATA, RECORD_HEADER_BYTES, RECORD_SAMPLE, TracepointEvent, online_cpus
from ..machine.tracefs import Tracepoint, read_tracepoint
from .drop_types import TRACEPOINT, name_entries

Counts = dict[str, dict[str, int]]
"""Reason (the kernel's name, without its prefix) to function to number. An empty reason: what could only be counted; an
empty function: one that the kernel does not show."""

_PAGES: Final = 64
"""Of memory for each processor: 4,600 drops, between two looks 0.25 s apart at most."""
_NO_DROPS: Final = ("NOT_DROPPED_YET", "CONSUMED", "PACKET_SOCK_ERROR")
"""As for the BPF program (`drop_program.py`)."""
_UNSAID: Final = "NOT_SPECIFIED"
"""Here without a packet and its namespace: whatever any kind of socket frees would be counted."""
_NUMBERS: Final = {4: "I", 8: "Q"}


class DropCounter:
    """Drops of the whole machine are counted from now on, until `detach`."""

    def __init__(self) -> None:
        """Raises OSError where the kernel refuses, KeyError or ValueError where it does not describe what is needed."""
        tracepoint = read_tracepoint("skb", TRACEPOINT)
        self._reasons = _reasons(tracepoint)
        self._samples = Samples(tracepoint)
        self._told: Counter[tuple[int, int]] = Counter()
        """By (address, reason): of those that were told of."""
        self._untold = 0
        """How many more there were."""
        self._forgotten = 0
        """How many there were before."""
        self._events: list[TracepointEvent] = []
        self._functions = KernelFunctions()
        try:
            for cpu in online_cpus():
                self._open(tracepoint, cpu)
            if not self._events:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            for event in self._events:
                event.enable()
        except (OSError, ValueError):
            self.close()
            raise

    def _open(self, tracepoint: Tracepoint, cpu: int) -> None:
        wanted = _filter(self._reasons)
        try:
            self._events.append(TracepointEvent(tracepoint.id, cpu, filter_text=wanted, pages=_PAGES))
        except OSError as error:
            if error.errno != errno.ENODEV:  # that processor was switched off just now
                raise

    def detach(self) -> None:
        """Count no more. May be called twice."""
        for event in self._events:
            with suppress(OSError):
                event.disable()
        self.look()

    def look(self) -> None:
        """Count what waits, and make room."""
        # First how many there were: what comes meanwhile is told of as well, so no more are missing than these.
        counted = sum(event.count() for event in self._events)
        for event in self._events:
            for samples in self._samples.runs(event.take()):
                self._told.update(samples)
        self._untold = max(self._untold, counted - self._forgotten - self._told.total())

    def forget(self) -> None:
        """Begin anew with nothing: the capture begins only now."""
        self.look()
        self._forgotten += self._told.total() + self._untold
        self._told.clear()
        self._untold = 0

    def counts(self) -> Counts:
        """How many there were until now."""
        self.look()
        functions = self._functions.named({address for address, _ in self._told})
        found: Counts = {}
        for (address, reason), number in sorted(self._told.items(), key=lambda item: -item[1]):
            of_reason = found.setdefault(self._reasons.get(reason) or f"reason {reason}", {})
            of_reason[functions[address]] = of_reason.get(functions[address], 0) + number
        return found | ({"": {"": self._untold}} if self._untold else {})

    def close(self) -> None:
        """Give everything back."""
        events, self._events = self._events, []
        for event in events:
            event.close()
        self._functions.close()


def _reasons(tracepoint: Tracepoint) -> dict[int, str]:
    """Number to name: as the tracepoint prints it, or as the kernel describes its types. Raises KeyError."""
    reasons = tracepoint.symbols
    if _UNSAID not in reasons.values():
        with suppress(OSError, KeyError, ValueError):
            described = name_entries(Btf.of_kernel().enum("skb_drop_reason"))
            reasons = {number: name.decode() for number, name in described}
    if _UNSAID not in reasons.values():
        raise KeyError("skb_drop_reason")
    return reasons


def _filter(reasons: dict[int, str]) -> str:
    """For the kernel to pass over what tells nothing: what is below the first reason says that nothing was dropped."""
    first = next(number for number, name in reasons.items() if name == _UNSAID)
    others = sorted(number for number, name in reasons.items() if name in _NO_DROPS and number > first)
    return " && ".join([f"reason > {first}", *(f"reason != {number}" for number in others)])


class Samples:
    """Reads records of the tracepoint, without going through them one by one."""

    def __init__(self, tracepoint: Tracepoint) -> None:
        """Raises KeyError, ValueError for a tracepoint that does not tell what is needed."""
        self._fields = sorted((RAW_DATA + tracepoint.fields[name][0], name) for name in ("location", "reason"))
        if [name for _, name in self._fields] != ["location", "reason"]:
            raise ValueError("its fields are in another order")
        self._format = "="
        at = 0
        for offset, name in self._fields:
            size = tracepoint.fields[name][1]
            if size not in _NUMBERS:
                raise ValueError(f"its {name} has {size} bytes")
            self._format += f"{offset - at}x{_NUMBERS[size]}"
            at = offset + size
        self._end = at

    def runs(self, records: bytes) -> Iterator[Iterable[tuple[int, int]]]:
        """(Address, reason) of each sample in whole records, in runs of samples: one, unless some were lost."""
        words = memoryview(records).cast("I")
        at = 0
        while at < len(records):
            size = words[at // 4 + 1] >> 16
            if size < RECORD_HEADER_BYTES or size % RECORD_HEADER_BYTES:
                return  # no record of perf: nothing behind it can be found
            if words[at // 4] != RECORD_SAMPLE or size < self._end:
                at += size  # it says how many were lost, or that sampling was held up
                continue
            # All samples are of one size, so the first that is none is the first other record.
            kinds = words[at // 4 :: size // 4]
            length = next(compress(count(), map(ne, kinds, repeat(RECORD_SAMPLE))), len(kinds)) * size
            yield struct.iter_unpack(f"{self._format}{size - self._end}x", records[at : at + length])
            at += length
