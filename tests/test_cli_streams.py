"""What `show`, `correlate` and the help do when stdout takes nothing, and where a report is not written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ttrace.errors import TtraceError
from ttrace.lab.demo import demo_captures
from ttrace.lab.recording import ttrace_command

DEMO = Path(__file__).parent.parent / "pcaps" / "docker-demo"
FILE = str(DEMO / "master.pcapng")
NOBODY = 65534


def run(*arguments, redirected="", cwd=None):
    """Run ttrace in a shell, its streams redirected."""
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {redirected}', "-", *ttrace_command(*arguments)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["show", FILE], ["--version"], ["capture", "--help"]])
@pytest.mark.parametrize(
    ("redirected", "why"),
    [
        pytest.param(
            ">/dev/full",
            "No space left on device",
            marks=pytest.mark.fault("results", "stdout is a full disk (/dev/full)", "one line, exit 1, of any command"),
        ),
        pytest.param(
            ">&-",
            "it is closed",
            marks=pytest.mark.fault("results", "stdout is closed", "one line, exit 1, of any command"),
        ),
        pytest.param(
            "1</dev/null",
            "it is closed",
            marks=pytest.mark.fault("results", "stdout is open for reading alone", "one line, exit 1, of any command"),
        ),
    ],
)
def test_a_result_that_cannot_be_written_is_one_line(arguments, redirected, why):
    done = run(*arguments, redirected=redirected)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"error: cannot write the result to stdout: {why}"
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("arguments", [["correlate", FILE], ["capture", "--help"]])
@pytest.mark.fault("results", "the reader of stdout has gone", "nothing more is said, exit 1")
def test_a_reader_that_has_seen_enough_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(ttrace_command(*arguments), stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    "redirected",
    [
        pytest.param(
            "2>&-", marks=pytest.mark.fault("results", "stderr is closed", "the result, and the exit code of an error")
        ),
        pytest.param(
            "2>/dev/full",
            marks=pytest.mark.fault("results", "stderr is a full disk", "the result, and the exit code of an error"),
        ),
    ],
)
def test_stderr_that_takes_nothing_changes_no_result(redirected):
    done = run("show", FILE, redirected=redirected)
    assert (done.returncode, done.stdout) == (0, run("show", FILE).stdout)
    assert run("show", "nowhere.pcapng", redirected=redirected).returncode == 1
    assert run("show", redirected=redirected).returncode == 2


@pytest.mark.fault("results", "stdin is closed, for `correlate -`", "one line, exit 1")
def test_a_closed_stdin_is_one_line():
    done = run("correlate", "-", redirected="<&-")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 2


@pytest.fixture
def shared(tmp_path):
    """A folder like /tmp, whose owner is nobody here."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def refused(words, *arguments, cwd=None):
    done = run("correlate", *arguments, cwd=cwd)
    assert done.returncode == 1
    assert words in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.root
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.fault(
    "results", "`--output` is another user's link in a sticky folder", "refused; its target is untouched"
)
def test_a_report_follows_no_link_of_another(tmp_path, shared, levels):
    target, link = tmp_path / "target", shared / "report"
    target.write_text("before")
    link.symlink_to(target)
    os.lchown(link, NOBODY, NOBODY)
    if levels == 2:
        (tmp_path / "mine").symlink_to(link)
        link = tmp_path / "mine"
    refused("is a link that another user put", FILE, "-o", str(link))
    assert target.read_text() == "before"


@pytest.mark.root
@pytest.mark.fault("results", "`--output` is another user's file in a sticky folder", "refused; it is untouched")
def test_a_report_fills_no_file_of_another(shared):
    path = shared / "report"
    path.write_text("before")
    path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY)
    refused("is a file that another user put", FILE, "-o", str(path))
    assert path.read_text() == "before"


@pytest.mark.parametrize("form", ["{}", "node={}"])
@pytest.mark.fault("results", "`--output` is one of the captures", "refused; the capture is untouched")
def test_a_report_is_not_written_over_its_capture(tmp_path, form):
    capture = tmp_path / "x.pcapng"
    capture.write_bytes(Path(FILE).read_bytes())
    (tmp_path / "link").symlink_to(capture)
    refused("is one of the captures", form.format(capture), "-o", str(tmp_path / "link"))
    assert capture.read_bytes() == Path(FILE).read_bytes()


@pytest.mark.fault(
    "results", "`--output` is an old report, behind a link of one's own", "written over, through the link"
)
def test_a_report_is_written_over_an_older_and_longer_one(tmp_path, shared):
    (shared / "report").write_text("x" * 100_000)
    (tmp_path / "link").symlink_to(shared / "report")
    done = run("correlate", FILE, "-o", str(tmp_path / "link"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (shared / "report").read_text() == run("correlate", FILE).stdout


@pytest.mark.fault("results", "`--output` on a full disk (/dev/full)", "one line, exit 1")
def test_a_report_on_a_full_disk_is_one_line():
    refused("cannot write `/dev/full`: No space left on device", FILE, "-o", "/dev/full")


@pytest.mark.fault("results", "a pipe that a shell made, `--output >(gzip > report.gz)`", "taken")
def test_a_report_goes_into_an_inherited_pipe():
    reader, writer = os.pipe()
    done = subprocess.run(
        ttrace_command("correlate", FILE, "-o", f"/dev/fd/{writer}"),
        pass_fds=[writer],
        check=False,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        assert (done.returncode, done.stderr, file.read()) == (0, b"", run("correlate", FILE).stdout)


@pytest.mark.root
@pytest.mark.fault(
    "output file", "`ttrace demo --keep` where captures are", "refused before anything is done; `--force` replaces them"
)
def test_a_demo_replaces_no_capture(tmp_path):
    (tmp_path / "slave.pcapng").write_text("before")
    with (
        pytest.raises(TtraceError, match="exists already") as raised,
        demo_captures(keep=tmp_path, recorded=False, say=lambda _: None),
    ):
        pass
    assert "--force" in raised.value.hint
    assert (tmp_path / "slave.pcapng").read_text() == "before"
