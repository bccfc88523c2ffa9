"""Whether all of a shared object is there: loading one that was cut ends the process (SIGBUS)."""

import os
import struct
from typing import IO, Final

_HEADER: Final = struct.Struct("=40xQ10xHH2x")
"""Of Elf64_Ehdr (<elf.h>): e_shoff, e_shentsize, e_shnum. The table that these tell of ends the file."""


def is_whole(file: IO[bytes]) -> bool:
    """Whether the file is as long as its header says; read from where it stands, its beginning. Raises OSError."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return False
    table, size, count = _HEADER.unpack(header)
    return bool(table + size * count == os.fstat(file.fileno()).st_size)
