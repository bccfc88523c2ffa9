"""What the command line names: files, and what each says of the node and the interface where it was taken."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ...errors import TtraceError

_CAPTURE: Final = re.compile(r"\.(?:pcapng|pcap|ntar|cap|dump|dmp)\d*(?:\.(?:gz|zst|lz4))?$")
"""How captures in a folder are called."""
_NUMBER: Final = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of the command line: FILE, NODE=FILE or NODE/INTERFACE=FILE. A folder stands for the captures in it."""

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
    named = [Source.parse(f) if isinstance(f, str) else f for f in files]
    sources = [source for one in named for source in _files_of(one)]
    _refuse_twice(sources)
    return sources


def _files_of(source: Source) -> list[Source]:
    """The source, or for a folder the captures in it, in the order of the numbers in their names. Those without a byte
    are left out: a capture that was killed while it began leaves one behind."""
    folder = Path(source.path)
    if not source.path or not os.path.isdir(source.path):  # noqa: PTH112 - which a name that is too long does not fail
        return [source]
    try:
        found = [path for path in folder.iterdir() if _CAPTURE.search(path.name) and path.is_file()]
        sizes = {path: path.stat().st_size for path in found}
    except OSError as error:
        raise TtraceError(f"cannot read the folder `{source.path}`: {error.strerror}", "name the files") from error
    whole = [path for path in found if sizes[path]]
    if not whole:
        raise TtraceError(
            f"no capture in the folder `{source.path}`", "its captures end in .pcapng or .pcap: name others as files"
        )
    parts = {path: [(len(p), p) if p.isdecimal() else (0, p) for p in _NUMBER.split(path.name)] for path in whole}
    return [replace(source, path=str(path)) for path in sorted(whole, key=lambda path: parts[path])]


def _refuse_twice(sources: list[Source]) -> None:
    seen: set[str] = set()
    for source in sources:
        path = os.path.realpath(source.path)
        if path in seen and source.path != "-":
            raise TtraceError(f"`{source.path}` is given twice", "each packet in it would be counted as two")
        seen.add(path)
