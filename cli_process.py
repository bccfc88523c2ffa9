"""The process that a command line runs in: its environment, how it ends at a signal or at wrong usage."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .cli_machine import in_plain_words
from .cli_streams import usable
from .errors import TtraceError, UsageError
from .escaping import escape, guard
from .kernels.trust import LOADING_VARIABLES, PROGRAM_FOLDERS

if TYPE_CHECKING:
    from typing import Never


def run_to_exit(run: Callable[[], int], wrong_usage: Any, misused: Callable[[Any], None]) -> "Never":  # noqa: ANN401
    """Run a command line and end the process: a TtraceError becomes `error: …`, `hint: …` and exit code 1 (2 for wrong
    usage).

    Whatever is written meanwhile, by whomever, is escaped (escaping.py). `run` returns the exit code, and raises
    `wrong_usage` for what cannot be understood, of which `misused` tells.
    """
    sys.stdin, sys.stdout, sys.stderr = usable(sys.stdin, sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = guard(sys.stdout), guard(sys.stderr)
    reduce_environment()
    try:
        status = run()
        sys.stdout.flush()
        sys.exit(status)
    except TtraceError as error:
        _fail(error)
    except wrong_usage as error:
        misused(error)
    except KeyboardInterrupt:  # before or behind what click sees of it
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # `ttrace correlate … | head`: the reader has seen enough. Nothing more can be written, not even at exit.
        sys.stderr.close()
    except Exception as error:  # noqa: BLE001 - what is not known is raised again
        _fail(in_plain_words(error))
    sys.exit(1)


def _fail(error: TtraceError) -> "Never":
    sys.stderr.write(f"error: {escape(error.message)}\n")
    if error.hint:
        sys.stderr.write(f"hint: {escape(error.hint)}\n")
    with suppress(OSError):  # what stdout could not take cannot be said again at exit
        sys.stdout.close()
    sys.exit(2 if isinstance(error, UsageError) else 1)


def reduce_environment() -> None:
    """As root, nothing that the environment names is run or loaded: programs that we start, or a library starts for us,
    come from fixed folders."""
    if os.geteuid() == 0:
        os.environ["PATH"] = ":".join(PROGRAM_FOLDERS)
        for name in LOADING_VARIABLES:
            os.environ.pop(name, None)


def end_tidily() -> None:
    """Signals that end a program end this one as an error does: temporary files go."""

    def end(number: int, _frame: object) -> "Never":
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one of them
            signal.signal(number, end)
