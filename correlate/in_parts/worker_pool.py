"""What is done part by part, on several cores, with what each part has become kept on disk in between."""

import multiprocessing
import pickle
import tempfile
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Final

from ...errors import TtraceError, no_room
from ..progress import Done

_MOST_WORKERS: Final = 8

_at_work: "Workshop | None" = None
"""What the processes that are forked below work on: they share everything that is there when they begin."""


class Workshop:
    """One object per part, on disk while it is not worked on."""

    def __init__(self, parts: int, workers: int) -> None:
        self.parts = parts
        self._workers = max(1, min(workers, parts, _MOST_WORKERS))
        self._files: list[Any] = [None] * parts
        self._task: Callable[[int, Any], tuple[Any, Any]] | None = None
        self._next: list[Any] = []
        self._open: list[Any] = []
        self.close = weakref.finalize(self, _close_all, self._open)
        """Gives its room on the disk back; whoever forgets it, or fails, does so too."""

    def run(self, task: Callable[[int, Any], tuple[Any, Any]], done: Done) -> Iterator[Any]:
        """Do something with each part; what it returns for the caller comes in the order of the parts.

        `task` gets the number of the part and what it is so far (None at first), and returns what it is from now on and
        something for the caller.
        """
        global _at_work
        try:
            self._next = []
            for _ in range(self.parts):
                self._next.append(tempfile.TemporaryFile())  # noqa: SIM115 - kept
                self._open.append(self._next[-1])
        except OSError as error:
            raise no_room(error) from error
        self._task = task
        _at_work = self
        try:
            for number, answer in enumerate(self._each()):
                done((number + 1) / self.parts)
                yield answer
        finally:
            _at_work = None
        _close_all([file for file in self._files if file is not None])
        self._files = self._next
        self._open[:] = self._next

    def _each(self) -> Iterator[Any]:
        try:
            if self._workers == 1:
                yield from map(_work, range(self.parts))
                return
            # Forked, so that nothing is copied: not the mapped files, not what the kernels are.
            with ProcessPoolExecutor(self._workers, multiprocessing.get_context("fork")) as pool:
                yield from pool.map(_work, range(self.parts))
        except (BrokenProcessPool, MemoryError) as error:
            raise TtraceError(
                "a process that correlated a part was killed, or found no memory",
                "give it less with `--memory`, so that parts are smaller",
            ) from error

    def work(self, number: int) -> Any:  # noqa: ANN401 - whatever the task has for the caller
        """Do the task with one part."""
        if self._task is None:
            raise ValueError("run() gives the task")
        became, answer = self._task(number, self.load(number))
        try:  # forked processes share the place in a file, but no two work on one part
            pickle.dump(became, self._next[number], protocol=5)
            self._next[number].flush()
        except OSError as error:
            raise no_room(error) from error
        return answer

    def load(self, number: int) -> Any:  # noqa: ANN401 - whatever the last task made of it
        """What a part is by now."""
        if self._files[number] is None:
            return None
        self._files[number].seek(0)
        return pickle.load(self._files[number])


def _close_all(files: list[Any]) -> None:
    for file in files:
        with suppress(OSError):  # what is not written yet is not wanted
            file.close()


def _work(number: int) -> Any:  # noqa: ANN401
    if _at_work is None:
        raise ValueError("only where a workshop runs")
    return _at_work.work(number)
