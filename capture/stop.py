"""Ends a capture cleanly on a signal: the handler notes it and wakes the loop, so a second Ctrl-C harms nothing."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, SIGINT, SIGTERM and SIGHUP set `requested` and make `fd` readable."""

    def __init__(self) -> None:
        self.requested = False
        self.fd = -1
        self._write_fd = -1
        self._previous: list[tuple[int, Callable[[int, FrameType | None], Any] | int | None]] = []
        self._previous_wakeup = -1

    def __enter__(self) -> Self:
        self.fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Python delivers signals to its main thread only; elsewhere the duration or the count ends a capture.
        if threading.current_thread() is threading.main_thread():
            self._previous_wakeup = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
            for number in _SIGNALS:
                # nohup stays ignored; SIGINT not, which a script's shell ignores for what it starts in the background.
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous.append((number, signal.signal(number, self._note)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous:
            signal.signal(number, handler)
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._previous_wakeup)
        os.close(self.fd)
        os.close(self._write_fd)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.requested = True
