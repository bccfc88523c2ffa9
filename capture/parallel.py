"""Work for threads: what mostly waits for the kernel or for another program, and may hang, while the loop goes on.

Threads are daemons: one that hangs keeps nobody from ending.
"""

import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from .machine.privileges import follow_process

_THREADS = 32
"""Most of them wait, for the same grace periods of the kernel (synchronize_net)."""

_MEANWHILE_S = 0.02
_PATIENCE_S = 2.0

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class Result:
    """What a task made, or the exception that it ended with."""

    def __init__(self, task: Callable[[], Any]) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        try:
            self._value = task()
        except BaseException as error:  # noqa: BLE001 - raised again by `get`, in the thread that wants the value
            self._error = error

    def get(self) -> Any:  # noqa: ANN401 - of whatever type the task returns
        """The value; raises what the task raised."""
        if self._error is not None:
            raise self._error
        return self._value


_Task = tuple[Callable[[], Any], Callable[[Result], None]]
_Done = tuple[Result, Callable[[Result], None]]


class Workers:
    """Some threads that do tasks; their results are seen to by who asks, in his own thread."""

    def __init__(self, most: int = _THREADS) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Readable when there is a result."""
        self.pending = 0
        """Tasks whose result was not seen to."""
        self._most = most
        self._threads = 0
        self._left_behind = False
        """Threads that hang may yet write to the descriptor."""
        self._telling = threading.Lock()
        """Held from when a result is there until that is told: nobody closes the descriptor between."""
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._done: SimpleQueue[_Done] = SimpleQueue()

    def submit(self, task: Callable[[], Any], then: Callable[[Result], None]) -> None:
        """Have a thread do `task`; `see_to_results` calls `then` with what came of it."""
        self.pending += 1
        self._tasks.put((task, then))
        if self._threads < min(self._most, self.pending):
            self._threads += 1
            threading.Thread(target=self._work, args=(self._tasks, self._done), daemon=True).start()

    def see_to_results(self, timeout_s: float = 0.0) -> None:
        """Wait for a result, for so long at most, and see to all that there are. Raises what `then` raises."""
        poll = select.poll()  # not select(), which takes no descriptor above 1,023
        poll.register(self.fd, select.POLLIN)
        if poll.poll(timeout_s * 1e3):
            os.eventfd_read(self.fd)
        while True:
            try:
                result, then = self._done.get_nowait()
            except Empty:
                return
            self.pending -= 1
            then(result)

    def wait(self, timeout_s: float) -> None:
        """Wait until all is done, but no longer; nobody sees to the results."""
        deadline = time.monotonic() + timeout_s
        while self._done.qsize() < self.pending and time.monotonic() < deadline:
            time.sleep(_MEANWHILE_S)

    def abandon(self) -> None:
        """Nobody wants the results of what is pending any more: its threads are left to it, and others take over."""
        self._left_behind = True
        self._end_threads()
        self._tasks, self._done = SimpleQueue(), SimpleQueue()
        self.pending = self._threads = 0

    def close(self) -> None:
        """Let the threads end. One that hangs is left, and the descriptor with it."""
        self._end_threads()
        with self._telling:
            if not self.pending and not self._left_behind:
                os.close(self.fd)

    def _end_threads(self) -> None:
        for _ in range(self._threads):
            self._tasks.put(None)

    def _work(self, tasks: "SimpleQueue[_Task | None]", done: "SimpleQueue[_Done]") -> None:
        while (order := tasks.get()) is not None:
            task, then = order
            follow_process()  # in what rights it gave up meanwhile
            result = Result(task)
            with self._telling:
                done.put((result, then))
                os.eventfd_write(self.fd, 1)


def in_parallel(
    function: Callable[[_Item], _Made], items: Iterable[_Item], *, meanwhile: Callable[[], None] | None = None
) -> list[_Made]:
    """As `[function(item) for item in items]`, at once in several threads; calls `meanwhile` again and again.

    Raises the error of the first that has one, once all are done.
    """
    workers = Workers()
    results: dict[int, Result] = {}
    for number, item in enumerate(items):
        workers.submit(partial(function, item), partial(results.__setitem__, number))
    try:
        while workers.pending:
            workers.see_to_results(_MEANWHILE_S)
            if meanwhile:
                meanwhile()
    except BaseException:
        # A signal: what the others are about must not be taken from under them.
        workers.wait(_PATIENCE_S)
        raise
    finally:
        workers.close()
    return [results[number].get() for number in sorted(results)]
