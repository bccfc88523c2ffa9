"""Several processes that work on parts at the same time."""

import ctypes
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Thread
from typing import Final, TypeVar

from ...errors import TtraceError
from ...kernels.memory import return_freed
from ..progress import Done

Work = TypeVar("Work")
Answer = TypeVar("Answer")

_MOST_WORKERS: Final = 8
_PR_SET_PDEATHSIG: Final = 1
"""Linux, uapi/linux/prctl.h."""


class WorkerPool:
    """So many processes, or this one alone."""

    def __init__(self, workers: int) -> None:
        self._workers = max(1, min(workers, _MOST_WORKERS))

    def run(self, task: Callable[[Work], Answer], works: Sequence[Work], done: Done) -> Iterator[Answer]:
        """Do a task with each of the works; the answers come in their order.

        Raises TtraceError when there is no memory for it.
        """
        try:
            for number, answer in enumerate(self._each(task, works)):
                done((number + 1) / len(works))
                yield answer
        except (BrokenProcessPool, MemoryError) as error:
            raise TtraceError(
                "a process that correlated a part was killed, or found no memory",
                "give it less with `--memory`, so that parts are smaller",
            ) from error

    def _each(self, task: Callable[[Work], Answer], works: Sequence[Work]) -> Iterator[Answer]:
        workers = min(self._workers, len(works))
        if workers == 1:
            yield from map(task, works)
            return
        # Forked for speed: what is imported and compiled need not be again. The tasks do not need it.
        context = multiprocessing.get_context("fork")
        end, working = context.Pipe(duplex=False)
        with end, working, ProcessPoolExecutor(workers, context, _end_with, (end, working)) as pool:
            answers = deque(pool.submit(task, work) for work in works)
            try:
                while answers:
                    yield answers.popleft().result()
            except BaseException:
                working.close()  # at once, not when they are through with their parts
                for worker in list((getattr(pool, "_processes", None) or {}).values()):
                    worker.kill()  # one that holds the interpreter would not look for that
                raise


def _end_with(end: Connection, working: Connection) -> None:
    """End this process when the one that began it ends, however it does, or says that nothing more is wanted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; it is the first one's to say what follows
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # By the kernel, whatever this process is at; where there is no such thing, or the other ended before, by the pipe.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    working.close()
    return_freed()

    def wait() -> None:
        try:
            end.recv_bytes()
        except EOFError:
            os._exit(1)

    Thread(target=wait, daemon=True).start()
