"""Work in threads: in order, with its errors, and without those who hang."""

import os
import threading
import time
from pathlib import Path

import pytest

from ttrace.capture.parallel import Workers, in_parallel


def test_results_are_in_order_and_all_descriptors_are_closed():
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        assert in_parallel(lambda number: number * 2, range(40)) == [number * 2 for number in range(40)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_error_of_the_first_is_raised_when_all_are_done():
    done = []

    def work(number):
        if number in (3, 5):
            raise ValueError(number)
        done.append(number)

    with pytest.raises(ValueError, match="3"):
        in_parallel(work, range(8))
    assert sorted(done) == [0, 1, 2, 4, 6, 7]


def test_something_else_is_done_meanwhile():
    called = threading.Event()
    assert in_parallel(lambda _: called.wait(20), [0], meanwhile=called.set) == [True]


def test_who_waits_for_work_that_takes_long_is_woken():
    go, results = threading.Event(), []
    workers = Workers(2)
    for number in range(3):
        workers.submit(lambda number=number: (go.wait(20), number), lambda result: results.append(result.get()[1]))
    workers.see_to_results(0.01)
    assert (workers.pending, results) == (3, [])
    go.set()
    while workers.pending:
        workers.see_to_results(1.0)
    workers.close()
    assert sorted(results) == [0, 1, 2]


def test_what_hangs_is_left_behind_and_others_go_on():
    go, results = threading.Event(), []
    workers = Workers(1)
    workers.submit(lambda: go.wait(20), lambda _: results.append("late"))
    workers.abandon()
    workers.submit(lambda: "next", lambda result: results.append(result.get()))
    while workers.pending:
        workers.see_to_results(1.0)
    go.set()
    time.sleep(0)
    workers.see_to_results()
    workers.close()
    assert results == ["next"]
    os.close(workers.fd)
