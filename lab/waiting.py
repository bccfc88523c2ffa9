"""The only place of the lab that waits: for a condition, with a deadline."""

import time
from collections.abc import Callable

from ..errors import TtraceError

POLL_INTERVAL_S = 0.01


def wait_until(condition: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Return as soon as `condition()` is true.

    `deadline_s` is the longest time to wait in seconds; when it has passed, a TtraceError says that `what` (a sentence
    such as "web1 listens on port 80") did not come true.
    """
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TtraceError(f"waited {deadline_s:g} s in vain until {what}")
        time.sleep(POLL_INTERVAL_S)
