"""One contiguous stretch of address space that holds every ring and every netlink buffer of a capture.

So the compiled converter sees all sources as one array with offsets into it, however many there are. No numpy here:
rings are opened, and buffer, before numpy is imported.
"""

from .libc import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_NONE,
    PROT_READ_WRITE,
    mmap,
    munmap,
)

_ALIGNMENT = 4096


class Arena:
    """Reserved address space; parts of it are given to rings and buffers, in order, and never taken back."""

    def __init__(self, length_bytes: int) -> None:
        """Reserve `length_bytes`; costs no memory until a part is used."""
        self.length = -(-length_bytes // _ALIGNMENT) * _ALIGNMENT
        self.address = mmap(None, self.length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
        self._used = 0

    def map_socket(self, fd: int, length_bytes: int) -> int:
        """Map the ring of the packet socket `fd`; returns its offset in the arena. Raises OSError, MemoryError."""
        return self._place(length_bytes, MAP_SHARED, fd)

    def allocate(self, length_bytes: int) -> int:
        """Give out zeroed memory, paged in as it is used; returns its offset in the arena. Raises MemoryError."""
        return self._place(length_bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)

    def close(self) -> None:
        """Unmap everything, rings included. Arrays over the arena must not be touched afterwards."""
        if self.address:
            munmap(self.address, self.length)
            self.address = 0

    def _place(self, length_bytes: int, flags: int, fd: int) -> int:
        length = -(-length_bytes // _ALIGNMENT) * _ALIGNMENT
        offset = self._used
        if offset + length > self.length:
            raise MemoryError(f"arena of {self.length} bytes is full")
        mmap(self.address + offset, length, PROT_READ_WRITE, flags | MAP_FIXED, fd)
        self._used += length
        return offset
