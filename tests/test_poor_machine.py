"""Files that are none or change, a machine that gives little: a result, or one line that says what and what to do."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ttrace.tests.command_line import run_here
from ttrace.tests.pcapng.blocks import LITTLE

ROOT = Path(__file__).parents[1]
PING = str(ROOT / "pcaps/docker-ping/master.pcapng")
MAIN = "from ttrace.cli import main; main()"
COMMANDS = pytest.mark.parametrize("command", ["correlate", "show"])


def fault(tried: str, result: str):
    return pytest.mark.fault("reading captures", tried, result)


def poor(tried: str, result: str):
    return pytest.mark.fault("a poor machine", tried, result)


def ttrace(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the command line; nothing may take 60 s, end by a signal or tell a traceback."""
    environment = {**os.environ, **options.pop("env", {})}
    command = [sys.executable, "-c", MAIN, *arguments]
    done = subprocess.run(
        command, capture_output=True, timeout=60, check=False, env=environment,
        **{"stdin": subprocess.DEVNULL, **options},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode in (0, 1, 2), done
    return done


def assert_one_line(done: subprocess.CompletedProcess, *words: str) -> None:
    """An error and a hint, each a line, that have these words; nothing on stdout."""
    lines = done.stderr.decode(errors="replace").splitlines()
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], lines
    assert "None" not in lines[0]
    for word in words:
        assert word in "\n".join(lines), lines
    assert done.stdout == b""


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def make_unreadable(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0)


MADE = {
    "a named pipe": (os.mkfifo, ("named pipe", "ttrace … - <")),
    "a socket": (make_socket, ("No such device", "stdin")),
    "a folder": (Path.mkdir, ("folder", "name")),
    "an empty file": (Path.touch, ("is empty",)),
    "three bytes": (lambda path: path.write_bytes(b"\x0a\x0d\x0d"), ("begins with 0a 0d 0d",)),
    "a link to itself": (lambda path: path.symlink_to(path), ("cannot read",)),
    "nothing": (lambda path: path, ("No such file", "check the name")),
}
RESULTS = {"a named pipe": "refused at once, without waiting for who writes"}


@COMMANDS
@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=fault(f"{what} is named", RESULTS.get(what, "one line says so"))) for what in MADE],
)
def test_what_is_no_file(what, command, tmp_path, monkeypatch):
    make, words = MADE[what]
    path = tmp_path / "x"
    make(path)
    assert_one_line(run_here(monkeypatch, command, str(path)), str(path), *words)


@fault("a file that may not be read", "one line says so")
def test_an_unreadable_file(tmp_path):
    make_unreadable(tmp_path / "x")
    drop = "-dac_override,-dac_read_search"
    argv = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", sys.executable, "-c", MAIN, "show"]
    done = subprocess.run([*argv, str(tmp_path / "x")], capture_output=True, timeout=60, check=False)
    assert_one_line(done, "Permission denied", "rights")


@COMMANDS
@pytest.mark.parametrize(
    "device",
    [
        pytest.param("/dev/zero", marks=fault("a device that gives zeros without end", "refused by its first bytes")),
        pytest.param("/dev/null", marks=fault("a device that gives nothing", "one line says that it is empty")),
    ],
)
def test_devices(device, command, monkeypatch):
    assert_one_line(run_here(monkeypatch, command, device), device)


@COMMANDS
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            "x" * 70_000, marks=fault("a file name of 70,000 characters", "one line says that it is too long")
        ),
        pytest.param(b"b\xff\xfe.pcapng", marks=fault("a file name that is no UTF-8", "one line, its bytes escaped")),
        pytest.param("a\nerror: b\x1b[31m", marks=fault("a file name with a line end and escapes", "both escaped")),
        pytest.param("", marks=fault("an empty file name", "one line says so")),
    ],
)
def test_odd_names(name, command, monkeypatch):
    assert_one_line(run_here(monkeypatch, command, name), "cannot read")


@COMMANDS
@fault("a pipe of the shell, `<(…)`", "read like stdin, to the same result")
def test_process_substitution(command):
    script = f'"{sys.executable}" -c "{MAIN}" {command} <(cat {PING})'
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=True)
    assert b"9 frames" in done.stdout or b"Connections" in done.stdout or b"Capture points" in done.stdout
    as_file = ttrace(command, PING).stdout.splitlines()
    assert len(done.stdout.splitlines()) == len(as_file)


@fault("a named pipe that somebody writes to, through stdin", "read")
def test_a_named_pipe_through_stdin(tmp_path):
    os.mkfifo(tmp_path / "x")
    script = f'cat {PING} > {tmp_path}/x & "{sys.executable}" -c "{MAIN}" show - < {tmp_path}/x'
    assert subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=True).stdout


