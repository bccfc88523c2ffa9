"""Sizes as they are typed: `500M`, as in `truncate -s`."""

import re
from typing import Final

_SIZE: Final = re.compile(r"(\d+)(?:([KMGT])(iB|B)?)?", re.IGNORECASE)
_LEAST_FILE: Final = 1 << 16


def size(text: str) -> int:
    """Bytes from `500M`: K, M, G, T are powers of 1024, KB, MB, GB, TB of 1000. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"`{text}` is no size such as 100M or 2G")
    number, unit, kind = match.groups()
    power = "KMGT".index(unit.upper()) + 1 if unit else 0
    base: int = (1000 if kind and kind.upper() == "B" else 1024) ** power
    return int(number) * base


def file_size(text: str) -> int:
    """As `size`, of a file that can be one."""
    if (wanted := size(text)) < _LEAST_FILE:
        raise ValueError(f"`{text}` is less than a file needs: 64K at least")
    return wanted
