"""The one error of ttrace that is meant for people: what went wrong, where, and what to do about it."""

import errno
import os
import tempfile
from typing import Final

MACHINE_HINTS: Final = {
    errno.EMFILE: "raise the limit with `ulimit -n`, or name fewer files at once",
    errno.ENFILE: "the machine has no more open files; end something, or raise the sysctl fs.file-max",
    errno.ENOMEM: "raise the limit with `ulimit -v`, or name fewer or smaller files",
    errno.EAGAIN: "raise the limit with `ulimit -u`",
    errno.ENOSPC: "set TMPDIR to a folder with more room",
    errno.EDQUOT: "set TMPDIR to a folder with more room",
    errno.EFBIG: "raise the limit with `ulimit -f`",
    errno.EIO: "the disk gives back no data; copy the file elsewhere, and look at `dmesg`",
}
"""What to do when the machine has no more of something, or fails: by errno."""


class TtraceError(Exception):
    """A failure the user can act on; `cli.main()` prints it as `error: …` and `hint: …` and exits with 1.

    `message` names the file, interface or namespace and what is wrong with it; `hint` says what to do.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(TtraceError):
    """What was asked for makes no sense, whatever the machine or the files are like: exit code 2."""


def no_room(error: OSError) -> TtraceError:
    """What to do about a temporary file that cannot be written."""
    folder = os.environ.get("TMPDIR") or tempfile.gettempdir()
    return TtraceError(
        f"no room in `{folder}` to correlate out of memory: {error.strerror or error}",
        "set TMPDIR to a folder with more room, or give it the memory with `--memory`",
    )
