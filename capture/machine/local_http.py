"""Questions to a daemon on its unix socket that end, whatever it answers: bounds of time and of size, in all."""

import http.client
import json
import select
import socket
import time
from http import HTTPStatus
from typing import Any, Final

from .daemon import DaemonError, Json, StoppedError

IDLE_S: Final = 2.0
"""How long to wait for the next byte."""
TOTAL_S: Final = 6.0
"""For all questions of one conversation: a capture waits for their answers."""
BODY_BYTES: Final = 1 << 23
"""Of one answer. A list of a thousand containers has 1.5 MB."""
TOTAL_BYTES: Final = 1 << 26
_QUOTED: Final = 200
"""Characters of a daemon's own words that an error repeats."""


class _BoundedSocket(socket.socket):
    """Receives up to a time and an amount, and only until `stop_fd` is readable."""

    def __init__(self, stop_fd: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.settimeout(IDLE_S)
        self.bounds: _Bounds | None = None
        self._poll = select.poll()
        self._poll.register(self, select.POLLIN)
        if stop_fd >= 0:
            self._poll.register(stop_fd, select.POLLIN)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: ANN401 - as of socket
        """As of a socket: http.client receives everything through this."""
        bounds = self.bounds
        assert bounds is not None
        ready = [fd for fd, _ in self._poll.poll(1000 * min(IDLE_S, bounds.left_s()))]
        if ready and self.fileno() not in ready:
            raise StoppedError("the capture is to end")
        if not ready:
            bounds.left_s()
            raise DaemonError(f"no answer within {IDLE_S:g} s")
        count = super().recv_into(buffer, nbytes, flags)
        bounds.take(count)
        return count


class _Bounds:
    """What is left of a conversation."""

    def __init__(self) -> None:
        self._deadline_s = time.monotonic() + TOTAL_S
        self._left_bytes = TOTAL_BYTES

    def left_s(self) -> float:
        left = self._deadline_s - time.monotonic()
        if left <= 0:
            raise StoppedError(f"no end of its answers within {TOTAL_S:g} s")
        return left

    def take(self, count: int) -> None:
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise StoppedError(f"more than {TOTAL_BYTES >> 20} MiB of answers")


class Conversation(http.client.HTTPConnection):
    """HTTP over a unix socket; the bounds hold for all that is asked, however often it is connected anew."""

    def __init__(self, path: str, *, stop_fd: int = -1) -> None:
        """`path` of the socket; a question ends when `stop_fd` is readable, if there is one."""
        super().__init__("localhost")
        self._path = path
        self._stop_fd = stop_fd
        self._bounds = _Bounds()

    def connect(self) -> None:
        """Connect to the socket instead of to a host. Raises OSError."""
        bounded = _BoundedSocket(self._stop_fd)
        try:
            bounded.connect(self._path)
        except OSError:
            bounded.close()
            raise
        bounded.bounds = self._bounds
        self.sock = bounded

    def ask(self, path: str) -> Json:
        """The JSON answer to a GET; None for 404. Raises DaemonError, and OSError where nobody listens."""
        try:
            if self.sock is None:
                self.connect()
                return self._ask_once(path)
            try:
                return self._ask_once(path)
            except (http.client.RemoteDisconnected, BrokenPipeError):  # closed between two questions
                self.close()
                self.connect()
                return self._ask_once(path)
        except StoppedError:
            raise
        except (OSError, http.client.HTTPException, ValueError, DaemonError) as error:
            # What is left of this answer would be taken for that to the next question.
            self.close()
            words = " ".join(str(error).split()) or type(error).__name__
            raise DaemonError(words[:_QUOTED]) from error

    def _ask_once(self, path: str) -> Json:
        self.request("GET", path)
        return _answer(self.getresponse(), path)


def _answer(response: http.client.HTTPResponse, path: str) -> Json:
    body = response.read(BODY_BYTES + 1)
    if len(body) > BODY_BYTES:
        raise DaemonError(f"{path} answered with more than {BODY_BYTES >> 20} MiB")
    if response.status == HTTPStatus.NOT_FOUND:
        return None
    if response.status != HTTPStatus.OK:
        raise DaemonError(f"{path} answered {response.status} {response.reason}")
    if response.length:
        raise DaemonError(f"{path} answered with less than it promised")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DaemonError(f"{path} answered what is no JSON") from error
    if answer is None:
        raise DaemonError(f"{path} answered null")
    return answer
