"""stdin, stdout and stderr of a command line, whatever is behind them: nothing, a full disk, a reader that does not
read, a terminal that is gone.

stdout takes the result, and what cannot be written there is an error. What is said on stderr is not worth the work: it
is left out where there is no room for it, and nothing waits for it for long.
"""

import errno
import io
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO

from .errors import TtraceError
from .escaping import escape

STDERR: Final = 2
PATIENCE_S: Final = 3.0
"""How long words wait in all for room on stderr."""
_ATOMIC: Final = 4096
"""PIPE_BUF of linux/limits.h: a pipe that has room at all takes so much without blocking."""
_MODES: Final = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)
"""What stands for a stream that was closed is opened so: reading stdin and writing to stdout fail as on a closed one,
and what is said on stderr vanishes."""


class Words(io.RawIOBase):
    """What is said on a descriptor: written if there is room for it within its patience, else left out. Never fails."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._number = descriptor
        self._descriptor = _without_blocking(descriptor)
        self.patience_s = PATIENCE_S
        self._left_s = PATIENCE_S
        """Used up by waiting, and there again once something was written: what hangs delays things once."""
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def fileno(self) -> int:
        """The descriptor it was made for."""
        return self._number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._number)

    def writable(self) -> bool:
        """Always, as far as anybody need know."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer, as of RawIOBase
        """Write what there is room for."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        until = time.monotonic() + min(self._left_s, self.patience_s)
        with suppress(OSError), _not_stopped():
            while rest and self._waited(until):
                with suppress(BlockingIOError):
                    rest = rest[os.write(self._descriptor, rest[:_ATOMIC]) :]
                    self._left_s = PATIENCE_S
        return length

    def _waited(self, until: float) -> bool:
        """Wait for room; returns whether there is some."""
        begin = time.monotonic()
        events = self._poll.poll(max(0.0, until - begin) * 1000)
        self._left_s = max(0.0, self._left_s - (time.monotonic() - begin))
        return bool(events)


@contextmanager
def _not_stopped() -> Iterator[None]:
    """Words from the background stop no process, though the terminal be set so (`stty tostop`)."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _without_blocking(descriptor: int) -> int:
    """Another way to the same pipe or terminal that does not block; the one we got may be others' too."""
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return os.open(f"/proc/self/fd/{descriptor}", flags)
    return descriptor


class Result:
    """stdout: what it does not take is an error of the one kind that is told to people."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text. Raises TtraceError, BrokenPipeError."""
        with _told():
            return self._stream.write(text)

    def flush(self) -> None:
        """Hand over what was written. Raises as `write` does."""
        with _told():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has seen enough: main() ends quietly
    except OSError as error:
        what = "it is closed" if error.errno == errno.EBADF else error.strerror
        raise TtraceError(
            f"cannot write the result to stdout: {what}", "redirect it, to a file or pipe with room"
        ) from error


def usable(stdin: Any, stdout: Any, stderr: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401 - streams, or None
    """The three streams of the process, to be relied on. What else is opened gets none of their numbers."""
    for descriptor, mode in enumerate(_MODES):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, which is this one; also for the programs that are run.
            os.set_inheritable(os.open(os.devnull, mode), True)
    if stdin is None:
        stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if stdout is None:
        stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if stderr is None or stderr is sys.__stderr__:
        encoding = stderr.encoding if stderr else "utf-8"
        stderr = io.TextIOWrapper(Words(STDERR), encoding=encoding, write_through=True)
    return stdin, Result(stdout), stderr


@contextmanager
def in_passing(stderr: Any) -> Iterator[None]:  # noqa: ANN401 - whatever stands there
    """What is said meanwhile does not wait at all."""
    words = getattr(stderr, "buffer", None)
    if not isinstance(words, Words):
        yield
        return
    words.patience_s = 0.0
    try:
        yield
    finally:
        words.patience_s = PATIENCE_S


def say(text: str) -> None:
    """One line of what goes on, on stderr."""
    sys.stderr.write(f"{escape(text)}\n")
