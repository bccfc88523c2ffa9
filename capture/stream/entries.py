"""The kernels as Python calls them (`kernels/entry.py`), whether they were compiled ahead or here.

A kernel checks nothing of what it is given: with another address it would read there, or end the process. So that is
checked here: what is no memory of a loop, or no number of 64 bits, is an error.
"""

import ctypes
from collections.abc import Callable, Mapping

from .loop_memory import LoopMemory

Entry = Callable[..., int]
"""Takes the address of what the kernels are given, then numbers."""


class Kernels:
    """What the loop can be asked to do. Each is said more of where it is compiled."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        """`entries`: by their names in `kernels/entry.py`."""
        self._entries = entries

    def record(self, memory: LoopMemory, newest_ns: int, timeout_ns: int) -> None:
        """Receive and write for so long, or until Python has something to do; nothing later than `newest_ns`."""
        self._call("record", memory, newest_ns, timeout_ns)

    def write_until(self, memory: LoopMemory, horizon_ns: int, batches: int) -> int:
        """Write what is not later, so many batches at most; returns the time of the oldest that is left."""
        return self._call("write_until", memory, horizon_ns, batches)

    def end_batch(self, memory: LoopMemory) -> None:
        """The batch is in the file."""
        self._call("end_batch", memory)

    def is_urgent(self, memory: LoopMemory, now_ns: int) -> bool:
        """Whether all has to be written at once: a buffer is half full, or the clock was set back."""
        return bool(self._call("is_urgent", memory, now_ns))

    def settled_until(self, memory: LoopMemory, now_ns: int) -> int:
        """Until when every packet is handed over by the kernel."""
        return self._call("settled_until", memory, now_ns)

    def receive_all(self, memory: LoopMemory) -> None:
        """Receive what waits in every socket."""
        self._call("receive_all", memory)

    def count_waiting(self, memory: LoopMemory, inbox: int, *, shift: int = 0, only: int = -1) -> int:
        """How many blocks wait in an inbox, of the interface `only` or of all; their interfaces become `shift` more."""
        if not 0 <= inbox < len(memory.inboxes):
            raise IndexError(f"there is no inbox {inbox}")
        return self._call("count_waiting", memory, inbox, shift, only)

    def _call(self, name: str, memory: LoopMemory, *numbers: int) -> int:
        if type(memory) is not LoopMemory:
            raise TypeError(f"{name} takes a LoopMemory, not {type(memory).__name__}")
        for number in numbers:
            if type(number) is not int:
                raise TypeError(f"{name} takes whole numbers, not {type(number).__name__}")
            if not -(1 << 63) <= number < 1 << 63:
                raise OverflowError(f"{name} takes numbers of 64 bits, not {number}")
        return int(self._entries[name](ctypes.addressof(memory.given), *numbers))