@fault("stdin is closed", "one line says so")
def test_closed_stdin():
    script = f'exec "{sys.executable}" -c "{MAIN}" show - <&-'
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=False)
    assert_one_line(done, "stdin")


@fault("stdout is closed", "one line says so, exit 1")
def test_closed_stdout():
    script = f'exec "{sys.executable}" -c "{MAIN}" show {PING} >&-'
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot write the result to stdout: it is closed\nhint: ")


@fault("stderr is closed, and there is an error to tell", "exit 1 all the same")
def test_closed_stderr():
    script = f'exec "{sys.executable}" -c "{MAIN}" show /nonexistent 2>&-'
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@fault("stdout is a full disk", "one line says so, exit 1")
def test_full_stdout():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", MAIN, "correlate", PING], stdout=full, stderr=-1, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot write the result to stdout: No space left")


# --- a file that becomes shorter ------------------------------------------------------------------------------------

SHRINK = """
import os, sys, ttrace.correlate.in_memory as m, ttrace.correlate.in_parts.rounds as r
import ttrace.correlate.summaries.one_file as o
path = sys.argv[-1]
def cut(function):
    def cutting(*arguments, **named):
        os.truncate(path, 4096)
        return function(*arguments, **named)
    return cutting
m.decode_packets = cut(m.decode_packets)
r.survey = cut(r.survey)
o.gather_snapshots = cut(o.gather_snapshots)
from ttrace.cli import main
main()
"""
"""Ends the file between the walk over it and the reading of its packets."""


def large(path: Path, packets: int = 40_000) -> Path:
    frame = bytes.fromhex(
        "0200000000020200000000010800450000300001000040110000c000020ac00002140fa01388001c0000"
    ) + bytes(20)
    path.write_bytes(LITTLE.pcap(*((1_700_000_000, i, frame) for i in range(packets))))
    return path


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["correlate"], marks=fault("a file is cut while it is read, in memory", "one line names it")),
        pytest.param(["correlate", "--memory", "512"], marks=fault("… while it is read in parts", "one line names it")),
    ],
    ids=["in memory", "in parts"],
)
def test_a_file_that_becomes_shorter(options, tmp_path):
    path = large(tmp_path / "x.pcap")
    environment = {**os.environ}
    code = SHRINK
    if "--memory" in options:  # so small a file would fit
        code = SHRINK.replace(
            "from ttrace.cli", "import ttrace.correlate.api as a; a.bytes_needed = lambda *_: 1 << 60\nfrom ttrace.cli"
        )
    argv = [sys.executable, "-c", code, *options, str(path)]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False, env=environment)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert_one_line(done, f"`{path}` became shorter while it was read", "read a copy")


