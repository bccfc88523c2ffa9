"""Other programs that a capture runs, as root: found in fixed folders, with nothing of our environment and little of
our rights."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Final

from ...errors import TtraceError
from ...kernels.trust import LOADING_VARIABLES, PROGRAM_FOLDERS, untrusted
from .privileges import CAP_NET_ADMIN, CAP_NET_RAW, keep_in_thread

_ENVIRONMENT: Final = {"PATH": ":".join(PROGRAM_FOLDERS), "LC_ALL": "C", "HOME": "/"}
_running: set[subprocess.Popen[bytes]] = set()
_RIGHTS: Final = (CAP_NET_ADMIN, CAP_NET_RAW)
"""What reading rules needs."""


@cache
def find_program(name: str) -> str | None:
    """Absolute path of a program that only root, or this user, could have put there; None if there is none."""
    for folder in PROGRAM_FOLDERS:
        path = f"{folder}/{name}"
        if os.access(path, os.X_OK) and untrusted(path, {os.geteuid()}) is None:
            return path
    return None


def forget_plugins() -> None:
    """Before a library that reads such variables is used in this process."""
    for name in LOADING_VARIABLES:
        os.environ.pop(name, None)


def run_program(command: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[bytes] | None:
    """Run a program, whose name is the first word, to its end in the thread's namespace; None where it is not there.

    It gets no environment of ours, and no rights but those that reading rules needs, nor can it get others
    (no_new_privs). Raises TtraceError when it takes longer than `timeout_s`.
    """
    path = find_program(command[0])
    if path is None:
        return None
    result: list[subprocess.CompletedProcess[bytes] | BaseException] = []

    # Rights belong to a thread, and a child inherits those of the thread that starts it; so does it its namespace.
    def run() -> None:
        try:
            keep_in_thread(_RIGHTS)
            result.append(_run_to_end(command, path, timeout_s))
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    done = result[0]
    if isinstance(done, subprocess.TimeoutExpired):
        raise TtraceError(f"`{' '.join(command)}` did not end within {timeout_s:g} s") from done
    if isinstance(done, OSError):  # it went away, or cannot be executed
        return None
    if isinstance(done, BaseException):
        raise done
    return done


def _run_to_end(command: Sequence[str], path: str, timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    """Run it, in a process group of its own. Raises TimeoutExpired, and OSError where it cannot be run."""
    # `start_new_session`: what it starts itself ends with it, and Ctrl-C on a terminal is for us alone.
    process = subprocess.Popen(
        command, executable=path, env=_ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    _running.add(process)
    try:
        output, said = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(command, process.returncode, output, said)
    except subprocess.TimeoutExpired:
        _kill(process)
        # Not to be waited for: what else has its pipes open might keep them so.
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
        process.wait()
        raise
    finally:
        _running.discard(process)


def end_programs() -> None:
    """End, at once, whatever programs still run: nobody waits for them any more."""
    for process in list(_running):
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:
        return  # its number may be another's by now
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
