"""Settings that are changed are written down first, and put back by whoever comes last."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ttrace.capture.machine import journal
from ttrace.capture.machine.journal import Journal, process_start, restore_stale
from ttrace.capture.machine.netns import Netns

SETTING = "net/ipv4/ip_default_ttl"


def read_setting(netns: Netns) -> str:
    with netns.entered():
        return Path("/proc/sys", SETTING).read_text().strip()


def test_journal_writes_before_it_changes_and_restores(router, tmp_path):
    journal = Journal(tmp_path)
    before = read_setting(router)
    journal.set_value(router, SETTING, "77")
    record = json.loads((tmp_path / f"{os.getpid()}.json").read_text())
    assert record["started"] == process_start(os.getpid())
    assert record["changes"] == [
        {"netns": router.label, "inode": router.inode, "name": SETTING, "before": before, "after": "77"}
    ]
    assert read_setting(router) == "77"
    assert journal.restore() == []
    assert read_setting(router) == before
    assert list(tmp_path.iterdir()) == []


def test_setting_that_has_the_value_is_claimed_and_stays(router, tmp_path):
    journal = Journal(tmp_path)
    before = read_setting(router)
    journal.set_value(router, SETTING, before)
    (change,) = json.loads((tmp_path / f"{os.getpid()}.json").read_text())["changes"]
    assert (change["before"], change["after"]) == (before, before)
    assert journal.restore() == []
    assert read_setting(router) == before
    assert list(tmp_path.iterdir()) == []


def write_journal(folder: Path, netns: Netns, *, pid: int, started: str | None) -> Path:
    """A journal of another process, which found 64 and set 77."""
    change = {"netns": "root", "inode": netns.inode, "name": SETTING, "before": "64", "after": "77"}
    path = folder / f"{pid}.json"
    path.write_text(json.dumps({"pid": pid, "started": started, "changes": [change]}))
    return path


def test_setting_another_living_process_claims_is_left_and_the_last_one_restores_it(router, tmp_path):
    parent = os.getppid()
    ours = Journal(tmp_path)
    ours.set_value(router, SETTING, "77")
    other = write_journal(tmp_path, router, pid=parent, started=process_start(parent))
    assert ours.restore() == []
    assert read_setting(router) == "77"
    # The other way round: it was set when we came, and the other one has gone before us.
    ours.set_value(router, SETTING, "77")
    other.unlink()
    assert ours.restore() == []
    assert read_setting(router) == "64"


@pytest.mark.fault(
    "what is left behind",
    "a killed capture's setting that a living one needs",
    "the living one puts it back at its end",
)
def test_setting_of_a_dead_process_that_a_living_one_claims_is_left_to_that_one(router, tmp_path):
    ours = Journal(tmp_path)
    with router.entered():
        Path("/proc/sys", SETTING).write_text("77")
    write_journal(tmp_path, router, pid=1, started="dead")
    ours.set_value(router, SETTING, "77")
    assert restore_stale(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [f"{os.getpid()}.json"]
    assert read_setting(router) == "77"
    assert ours.restore() == []
    assert read_setting(router) == "64"


@pytest.mark.fault("what is left behind", "a namespace is gone when settings are put back", "the others are put back")
def test_namespace_that_cannot_be_entered_does_not_stop_the_other_restores(router, tmp_path):
    ours = Journal(tmp_path)
    ours.set_value(router, SETTING, "77")
    with Path("/dev/null").open() as no_namespace:
        lost = replace(router, label="lost", fd=os.dup(router.fd))
        ours.set_value(lost, "net/ipv4/ip_forward", "0")
        os.dup2(no_namespace.fileno(), lost.fd)
    (warning,) = ours.restore()
    assert warning.startswith("could not restore net/ipv4/ip_forward to `1` in lost: cannot enter network namespace")
    assert read_setting(router) == "64"
    os.close(lost.fd)


@pytest.mark.fault(
    "what is left behind",
    "a killed capture's namespace cannot be entered",
    "the others are put back, this one is named",
)
def test_namespace_that_cannot_be_entered_does_not_stop_the_other_stale_restores(router, tmp_path, monkeypatch):
    with router.entered():
        Path("/proc/sys", SETTING).write_text("77")
    path = write_journal(tmp_path, router, pid=1, started="dead")
    record = json.loads(path.read_text())
    record["changes"].append(record["changes"][0] | {"inode": 1})
    path.write_text(json.dumps(record))

    def find(inode: int) -> Netns:
        fd = os.dup(router.fd) if inode == router.inode else os.open("/dev/null", os.O_RDONLY)
        return replace(router, fd=fd)

    monkeypatch.setattr(journal, "_find_netns", find)
    lost, restored = restore_stale(tmp_path)
    assert "could not be restored to `64`: cannot enter network namespace" in lost
    assert restored == f"{SETTING} in root: restored to `64`"
    assert read_setting(router) == "64"


@pytest.mark.fault(
    "what is left behind",
    "captures were killed, others live",
    "what the dead left is put back, the living keep theirs",
)
def test_stale_settings_of_dead_processes_are_restored_and_living_ones_left(router, tmp_path):
    journal = Journal(tmp_path)
    journal.set_value(router, SETTING, "77")
    assert restore_stale(tmp_path) == []
    assert read_setting(router) == "77"
    path = tmp_path / f"{os.getpid()}.json"
    record = json.loads(path.read_text())
    # The same process id, another process: it was started at another time.
    path.write_text(json.dumps(record | {"started": "1"}))
    assert restore_stale(tmp_path) == [f"{SETTING} in {router.label}: restored to `64`"]
    assert read_setting(router) == "64"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(
    "what is left behind",
    "somebody changed a killed capture's setting since",
    "it stays, and that is said",
)
def test_stale_setting_changed_by_someone_else_is_left(router, tmp_path):
    Journal(tmp_path).set_value(router, SETTING, "77")
    with router.entered():
        Path("/proc/sys", SETTING).write_text("99")
    path = tmp_path / f"{os.getpid()}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started": "1"}))
    assert restore_stale(tmp_path) == [f"{SETTING} in {router.label}: changed by someone else, left as it is"]


@pytest.mark.fault("what is left behind", "a journal that cannot be read", "removed and said")
def test_broken_journal_is_removed_and_said(tmp_path):
    (tmp_path / "1.json").write_text("{")
    assert restore_stale(tmp_path) == [f"{tmp_path}/1.json: unreadable, removed"]
    assert restore_stale(tmp_path) == []


def test_no_journal_is_nothing_to_do(tmp_path):
    assert restore_stale(tmp_path / "absent") == []
