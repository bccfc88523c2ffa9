"""One contiguous stretch of address space that holds every ring and every netlink buffer of a capture.

So the compiled loop sees all sources as one array with offsets into it, however many there are.
"""

from mmap import PAGESIZE

from ..machine.libc import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    PROT_NONE,
    PROT_READ,
    PROT_READ_WRITE,
    mmap,
    munmap,
)

_ALIGNMENT = PAGESIZE


class Arena:
    """Reserved address space: equal slots for rings, which come and go, then room for buffers, which stay."""

    def __init__(self, *, slots: int = 0, slot_bytes: int = 0, buffer_bytes: int = 0) -> None:
        """Reserve `slots` of `slot_bytes` each, and `buffer_bytes`; costs no memory until a part is used."""
        self._slot_bytes = _aligned(slot_bytes)
        self._free = [slot * self._slot_bytes for slot in range(slots)]
        self._used = slots * self._slot_bytes
        self.length = self._used + _aligned(buffer_bytes)
        self.address = mmap(None, self.length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

    @property
    def free_slots(self) -> int:
        """Rings that can still be mapped."""
        return len(self._free)

    def map_socket(self, fd: int, length_bytes: int) -> int:
        """Map the ring of the packet socket `fd` into a free slot; returns its offset. Raises OSError, MemoryError."""
        if not self._free or length_bytes > self._slot_bytes:
            raise MemoryError(f"no slot for a ring of {length_bytes} bytes")
        offset = self._free.pop(0)
        try:
            mmap(self.address + offset, length_bytes, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd)
        except OSError:
            self.free_slot(offset)
            raise
        return offset

    def free_slot(self, offset: int) -> None:
        """Unmap the ring at `offset`: only then does the kernel free its memory. Nothing may read there any more."""
        # Mapped over, not unmapped: the hole would be given to the next mmap of anyone in this process.
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
        mmap(self.address + offset, self._slot_bytes, PROT_NONE, flags)
        self._free.append(offset)

    def allocate(self, length_bytes: int) -> int:
        """Give out zeroed memory, paged in as it is used; returns its offset in the arena. Raises MemoryError."""
        length = _aligned(length_bytes)
        offset = self._used
        if offset + length > self.length:
            raise MemoryError(f"arena of {self.length} bytes is full")
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
        mmap(self.address + offset, length, PROT_READ_WRITE, flags)
        self._used += length
        return offset

    def map_ring_buffer(self, fd: int, header_bytes: int, length_bytes: int) -> int:
        """Map a BPF ring buffer, of which only the first page may be written; returns its offset. Raises OSError."""
        offset = self.allocate(header_bytes + length_bytes)
        page = header_bytes // 2
        mmap(self.address + offset, page, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd)
        mmap(self.address + offset + page, page + length_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, page)
        return offset

    def close(self) -> None:
        """Unmap everything, rings included. Arrays over the arena must not be touched afterwards."""
        if self.address:
            munmap(self.address, self.length)
            self.address = 0


def _aligned(length_bytes: int) -> int:
    return -(-length_bytes // _ALIGNMENT) * _ALIGNMENT
