"""What the files of a ring are called: `OUT-00001-20261130-093000.pcapng`, so that names sort as they were written."""

import os
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from ..options import CaptureOptions

_SUFFIXES = (".pcapng", ".ntar", ".pcap", ".cap")
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of the ring's name that is there already."""

    path: str
    number: int
    bytes: int
    identity: tuple[int, int]
    """Device and inode."""
    changed_ns: int
    """When it was written for the last time."""


@dataclass(frozen=True, slots=True)
class RingNames:
    """Folder, and what stands before and behind the number."""

    folder: Path
    stem: str
    suffix: str

    @classmethod
    def of(cls, options: CaptureOptions, node: str) -> "RingNames":
        """As `-w` says: a path whose ending is kept, or a folder; without it the node's name, here."""
        output = options.output
        if not output or output.endswith("/") or Path(output).is_dir():
            return cls(Path(output or "."), node.replace("/", "_"), _SUFFIXES[0])
        path = Path(output)
        suffix = path.suffix if path.suffix in _SUFFIXES and path.stem else ""
        return cls(path.parent, path.name.removesuffix(suffix), suffix or _SUFFIXES[0])

    def path(self, number: int) -> str:
        """Of the file with this number, which is begun now."""
        return str(self.folder / f"{self.stem}-{number:0{_DIGITS}}-{time.strftime('%Y%m%d-%H%M%S')}{self.suffix}")

    def frozen(self, name: str) -> Path:
        """A folder for a part of the ring that is kept."""
        return self.folder / f"{self.stem}-frozen-{name}"

    def frozen_folders(self) -> list[Path]:
        """Those that are there."""
        begin = self.frozen("").name
        try:
            return sorted(path for path in self.folder.iterdir() if path.name.startswith(begin) and path.is_dir())
        except OSError:
            return []

    def found(self) -> list[FoundFile]:
        """The regular files of such names, by number: those of earlier runs."""
        name = re.compile(rf"{re.escape(self.stem)}-(\d{{{_DIGITS},9}})-\d{{8}}-\d{{6}}{re.escape(self.suffix)}")
        files = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    match = name.fullmatch(entry.name)
                    if match and stat.S_ISREG((status := entry.stat(follow_symlinks=False)).st_mode):
                        identity = status.st_dev, status.st_ino
                        files.append(FoundFile(entry.path, int(match[1]), status.st_size, identity, status.st_mtime_ns))
        except OSError:
            return []  # opening the first file will say what is wrong
        return sorted(files, key=lambda file: (file.number, file.path))
