"""Ends a capture cleanly on a signal: the handler notes it and wakes the loop, so a second Ctrl-C harms nothing.

However a capture hangs, in Python, in the kernel or in a library, it ends within `bound_s` after the first signal: then
a thread breaks it off.
"""

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from .machine.privileges import follow_process

if TYPE_CHECKING:
    from typing import Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_BOUND_S: Final = 15.0
_SNAPSHOTS_S: Final = 3.0
_NAMESPACE_S: Final = 0.1
"""More for each namespace: reading one takes 0.02 s on a processor of its own."""
_RESTORE_S: Final = 2.0
_FOLLOW_MS: Final = 1_000
"""How soon the thread that waits here gives up the rights that the process has given up."""


class StoppedError(BaseException):
    """A signal came before there was anything to record. Not an Exception: nobody is to take it for a failure of his
    own and go on."""


def bound_s(namespaces: int) -> float:
    """How long a capture of so many namespaces may take to end after a signal."""
    return _BOUND_S + namespaces * _NAMESPACE_S


def snapshots_bound_s(namespaces: int) -> float:
    """How long it waits for its last snapshots: what hangs is left out then."""
    return _SNAPSHOTS_S + namespaces * _NAMESPACE_S


class StopSignals:
    """While entered, SIGINT, SIGTERM, SIGHUP and SIGQUIT set `requested` and make `fd` readable."""

    def __init__(self) -> None:
        self.requested = False
        self.fd = -1
        self.bound_s = bound_s(1)
        """How long after a signal the process ends in any case; meanwhile it ends by itself."""
        self.break_off: Callable[[], object] = lambda: None
        """What has to be put back when it does not."""
        self._write_fd = -1
        self._raises = False
        self._is_over = threading.Event()
        self._previous: list[tuple[int, Callable[[int, FrameType | None], Any] | int | None]] = []
        self._previous_wakeup = -1

    def __enter__(self) -> "Self":
        self.fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Python delivers signals to its main thread only; elsewhere the duration or the count ends a capture.
        if threading.current_thread() is threading.main_thread():
            self._previous_wakeup = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
            for number in _SIGNALS:
                # nohup stays ignored; SIGINT not, which a script's shell ignores for what it starts in the background.
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous.append((number, signal.signal(number, self._note)))
        self._watchdog = threading.Thread(target=self._watch, daemon=True)
        self._watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous:
            signal.signal(number, handler)
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._previous_wakeup)
        self._is_over.set()
        os.write(self._write_fd, b"\0")
        self._watchdog.join()
        os.close(self.fd)
        os.close(self._write_fd)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Meanwhile a signal also raises StoppedError, wherever the main thread is: for what may take long while
        nothing is recorded yet."""
        self._raises = True
        try:
            if self.requested:
                raise StoppedError
            yield
        finally:
            self._raises = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.requested = True
        if self._raises:
            self._raises = False
            raise StoppedError

    def _watch(self) -> None:
        """Wait for a signal, and then for the end."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while not poll.poll(_FOLLOW_MS):
            follow_process()
        if not self._is_over.wait(self.bound_s):
            # It may hang in what this does as well.
            restoring = threading.Thread(target=self.break_off, daemon=True)
            restoring.start()
            restoring.join(_RESTORE_S)
            _say(f"error: the capture did not end within {self.bound_s:g} s after a signal and was broken off\n")
            os._exit(1)


def _say(text: str) -> None:
    """Write to stderr if it has room; nothing else is sure to work."""
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    if any(events & select.POLLOUT for _, events in poll.poll(0)):
        os.write(2, text.encode())
