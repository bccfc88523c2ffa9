"""What a daemon answers, and how that goes wrong: apart from the conversation (`local_http.py`), whose library takes
longer to import than most captures, which ask no daemon, want to wait."""

from typing import Any

Json = Any
"""What json.loads returns."""


class DaemonError(Exception):
    """The daemon did not answer, or answered what cannot be read: its text says which."""


class StoppedError(DaemonError):
    """No time is left, or a signal wants the capture to end: nothing more need be asked."""
