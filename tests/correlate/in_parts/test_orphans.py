"""Workers end with the process that they work for, however that ends, and nothing of them stays."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ttrace.correlate.in_parts.work_folder import WorkFolder

PARENT = """
import os, sys, time
from ttrace.cli_process import end_tidily
from ttrace.correlate.in_parts.work_folder import WorkFolder
from ttrace.correlate.in_parts.worker_pool import WorkerPool
def work(how):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(600) if how == "waiting" else 3 ** (1 << 27)
end_tidily()
folder = WorkFolder()
list(WorkerPool(2).run(work, [sys.argv[1]] * 4, lambda _: None))
"""
"""Its workers wait, or compute for a minute in one step, in which no thread of theirs comes to anything."""


def workers_of(process: subprocess.Popen) -> list[int]:
    """Descriptors of its workers, once they work."""
    return [os.pidfd_open(int(process.stdout.readline())) for _ in range(2)]


def fault(number: str, how: str):
    return pytest.mark.fault(
        "workers", f"{number} of a correlation in parts whose workers are {how}", "they end at once, stderr is let go"
    )


CASES = [
    pytest.param(number, how, marks=fault(number.name, how), id=f"{number.name}-{how}")
    for number, how in (
        (signal.SIGTERM, "waiting"),
        (signal.SIGTERM, "computing"),
        (signal.SIGKILL, "waiting"),
        (signal.SIGKILL, "computing"),
        (signal.SIGINT, "computing"),
    )
]


@pytest.mark.parametrize(("number", "how"), CASES)
def test_workers_end_with_their_parent(number, how, tmp_path):
    command = [sys.executable, "-c", PARENT, how]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        workers = workers_of(process)
        sent = time.monotonic()
        process.send_signal(number)
        for worker in workers:
            assert select.select([worker], [], [], 15)[0], "a worker is still there"
            os.close(worker)
        process.communicate(timeout=15)  # until nobody holds its stderr
        assert time.monotonic() - sent < 15
    if number != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []
        return
    assert [path.name[:13] for path in tmp_path.iterdir()] == ["ttrace-parts-"]


@pytest.mark.fault(
    "workers", "SIGKILL of a correlation in parts leaves its temporary folder", "the next one removes it"
)
def test_the_next_one_removes_what_was_left(tmp_path, monkeypatch):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, "waiting"], stdout=subprocess.PIPE, env=environment
    ) as process:
        for worker in workers_of(process):
            os.close(worker)
        process.kill()
    (left,) = tmp_path.iterdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    deadline = time.monotonic() + 15
    while left.exists() and time.monotonic() < deadline:  # its workers may still be ending, with the lock
        WorkFolder().close()
        time.sleep(0.05)
    assert list(Path(tmp_path).iterdir()) == []
