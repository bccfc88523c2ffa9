"""A poor machine: what there must be for a command to run, and what failures of the machine are called."""

import errno
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from .errors import MACHINE_HINTS, TtraceError

_LEAST_ADDRESS_SPACE: Final = 768 << 20
"""Bytes that the libraries, compiled kernels and the stacks of threads take of the address space before anything is
read. With half of it they are loaded, and die in C++ where Python cannot catch it (measured with `ulimit -v`)."""
_LEAST_DESCRIPTORS: Final = 16
"""With 5 a capture is read, with 16 it is correlated in parts."""


def begin() -> None:
    """For every command. Raises TtraceError where none can run."""
    try:
        Path.cwd()
    except OSError as error:
        raise TtraceError(
            f"the working directory cannot be used: {error.strerror}", "it was deleted? Change to another, as by `cd /`"
        ) from error


def begin_reading() -> None:
    """For commands that read captures: use the descriptors that may be used. Raises TtraceError where the libraries
    would not even load."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if 0 <= hard < _LEAST_DESCRIPTORS:
        raise TtraceError(f"only {hard} files may be open (`ulimit -n`)", f"ttrace needs {_LEAST_DESCRIPTORS}")
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= space < _LEAST_ADDRESS_SPACE:
        raise TtraceError(
            f"only {space >> 20} MiB of address space may be used (`ulimit -v`)",
            f"ttrace needs {_LEAST_ADDRESS_SPACE >> 20} MiB, and what the captures take: `ulimit -v unlimited`",
        )


def in_plain_words(error: Exception) -> TtraceError:
    """What the machine could not give, whoever asked for it. What is a fault of ttrace is raised again; Ctrl-C ends the
    process: whoever typed it knows."""
    if type(error).__name__ == "Abort":  # click's; which click, depends on the version of typer
        sys.exit(128 + signal.SIGINT)
    if isinstance(error, MemoryError):
        return TtraceError(
            "not enough memory", "give it more (`ulimit -v`, the control group), or fewer captures at once"
        )
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return TtraceError("no thread can be started", MACHINE_HINTS[errno.EAGAIN])
    if isinstance(error, OSError) and error.errno in MACHINE_HINTS:
        of_file = f"`{error.filename}`: " if error.filename else ""
        return TtraceError(f"{of_file}{error.strerror}", MACHINE_HINTS[error.errno])
    raise error
