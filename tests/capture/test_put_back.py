"""What a killed capture has left is put back, by the unit of packages as well; and nothing that others planted."""

import configparser
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ttrace.capture.machine.journal import Journal, restore_stale

from .command import COMMAND

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
SETTING = "net/ipv4/ip_default_ttl"
NOBODY = 65_534
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd's programs")


def tried(what: str, result: str):
    return pytest.mark.fault("what is left", what, result)


def read_setting(netns) -> str:
    with netns.entered():
        return Path("/proc/sys", SETTING).read_text().strip()


def section(name: str) -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(UNITS / "ttrace-put-back.service")
    return unit[name]


@needs_systemd
@pytest.mark.parametrize("spoilt", [False, True])
def test_the_units_are_what_systemd_understands(tmp_path, spoilt):
    program = tmp_path / "ttrace"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS.glob("ttrace-put-back.*"):
        text = (
            unit.read_text()
            .replace("/usr/bin/ttrace", str(program))
            .replace("[Service]\n", "[Service]\nWrong=1\n" * spoilt + "[Service]\n")
        )
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, tmp_path.glob("ttrace-*"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode != 0 or done.stderr != "") == spoilt, done.stderr


@needs_systemd
def test_the_folder_of_notes_is_made_for_root_alone(tmp_path):
    command = ["systemd-tmpfiles", "--create", f"--root={tmp_path}", str(UNITS / "ttrace.tmpfiles.conf")]
    subprocess.run(command, check=True)
    status = (tmp_path / "run" / "ttrace").stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o700)


@tried("kill -9, and then the unit that packages ship, with its rights", "settings are put back, and said")
def test_the_unit_puts_back_what_a_killed_capture_left(network, start):
    """In a mount namespace of its own, where the folder of notes is /run/ttrace."""
    capture = start(network.router, conntrack_details=True)
    capture.wait_ready()
    name = "net.netfilter.nf_conntrack_acct"
    journals = Path(capture.process.args[-1])
    capture.process.kill()
    capture.process.wait()
    assert network.run(network.router, "sysctl", "-n", name).strip() == "1"
    program, *arguments = section("Service")["ExecStart"].split()
    assert program == "/usr/bin/ttrace"
    rights = ",".join(
        f"+{one.removeprefix('CAP_').lower()}" for one in section("Service")["CapabilityBoundingSet"].split()
    )
    limited = ["setpriv", "--no-new-privs", f"--bounding-set=-all,{rights}", *COMMAND, *arguments]
    script = 'mkdir -p /run/ttrace && mount --bind "$0" /run/ttrace && exec "$@"'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["unshare", "--mount", "sh", "-c", script, str(journals), *limited]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "net/netfilter/nf_conntrack_acct in root: restored to `0`" in done.stdout
    assert network.run(network.router, "sysctl", "-n", name).strip() == "0"
    assert list(journals.iterdir()) == []
    assert "ttrace" not in network.run(network.router, "nft", "list", "tables")


def record(netns, **changed) -> str:
    change = {"netns": "root", "inode": netns.inode, "name": SETTING, "before": "33", "after": "64"} | changed
    return json.dumps({"pid": 1, "started": "dead", "changes": [change]})


def linked(path: Path, text: str) -> None:
    path.with_suffix(".x").write_text(text)
    path.symlink_to(path.with_suffix(".x"))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(spoil, id=what, marks=tried(what, "nothing is changed by it; one line"))
        for what, spoil in {
            "a note of another user": lambda path, text: (path.write_text(text), os.chown(path, NOBODY, NOBODY)),
            "a note that everybody may write": lambda path, text: (path.write_text(text), path.chmod(0o666)),
"a note that is a link": linked,
            "a note that is a FIFO": lambda path, _: os.mkfifo(path),
            "a note that is a folder": lambda path, _: path.mkdir(),
            "a note of 200,000 brackets": lambda path, _: path.write_text("[" * 200_000),
            "a note that is no text": lambda path, _: path.write_bytes(b"\xff\0"),
            "a note that is a list": lambda path, _: path.write_text('{"pid": [], "started": 1, "changes": [7]}'),
        }.items()
    ],
)  # fmt: skip
def test_a_note_that_is_not_ours_changes_nothing(router, tmp_path, spoil):
    spoil(tmp_path / "7.json", record(router))
    before = read_setting(router)
    assert restore_stale(tmp_path) == [f"{tmp_path}/7.json: unreadable, removed"]
    assert read_setting(router) == before


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(changed, marks=tried(f"a note of {what}", "nothing is changed by it; one line"), id=what)
        for what, changed in {
            "a file outside /proc/sys": {"name": "TMP/victim"},
            "a setting that is not of the network": {"name": "kernel/core_pattern"},
            "a way out of /proc/sys/net": {"name": "net/../../../TMP/victim"},
            "a value that is a number": {"before": 33},
        }.items()
    ],
)
def test_a_note_of_what_is_no_setting_changes_nothing(router, tmp_path, changed):
    victim = tmp_path / "victim"
    victim.write_text("64")
    names = {
        name: value.replace("TMP", str(tmp_path)) if isinstance(value, str) else value
        for name, value in changed.items()
    }
    (tmp_path / "7.json").write_text(record(router, **names))
    assert restore_stale(tmp_path) == [f"{tmp_path}/7.json: unreadable, removed"]
    assert victim.read_text() == "64"


@tried(
    "the folder of notes was made by another user",
    "not looked at, which is said; a capture changes no setting, and says so",
)
def test_a_folder_of_notes_of_another_user_is_not_used(network, router, start, journals):
    journals.mkdir()
    (journals / "7.json").write_text(record(router))
    os.chown(journals, NOBODY, NOBODY)
    before = read_setting(router)
    reason = f"`{journals}` belongs to another user (uid {NOBODY})"
    assert restore_stale(journals) == [f"{journals} is not looked at: {reason}"]
    with pytest.raises(PermissionError):
        Journal(journals).set_value(router, SETTING, "77")
    warnings = start(network.router, conntrack_details=True, duration_s=0.1).wait_for("summary")["warnings"]
    assert f"left by an earlier capture: {journals} is not looked at: {reason}" in warnings
    assert any(f"nf_conntrack_acct not set: {reason}" in warning for warning in warnings)
    assert read_setting(router) == before
    assert [path.name for path in journals.iterdir()] == ["7.json"]