@fault("snapshots of a file are cut off while `show` reads it", "one line names it")
def test_show_of_a_file_that_becomes_shorter(tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes((ROOT / "pcaps/docker-demo/master.pcapng").read_bytes())
    argv = [sys.executable, "-c", SHRINK, "show", str(path)]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert_one_line(done, f"`{path}` became shorter while it was read")


# --- surroundings ---------------------------------------------------------------------------------------------------


@COMMANDS
@poor("the working directory is deleted", "one line says so and what to do")
def test_a_deleted_working_directory(command, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'rmdir {gone}; exec "{sys.executable}" -c "{MAIN}" {command} {PING}'
    done = subprocess.run(["bash", "-c", script], cwd=gone, capture_output=True, timeout=60, check=False)
    assert_one_line(done, "working directory", "cd /")


@pytest.mark.parametrize(
    "home",
    [
        pytest.param("/dev/null", marks=poor("HOME is no folder", "nothing changes")),
        pytest.param("/nonexistent", marks=poor("HOME is not there", "nothing changes")),
        pytest.param("", marks=poor("HOME is empty", "nothing changes")),
    ],
)
def test_homes(home):
    assert ttrace("show", PING, env={"HOME": home, "XDG_CACHE_HOME": home}).returncode == 0


@poor("a HOME that may not be entered", "nothing changes")
def test_a_home_that_may_not_be_entered(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0)
    drop = "-dac_override,-dac_read_search"
    argv = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", sys.executable, "-c", MAIN, "show", PING]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False, env={**os.environ, "HOME": str(home)})
    assert (done.returncode, done.stderr) == (0, b"")


def odd_capture() -> bytes:
    """Names that are no ASCII, with lone surrogates, escapes and of 70,000 characters."""
    comment = b'{"netns": "\\ud800n\\u202e", "inode": 7, "container": "\\udcffc", "what": "packets"}'
    frame = bytes.fromhex(
        "0200000000020200000000010800450000300001000040110000c000020ac00002140fa01388001c0000"
    ) + bytes(20)
    interfaces = [LITTLE.interface("é\x1b[31m", (1, comment)), LITTLE.interface("x" * 60_000), LITTLE.interface("e2")]
    packets = [LITTLE.enhanced(frame, interface=i, time=1_700_000_000_000_000 + i) for i in range(3)]
    return LITTLE.section((1, b'{"ttrace": 1, "node": "\\ud83dm"}')) + b"".join([*interfaces, *packets])


@COMMANDS
@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"PYTHONIOENCODING": "ascii"}, marks=poor("stdout that takes ASCII only", "all else is escaped")),
        pytest.param(
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            marks=poor("the C locale, without UTF-8 mode", "all else is escaped"),
        ),
        pytest.param({}, marks=fault("lone surrogates and escapes in JSON, a name of 60,000 characters", "escaped")),
    ],
    ids=["ascii", "C locale", "UTF-8"],
)
def test_names_on_any_stdout(environment, command, tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes(odd_capture())
    for options in ([], ["--format", "json"]) if command == "correlate" else ([],):
        done = ttrace(command, *options, str(path), env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        text = done.stdout.decode("utf-8")
        assert text.replace("\n", "").isprintable()
        assert "\\ud83dm" in text


def limited(what: int, value: int):
    return {"preexec_fn": lambda: resource.setrlimit(what, (value, value))}


@pytest.mark.parametrize(
    "mebibytes",
    [
        pytest.param(
            m, marks=poor(f"`ulimit -v` of {m} MiB", "one line says how much is needed, before anything loads")
        )
        for m in (150, 300, 500)
    ],
)
def test_little_address_space(mebibytes):
    done = ttrace("show", PING, **limited(resource.RLIMIT_AS, mebibytes << 20))
    assert_one_line(done, f"only {mebibytes} MiB", "ulimit -v")


@pytest.mark.parametrize(
    "mebibytes",
    [
        pytest.param(m, marks=poor(f"`ulimit -v` of {m} MiB and a capture of 20 MB", "a report, or one line"))
        for m in (800, 900)
    ],
)
def test_too_little_address_space_for_a_capture(mebibytes, tmp_path):
    path = large(tmp_path / "x.pcap", 300_000)
    done = ttrace("correlate", str(path), **limited(resource.RLIMIT_AS, mebibytes << 20))
    if done.returncode:
        assert_one_line(done, "memory")


@poor("`ulimit -n` of 8", "one line says how many files are needed")
def test_few_descriptors():
    assert_one_line(ttrace("show", PING, **limited(resource.RLIMIT_NOFILE, 8)), "only 8 files", "16")


@poor("a soft `ulimit -n` of 20 and 40 files", "the soft limit is raised")
def test_a_soft_limit_of_descriptors_is_raised(tmp_path):
    files = [large(tmp_path / f"{i}.pcap", 3 + i) for i in range(40)]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, hard))}
    assert ttrace("correlate", *map(str, files), **limit).returncode == 0


@poor("a hard `ulimit -n` of 24 and 40 files", "one line says what to do")
def test_a_hard_limit_of_descriptors_is_told(tmp_path):
    files = [large(tmp_path / f"{i}.pcap", 3 + i) for i in range(40)]
    done = ttrace("correlate", *map(str, files), **limited(resource.RLIMIT_NOFILE, 24))
    assert_one_line(done, "Too many open files", "ulimit -n")


@poor("`ulimit -f` of 0 and a compressed capture", "one line names TMPDIR")
def test_no_file_may_be_written(tmp_path):
    subprocess.run(["sh", "-c", f"gzip < {PING} > {tmp_path}/x.gz"], check=True)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = ttrace("show", f"{tmp_path}/x.gz", preexec_fn=limit)
    assert_one_line(done, "no room in", "TMPDIR")


@poor("TMPDIR is not there", "another folder is taken, or one line says so")
def test_no_tmpdir(tmp_path):
    subprocess.run(["sh", "-c", f"gzip < {PING} > {tmp_path}/x.gz"], check=True)
    assert ttrace("show", f"{tmp_path}/x.gz", env={"TMPDIR": "/nonexistent"}).returncode == 0


def links_of(descriptors):
    """What the descriptors of a process lead to; some are closed meanwhile."""
    for one in descriptors.iterdir():
        with suppress(FileNotFoundError):
            yield str(one.readlink())


@fault("Ctrl-C while a capture comes from a pipe that never ends", "no traceback, exit 130")
def test_ctrl_c():
    argv = [sys.executable, "-c", MAIN, "show", "-"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=-1, stderr=-1) as process:
        process.stdin.write(Path(PING).read_bytes()[:5000])
        process.stdin.flush()
        deadline = time.monotonic() + 30
        descriptors = Path(f"/proc/{process.pid}/fd")
        while "(deleted)" not in " ".join(links_of(descriptors)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stderr = process.stderr.read()
        process.stdin.close()
        assert (process.wait(timeout=30), stderr.strip()) == (130, b"")
