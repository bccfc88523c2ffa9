"""A part of the ring that is kept: what was recorded around something that was waited for (`--freeze-on`)."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..kernels.columns import SEEN_DROP, SEEN_MATCH, SEEN_RESET
from ..options import CaptureOptions
from ..sockets.buffers import HOLD_BACK_NS
from ..stream.own_file import sudo_user
from .files import CaptureFiles, RingFile

if TYPE_CHECKING:
    from ..session import Session
    from ..stream.feed import Feed

_WORDS: Final = {SEEN_DROP: "drop", SEEN_RESET: "reset", SEEN_MATCH: "match"}
_LONGEST: Final = 10
"""What is seen again meanwhile makes a part longer, up to so many times what comes behind: with something that never
ends, parts are to have an end."""


def seen_bits(options: CaptureOptions) -> int:
    """What the loop is to look for."""
    return (
        (SEEN_DROP if "drop" in options.freeze_on else 0)
        | (SEEN_RESET if "reset" in options.freeze_on else 0)
        | (SEEN_MATCH if options.freeze_matches else 0)
    )


@dataclass(slots=True)
class _Part:
    """A part of the ring that is being kept."""

    folder: Path
    first_ns: int
    """When it was seen for the first time."""
    until_ns: int
    """Up to when everything is to be in it."""


class Freezing:
    """Moves files out of the ring, into a folder for each part."""

    def __init__(self, options: CaptureOptions, files: CaptureFiles) -> None:
        self._options, self._files = options, files
        self._before_ns, self._after_ns = int(options.freeze_before_s * 1e9), int(options.freeze_after_s * 1e9)
        self._part: _Part | None = None
        self._made = len(files.frozen_folders()) if options.freeze_on else 0

    def is_due(self, feed: "Feed") -> bool:
        """Whether the current file has all that is to be kept, so that it can end."""
        if self._part is None or time.time_ns() < self._part.until_ns + HOLD_BACK_NS:
            return False
        return feed.written_until_ns > self._part.until_ns

    def look(self, session: "Session", feed: "Feed") -> None:
        """Begin a part where something was seen, or make the one longer that was begun."""
        if not self._options.freeze_on:
            return
        seen, first_ns, last_ns = feed.take_seen()
        if not seen:
            return
        if self._part is not None:
            longest = self._part.first_ns + _LONGEST * self._after_ns
            self._part.until_ns = max(self._part.until_ns, min(last_ns + self._after_ns, longest))
            return
        if self._made >= self._options.freeze_most:
            session.warnings.append(
                f"{self._made} parts of the ring are kept, and nothing that was seen later (--freeze-most)"
            )
            return
        self._made += 1
        why = "-".join(word for bit, word in _WORDS.items() if seen & bit)
        when = time.strftime("%Y%m%d-%H%M%S", time.localtime(first_ns // 10**9))
        folder = make_private_folder(self._files.frozen_folder(f"{when}-{why}"))
        if folder is None:
            session.warnings.append("no folder could be made for a part of the ring that is to be kept")
            return
        self._part = _Part(folder, first_ns, last_ns + self._after_ns)
        session.frozen.append(str(folder))
        self.move_whole(session)

    def move_whole(self, session: "Session") -> None:
        """Move what is whole of the part that is being kept: from now on it can be read, and is not removed."""
        if self._part is None:
            return
        wanted = [file for file in self._files.whole if file.ended_ns >= self._part.first_ns - self._before_ns]
        for file in wanted:
            self._files.whole.remove(file)
            self._move(session, file)
        if any(file.ended_ns >= self._part.until_ns for file in wanted):
            self._part = None

    def end(self, session: "Session") -> None:
        """The capture has ended, and its last file with it: that is of the part, too."""
        if self._part is not None:
            self._move(session, RingFile.of(self._files.current, 0))
            self._part = None

    def _move(self, session: "Session", file: RingFile) -> None:
        assert self._part is not None
        with suppress(FileNotFoundError):  # somebody took it away
            try:
                if file.is_there():
                    Path(file.path).rename(self._part.folder / Path(file.path).name)
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                session.warnings.append(f"`{file.path}` was not moved to `{self._part.folder}`: {error.strerror}")


def make_private_folder(path: Path) -> Path | None:
    """A folder that only its owner can read, with that name or one like it; None where none can be made."""
    for number in range(1, 100):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError:
            return None
        user, group = sudo_user()
        if user is not None:
            with suppress(OSError):
                os.chown(folder, user, -1 if group is None else group, follow_symlinks=False)
        return folder
    return None
