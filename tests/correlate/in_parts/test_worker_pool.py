"""Tasks done by several processes: answers in order, and none of the processes outlives what it works for."""

import os
import select
import time

import pytest

from ttrace.correlate.in_parts.worker_pool import WorkerPool
from ttrace.errors import TtraceError


def double(number):
    time.sleep(0.05 * (number == 0))
    return 2 * number


def say_pid(number):
    return os.getpid() if number < 2 else time.sleep(600)


def find_no_memory(_number):
    raise MemoryError


@pytest.mark.parametrize("workers", [1, 3])
def test_answers_come_in_the_order_of_the_works(workers):
    told = []
    assert list(WorkerPool(workers).run(double, range(6), told.append)) == [0, 2, 4, 6, 8, 10]
    assert told == [number / 6 for number in range(1, 7)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.fault("correlate", "a worker has no memory left", "one line")
def test_no_memory_is_said(workers):
    with pytest.raises(TtraceError, match="found no memory"):
        list(WorkerPool(workers).run(find_no_memory, range(2), lambda _: None))


def test_who_has_heard_enough_does_not_wait_for_the_rest():
    answers = WorkerPool(2).run(say_pid, range(6), lambda _: None)
    end = os.pidfd_open(next(answers))
    answers.close()
    assert select.select([end], [], [], 60)[0]
    os.close(end)


def test_one_process_is_this_one():
    assert list(WorkerPool(1).run(say_pid, [0], lambda _: None)) == [os.getpid()]
