"""What the command line names: files, and what each says of the node and the interface where it was taken."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import TtraceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of the command line: FILE, NODE=FILE or NODE/INTERFACE=FILE."""

    path: str
    node: str | None = None
    interface: str | None = None
    stem_as: str | None = None
    """What to call it where nothing else says, other than by its own name (pieces.py)."""

    piece_of: int | None = None
    """Number of the first file of a capture that another tool wrote as several (pieces.py)."""

    @classmethod
    def parse(cls, text: str) -> "Source":
        """A source from what was typed. A path that exists is a path, even with `=` in it."""
        label, sign, path = text.partition("=")
        if not sign or _exists(text):
            return cls(path=text)
        node, _, interface = label.partition("/")
        if not node or not path:
            raise TtraceError(f"`{text}` names no file", "write FILE, NODE=FILE or NODE/INTERFACE=FILE")
        return cls(path=path, node=node, interface=interface or None)

    @property
    def stem(self) -> str:
        """What its node or interface is called where nothing else says: the file's name up to the first dot."""
        own = Path(self.path).name.split(".")[0] if self.path != "-" else "stdin"
        return self.stem_as or own


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name too long to be one
        return False


def parse_sources(files: Sequence[str | Source]) -> list[Source]:
    """What the command line names. Raises TtraceError for nothing, and for what is named twice."""
    if not files:
        raise TtraceError("no capture to correlate", "name at least one file: `ttrace correlate a.pcapng b.pcapng`")
    sources = [Source.parse(f) if isinstance(f, str) else f for f in files]
    _refuse_twice(sources)
    return sources


def _refuse_twice(sources: list[Source]) -> None:
    seen: set[str] = set()
    for source in sources:
        path = os.path.realpath(source.path)
        if path in seen and source.path != "-":
            raise TtraceError(f"`{source.path}` is given twice", "each packet in it would be counted as two")
        seen.add(path)
