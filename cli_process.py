"""The process that a command line runs in: its environment, how it ends at a signal or at wrong usage,
how it imports what is heavy."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Never

import typer

from .escaping import escape
from .kernels.folders import kernel_folders
from .kernels.njit import Kernel
from .kernels.trust import LOADING_VARIABLES, PROGRAM_FOLDERS

WrongUsage: Any = typer.BadParameter.__mro__[2]
"""What click raises for wrong usage: typer has a click of its own, or uses the package, depending on its version."""


def misused(error: Any) -> Never:  # noqa: ANN401 - see WrongUsage
    """Wrong usage, as click tells it. It quotes the arguments; its own lines are those of the help."""
    if any(escape(argument) != argument for argument in sys.argv[1:]):
        error.message = escape(error.message)
    error.show()
    sys.exit(error.exit_code)


def reduce_environment() -> None:
    """As root, nothing that the environment names is run or loaded: programs that we start, or a library starts for us,
    come from fixed folders."""
    if os.geteuid() == 0:
        os.environ["PATH"] = ":".join(PROGRAM_FOLDERS)
        for name in LOADING_VARIABLES:
            os.environ.pop(name, None)


def end_tidily() -> None:
    """Signals that end a program end this one as an error does: temporary files go."""

    def end(number: int, _frame: object) -> Never:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one of them
            signal.signal(number, end)


@contextmanager
def importing(say: Callable[[str], None]) -> Iterator[None]:
    """Imports only make what stays: looking for garbage among it, now and later, takes a tenth of a short run.

    `say` is told what will make it slow.
    """
    if refused := kernel_folders().refused:
        say(f"warning: everything is compiled anew each time: {refused}")
    Kernel.announce = say
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
    from .pcapng.shrinking import tell_of_shrinking  # what is imported reads files

    tell_of_shrinking()
