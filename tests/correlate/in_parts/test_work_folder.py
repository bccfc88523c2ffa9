"""Folders for what does not fit into memory: there as long as somebody works in them, and no longer."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from ttrace.correlate.in_parts.work_folder import WorkFolder, load, save

pytestmark = pytest.mark.slow

FILES = sorted(str(file) for file in (Path(__file__).parents[3] / "pcaps" / "docker-http").glob("*.pcapng"))
STAGES = ["surveying", "distributing", "following packets", "explaining rewrites and outcomes"]


@pytest.fixture(autouse=True)
def parent(tmp_path, monkeypatch):
    """Where the folders of a test are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@contextmanager
def waiting(parent, stage):
    """The process of a correlation that has begun with a stage, and waits there."""
    program = f"""if True:
        import sys, time
        from ttrace.correlate.in_parts.rounds import correlate_in_parts
        def progress(stage, done):
            if stage == {stage!r}:
                print(flush=True)
                time.sleep(600)
        correlate_in_parts(sys.argv[1:], progress, most=30, workers=2)"""
    environment = os.environ | {"TMPDIR": str(parent)}
    command = [sys.executable, "-c", program, *FILES]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout.readline() == b"\n"
            yield process
        finally:
            process.kill()


def test_what_is_saved_is_there_until_the_folder_is_closed(parent):
    folder = WorkFolder()
    names = folder.new_name("part"), folder.new_name("part")
    assert names[0] != names[1]
    save(names[0], {"a": 1})
    assert load(names[0]) == {"a": 1}
    assert Path(folder.path).stat().st_mode & 0o777 == 0o700
    folder.close()
    assert list(parent.iterdir()) == []


def test_a_folder_that_is_forgotten_goes(parent):
    folder = WorkFolder()
    save(folder.new_name("part"), 1)
    del folder
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_left_when_it_is_interrupted(parent, stage):
    with waiting(parent, stage) as process:
        assert len(list(parent.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    assert list(parent.iterdir()) == []


@pytest.mark.fault("what is left behind", "kill -9 of a correlation in parts", "the next removes its folder")
def test_what_a_killed_process_leaves_is_removed_by_the_next(parent):
    with waiting(parent, "following packets") as process:
        (left,) = parent.iterdir()
        assert left.name.startswith(f"ttrace-parts-{process.pid}-")
        WorkFolder().close()
        assert left.exists()  # somebody works in it
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ends = [os.pidfd_open(int(worker)) for worker in workers]
        process.kill()
        process.wait()
    assert len(ends) == 2
    for end in ends:  # the workers end with it
        assert select.select([end], [], [], 60)[0]
        os.close(end)
    assert left.exists()
    folder = WorkFolder()
    assert list(parent.iterdir()) == [Path(folder.path)]
    folder.close()


@pytest.mark.fault("what is left behind", "a folder of that name that another made", "it is left alone")
def test_nobody_else_s_folder_is_touched(parent):
    mine, other = parent / "ttrace-parts-1-abcdefgh", parent / "ttrace-parts-1-abcdefgi"
    alike = parent / "ttrace-parts-1-abcdefgh-notes", parent / "ttrace-warm-up-abcdefgh", parent / "ttrace-parts-1-file"
    for path in (mine, other, *alike):
        path.mkdir()
        (path / "kept").touch()
    (parent / "ttrace-parts-2-abcdefgh").symlink_to(alike[0])
    os.chown(other, 65534, 65534)
    WorkFolder().close()
    assert not mine.exists()
    for path in (other, *alike):
        assert (path / "kept").exists()


def test_a_forked_process_leaves_the_folder_to_the_one_that_made_it():
    folder = WorkFolder()
    child = os.fork()
    if child == 0:
        folder.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert Path(folder.path).is_dir()
    folder.close()
