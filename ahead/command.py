"""What the command lines of this room have in common."""

import sys
from collections.abc import Callable

from ..errors import TtraceError


def say(text: str) -> None:
    """Write a line for whoever waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run_or_exit(work: Callable[[], object]) -> None:
    """Do the work; a TtraceError, or a place that cannot be used, ends the process with its lines and exit code 1."""
    try:
        work()
    except TtraceError as error:
        say(f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))
        sys.exit(1)
    except OSError as error:
        where = f"`{error.filename}`: " if error.filename else ""
        say(f"error: {where}{error.strerror or error}\nhint: make room there, or name another place")
        sys.exit(1)
