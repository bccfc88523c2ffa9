"""The agent: one file, which a node's own Python runs, with the options and the help of `ttrace`."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ttrace.cli
from ttrace.ahead.agent import NAME, agent
from ttrace.ahead.command_table import COMMANDS, command_table
from ttrace.cli_agent import run
from ttrace.cli_words import Line, WrongUsageError
from ttrace.correlate.summaries.one_file import describe_capture

pytestmark = [pytest.mark.root, pytest.mark.slow]

PREFIX = f"ttagent{os.getpid()}"
NEW_IN_3_11 = {
    "typing": {"Self", "Never", "assert_never", "reveal_type", "LiteralString", "Required", "NotRequired", "Unpack"},
    "enum": {"StrEnum", "verify", "member", "nonmember"},
    "datetime": {"UTC"},
    "contextlib": {"chdir"},
    "asyncio": {"TaskGroup", "Runner", "timeout"},
    "tomllib": {"load", "loads"},
}
"""Names of the standard library that Python 3.10 has not (its What's New)."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("agent") / NAME
    path.write_bytes(agent())
    return path


def asked(
    made: Path, *arguments: str, python: str = sys.executable, timeout: float = 60
) -> subprocess.CompletedProcess:
    """What the agent says, run without any package of this Python: neither ttrace nor what it is installed with."""
    command = [python, "-I", "-S", str(made), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


def test_it_is_one_small_file_and_the_same_each_time(made):
    assert made.stat().st_size < 1_500_000
    assert made.read_bytes() == agent()
    names = zipfile.ZipFile(made).namelist()
    assert {f"ttrace/capture/objects/capture-{machine}.so" for machine in ("x86_64", "aarch64")} <= set(names)
    assert not [name for name in names if "correlate" in name]


def test_everything_in_it_is_python_3_10(made):
    with zipfile.ZipFile(made) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                tree = ast.parse(archive.read(name), name, feature_version=(3, 10))
                typed = [
                    node
                    for node in ast.walk(tree)
                    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
                ]
                for node in typed:
                    node.body = []
                for node in ast.walk(tree):
                    if isinstance(node, ast.ImportFrom) and not node.level:
                        newer = NEW_IN_3_11.get(node.module, set()) & {alias.name for alias in node.names}
                        assert not newer, f"{name}: {newer}"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_its_help_is_that_of_ttrace(made, command):
    own = asked(made, *command.split(), "--help")
    assert own.returncode == 0
    program = [sys.executable, "-c", f"import sys; sys.argv[0] = {NAME!r}; from ttrace.cli import main; main()"]
    words, environment = [*command.split(), "--help"], os.environ | {"COLUMNS": "80"}
    of_ttrace = subprocess.run([*program, *words], capture_output=True, text=True, check=True, env=environment).stdout
    if command:
        assert own.stdout == of_ttrace
    else:  # it has fewer commands
        assert own.stdout.splitlines()[:9] == of_ttrace.splitlines()[:9]
        listed = own.stdout.partition("Commands:\n")[2].split("\n")
        assert [line.split()[0] for line in listed if line] == list(COMMANDS)


LINES = [
    "capture",
    "capture -i eth0 --iface docker0 -w out.pcapng --force",
    "capture -wout.pcapng --duration=2.5 --count 7 --no-trace --kernel-drops --no-kernel-drops --trace",
    "capture -w - --filter=tcp --snaplen 64 --rotate-size 100M --max-size 2GB --min-free 0 --keep 2",
    "capture --freeze-on drop --freeze-on reset --freeze-before 0 --freeze-after 1 --freeze-most 3",
    "capture --netns 1 --netns a --containers --conntrack-details --node-name n --ring-mib 2 --trace-limit 0",
    "capture --trace-match -x --rotate-time 0.1",
    "capture --wrong", "capture --duratoin 3", "capture -x", "capture extra", "capture one two", "capture --count",
    "capture --count 0", "capture --count x", "capture --duration -1", "capture --duration x", "capture --snaplen 1",
    "capture --force=yes", "capture --rotate-size 1", "capture --rotate-size x", "capture -- -w", "capture -iw",
    "capture --dur 3", "doctor --put-back", "doctor", "doctor x", "nothing", "capture --help", "doctor -h",
    "-h capture", "--version capture", "--nothing", "--version", "",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_it_reads_a_command_line_as_ttrace_does(line, monkeypatch):
    """What reaches the capture or the doctor is the same, or both refuse it."""
    words, reached = line.split(), []
    table = command_table(ttrace.cli.app, NAME)
    for module in ("ttrace.cli", "ttrace.cli_agent"):
        monkeypatch.setattr(f"{module}.record", lambda given: reached.append(dict(given)))
    for module in ("ttrace.cli_upkeep", "ttrace.cli_agent"):
        monkeypatch.setattr(f"{module}.diagnose", lambda put_back: reached.append({"put_back": put_back}) or ("", True))
    of_ttrace = CliRunner().invoke(ttrace.cli.app, words, prog_name=NAME)
    try:
        code = run(table, words)
    except WrongUsageError:
        code = 2
    assert code == of_ttrace.exit_code
    assert len(reached) in (0, 2)
    assert reached[:1] == reached[1:]


def test_wrong_usage_is_told_in_words_and_with_exit_code_2(made):
    done = asked(made, "capture", "--count", "0")
    assert done.returncode == 2
    assert done.stderr == (
        f"Usage: {NAME} capture [OPTIONS]\nTry '{NAME} capture -h' for help.\n\n"
        "Error: Invalid value for '--count': 0 is not in the range x>=1.\n"
    )


@pytest.mark.parametrize(
    "words", [[""], ["", "capture"], ["capture", ""], ["capture", "-w"], ["-"], ["--"], ["--", "x"]]
)
def test_odd_words_are_wrong_usage(words):
    with pytest.raises(WrongUsageError):
        run(command_table(ttrace.cli.app, NAME), words)
    assert CliRunner().invoke(ttrace.cli.app, words, prog_name=NAME).exit_code == 2


def test_options_of_one_letter_may_stand_together():
    table = command_table(ttrace.cli.app, NAME)["commands"]["capture"]
    line = Line("capture", table, ["-hi", "eth0"])
    line.read()
    assert [(option["name"], value) for option, value in line.found] == [("help", True), ("iface", "eth0")]


def test_it_captures_and_what_it_wrote_is_a_capture(made, tmp_path):
    namespace = f"{PREFIX}a"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    try:
        subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
        target = tmp_path / "made.pcapng"
        command = ["ip", "netns", "exec", namespace, sys.executable, "-I", "-S", str(made), "capture"]
        command += ["-i", "lo", "-w", str(target)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr.readline() == "capturing; SIGINT or SIGTERM ends it\n"
            ping = ["ip", "netns", "exec", namespace, "ping", "-qc3", "-i0.01", "127.0.0.1"]
            subprocess.run(ping, check=True, capture_output=True)
            process.terminate()
            said = process.stderr.read()
            assert process.wait(30) == 0
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=True)
    assert "warning" not in said
    assert "12 packets" in said  # each is heard as it goes and as it comes
    assert "nothing was lost" in said
    (told,) = describe_capture(str(target))
    assert sum(point.packets for point in told.points) == 12


def test_where_no_object_fits_it_says_so_in_one_line(made, tmp_path):
    """As on a machine of another kind: nothing can be compiled there."""
    other = tmp_path / NAME
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            if not name.endswith(".so"):
                target.writestr(name, source.read(name))
    done = asked(other, "capture", "--duration", "0.1", "-w", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "error: nothing compiled ahead fits this machine" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_older_python_is_told_which_one_it_needs(made, tmp_path):
    """The first file of the agent is read by any Python 3."""
    with zipfile.ZipFile(made) as archive:
        text = archive.read("__main__.py").decode()
    ast.parse(text, feature_version=(3, 6))
    program = tmp_path / "old.py"
    program.write_text("import sys\nsys.version_info = (3, 9, 2)\n" + text)
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: ttrace needs Python 3.10 or newer, this is 3.9\n")


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_every_python_from_3_10_on_runs_it(made, tmp_path, version):
    found = [
        shutil.which(f"python{version}"),
        *map(str, Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python3")),
    ]
    pythons = [python for python in found if python and ".pyenv/shims" not in python]
    assert pythons, f"there is no Python {version}"
    done = asked(made, "capture", "-i", "lo", "--duration", "0.2", "-w", str(tmp_path / "out"), python=pythons[-1])
    assert done.returncode == 0, done.stderr
    assert "nothing was lost" in done.stderr
    assert asked(made, "doctor", python=pythons[-1]).stdout.endswith("This machine can be traced.\n")


@pytest.mark.long
@pytest.mark.parametrize(("suite", "pcap"), [("bookworm", "libpcap0.8"), ("trixie", "libpcap0.8t64")])
def test_a_fresh_debian_with_three_packages_runs_it(made, tmp_path, suite, pcap):
    """Nothing is installed there but Python, libnftables and libpcap."""
    root = tmp_path / suite
    needs = f"--include=python3,libnftables1,{pcap}"
    subprocess.run(["debootstrap", "--variant=minbase", needs, suite, str(root)], check=True, capture_output=True)
    shutil.copy(made, root / "root" / NAME)
    inside = f'mount -t proc proc {root}/proc && mount --rbind /sys {root}/sys && exec chroot {root} "$@"'
    for arguments in (["doctor"], ["capture", "-i", "lo", "--duration", "0.2", "-w", "/root/out"]):
        command = ["unshare", "--mount", "sh", "-c", inside, "sh", "python3", f"/root/{NAME}", *arguments]
        clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
    assert "nothing was lost" in done.stderr
    assert "warning" not in done.stderr
    assert (root / "root" / "out").stat().st_size > 10_000
