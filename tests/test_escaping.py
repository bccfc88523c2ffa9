"""Whatever a name holds that comes from a file, the kernel or an argument: people see visible characters."""

import ast
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.layers.inet import IP, TCP, UDP

from ttrace.escaping import Guarded, escape, escape_lines, safe

from .correlate.scene import ACCEPT_RULE, IN, IPTABLES_RULES, OUT, Node

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
NASTY = "e\x1b[31m\x9b2J\x7f\x07\r\nFAKE\u2028FAKE\x85FAKE\u202e\u2066\u200b\ud800\udcfft\tq"
FORBIDDEN = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
NAME = "".join(one for one in NASTY if not "\ud800" <= one <= "\udfff")
"""What a file can be named, and a header can hold as UTF-8."""
FRAME = 14
"""The SYN, at the first interface: behind the snapshots of its node."""
ONE_LINE = "\x1b[31m\x9b2J\u202e"
MAIN = [sys.executable, "-c", "from ttrace.cli import main; main()"]


def assert_clean(output: bytes, *, named: bool = True) -> None:
    text = output.decode("utf-8")  # raises for what is none
    assert not FORBIDDEN.search(text), ascii(FORBIDDEN.search(text))
    assert not re.search(r"(?m)^\s*FAKE", text), text
    assert "Traceback" not in text, text
    assert not named or "\\x1b" in text, text


def run(*arguments: str, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [*MAIN, *arguments], capture_output=True, cwd=cwd, check=False, timeout=120, env=os.environ | (env or {})
    )
    assert done.returncode == code, (done.stdout[-500:], done.stderr[-2000:])
    assert_clean(done.stderr, named=False)
    return done


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Two nodes with nasty names for all that has one: files, nodes, namespaces, interfaces, containers, rules."""
    folder = tmp_path_factory.mktemp("nasty")
    packet = IP(src="192.0.2.1", dst="172.17.0.2", id=5) / TCP(sport=1000, dport=80, flags="S", seq=9)
    words = IPTABLES_RULES["iptables"]["ip"].replace("-A FORWARD -j", f"-A FORWARD {ONE_LINE} -j")
    rules = IPTABLES_RULES | {"iptables": {"ip": words, "ip6": None}}
    written = []
    for number in range(2):
        node = Node(f"n{number}{NAME}")
        node.netns(ruleset=rules)
        node.interface(f"a{NAME}", 2, addresses=["192.0.2.1"], filter_text=NAME)
        node.interface("b", 3, kind="veth", peer=NASTY)
        node.netns(NASTY, container=NASTY)
        node.interface("c", 2, netns=NASTY, kind="veth", peer="root")
        node.snapshot("containers", [{"id": "1", "name": NASTY, "addresses": ["172.17.0.2"]}])
        node.snapshot("capture", {"filter": NASTY, NASTY: NASTY, "version": NASTY})
        node.see(f"a{NAME}", IN if number else OUT, 1 + number * 10, packet)
        node.trace(2 + number * 10, packet, "FORWARD", rules=[("FORWARD", ACCEPT_RULE, 1 - number)], policy=None)
        node.see("b", OUT, 3, packet)
        node.see("c", OUT, 900, IP(src="9.9.9.9", dst="9.9.9.8", id=7) / UDP(sport=1, dport=2), netns=NASTY)
        written.append(node.write(folder))
    return written


@pytest.mark.parametrize("more", [(), ("--paths", "all"), ("--connection", "1"), ("--memory", "512")])
@pytest.mark.fault(
    "hostile names",
    "markup, escapes and line ends in every name, `correlate`",
    "shown escaped; none begins a line",
)
def test_correlate(files, tmp_path, more):
    assert_clean(run("correlate", *files, *more, cwd=tmp_path).stdout)
    run("correlate", *files, *more, "-o", "out", cwd=tmp_path)
    assert_clean((tmp_path / "out").read_bytes())


@pytest.mark.fault("hostile names", "the same, `--explain`", "shown escaped")
def test_explain(files, tmp_path):
    assert_clean(run("correlate", *files, "--explain", f"{files[0]}:{FRAME}", cwd=tmp_path).stdout)


def test_json_holds_the_names_as_they_are_and_is_ascii(files, tmp_path):
    for more in ([], ["--explain", f"{files[0]}:{FRAME}"]):
        out = run("correlate", *files, "--format", "json", *more, cwd=tmp_path).stdout
        assert out.isascii()
        assert json.dumps(NAME)[1:-1].encode() in out


@pytest.mark.fault("hostile names", "the same, `show`", "shown escaped")
def test_show(files, tmp_path):
    assert_clean(run("show", files[0], cwd=tmp_path).stdout)


@pytest.mark.fault("hostile names", "names that are no UTF-8", "shown escaped")
def test_names_that_are_no_utf_8(files, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\x1b[2J.pcapng"
    Path(os.fsdecode(path)).write_bytes(Path(files[0]).read_bytes())
    for command in (["correlate"], ["show"]):
        done = subprocess.run([*MAIN, *command, path], capture_output=True, check=False, timeout=120)
        assert done.returncode == 0
        assert_clean(done.stdout)
        assert b"/\\xff\\x1b[2J.pcapng" in done.stdout
    done = subprocess.run([*MAIN, "correlate", "--format", "json", path], capture_output=True, check=False, timeout=120)
    assert os.fsencode(json.loads(done.stdout)["captures"][0]["file"]) == path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["correlate", NAME], 1),
        (["correlate", f"={NAME}"], 1),
        (["correlate", f"{NAME}={NAME}"], 1),
        (["correlate", "FILE", "--filter", NAME], 2),
        (["correlate", "FILE", "--explain", f"{NAME}:1"], 2),
        (["correlate", "FILE", "--explain", NAME], 2),
        (["correlate", "FILE", "-o", f"{NAME}/{NAME}"], 1),
        (["correlate", "FILE", f"--{NAME}"], 2),
        (["correlate", "FILE", "--path", NAME], 2),
        (["correlate", "FILE", "--format", NAME], 2),
        (["correlate", "FILE", "--paths", NAME], 2),
        (["show", NAME], 1),
        (["show", "FILE", NAME], 2),
        ([NAME], 2),
        ([f"--{NAME}"], 2),
        (["capture", "--iface", NAME, "-w", "x"], 1),
        (["capture", "--netns", NAME, "-w", "x"], 1),
        (["capture", "--trace-match", NAME, "-w", "x", "--iface", "lo", "--duration", "0.1"], 1),
        (["capture", "--filter", NAME, "-w", "x", "--iface", "lo", "--duration", "0.1"], 1),
        (["capture", "--iface", "lo", "-w", f"{NAME}/{NAME}", "--duration", "0.1"], 1),
        (["lab", "up", "--prefix", NAME], 1),
        (["lab", "down", "--prefix", NAME], 1),
        (["lab", "status", "--prefix", NAME], 1),
        (["lab", NAME], 2),
    ],
)
@pytest.mark.fault("hostile names", "escapes in arguments", "errors and usage show them escaped")
def test_errors_and_wrong_usage(files, tmp_path, arguments, code):
    done = run(*(a.replace("FILE", files[0]) if a == "FILE" else a for a in arguments), cwd=tmp_path, code=code)
    assert_clean(done.stderr, named="--path" not in arguments and "--paths" not in arguments)
    assert_clean(done.stdout, named=False)


@pytest.mark.fault("hostile names", "stdout takes ASCII only", "the rest is escaped")
def test_an_encoding_that_has_few_characters(files, tmp_path):
    done = run("correlate", *files, cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert_clean(done.stdout)


@pytest.mark.root
@pytest.mark.fault("hostile names", "interfaces with escapes in their names, `capture`", "captured, shown escaped")
def test_capture_of_interfaces_with_nasty_names(tmp_path):
    """On a terminal (its status line and summary), on a pipe, and what `show` and `doctor` then say."""
    name, netns = "e\x1b[31m\x9bX\x7f\u202e", f"ttfilesesc{os.getpid()}"
    inside = ["ip", "netns", "exec", netns]
    subprocess.run(["ip", "netns", "add", netns], check=True)
    try:
        subprocess.run([*inside, "ip", "link", "add", name, "type", "bridge"], check=True)
        subprocess.run([*inside, "ip", "link", "set", name, "up"], check=True)
        command = [*inside, *MAIN, "capture", "--node-name", f"n{NAME}", "--duration", "0.8", "-w", f"o{NAME}"]
        master, slave = pty.openpty()
        with subprocess.Popen(command, cwd=tmp_path, stderr=slave, stdout=slave) as process:
            os.close(slave)
            shown = b""
            while True:
                try:
                    shown += os.read(master, 4096)
                except OSError:  # its end
                    break
        assert process.returncode == 0, shown
        os.close(master)
        assert b"\r\x1b[K" in shown
        assert_clean(shown.replace(b"\r\x1b[K", b"").replace(b"\r\n", b"\n"))
        assert escape(name) in shown.decode()
        assert_clean(run("show", f"o{NAME}", cwd=tmp_path).stdout)
        done = subprocess.run([*inside, *MAIN, "doctor"], capture_output=True, check=False)
        assert_clean(done.stdout, named=False)
        assert_clean(done.stderr, named=False)
    finally:
        subprocess.run(["ip", "netns", "delete", netns], check=True)


def test_other_commands(tmp_path):
    assert_clean(run("warm-up", cwd=tmp_path).stdout, named=False)
    assert_clean(run("demo", "--recorded", "--keep", NAME, cwd=tmp_path).stdout, named=False)


# --- the function ---------------------------------------------------------------------------------------------------


def test_what_is_visible_stays():
    for text in ("veth0", "grün", "接口 1", "a\\x1b b", "№ ±5 µs … →", ""):
        assert escape(text) is text


def test_everything_else_is_escaped():
    assert escape("a\nb\r\t\x1b\x7f\x9b") == "a\\nb\\r\\t\\x1b\\x7f\\x9b"
    assert escape("\u2028\u202e\u200b\ufeff\ud800\U000e0041") == "\\u2028\\u202e\\u200b\\ufeff\\ud800\\U000e0041"
    assert escape(b"v\xff".decode(errors="surrogateescape")) == "v\\xff"
    assert not any(FORBIDDEN.search(escape(chr(code))) for code in range(0x110000))
    assert escape_lines("a\x1b\nb\r\n") == "a\\x1b\nb\\r\n"


class Pair(NamedTuple):
    name: str
    count: int


@dataclass(frozen=True)
class Nested:
    pairs: tuple[Pair, ...]
    names: dict[str, list[str]]


def test_values_are_made_safe_at_any_depth_and_else_stay_the_same():
    clean = Nested((Pair("a", 1),), {"b": ["c"]})
    assert safe(clean).pairs is clean.pairs
    assert safe(Nested((Pair("\n", 1),), {"\n": ["\n"]})) == Nested((Pair("\\n", 1),), {"\\n": ["\\n"]})


def test_a_guarded_stream_lets_line_ends_through_and_nothing_else(tmp_path):
    with (tmp_path / "out").open("w", encoding="latin-1") as file:
        guarded = Guarded(file)
        print("a\x1b", "…", file=guarded)
        guarded.writelines(["b\r\n", "c"])
        guarded.flush()
    assert (tmp_path / "out").read_bytes() == b"a\\x1b \\u2026\nb\\r\nc"


# --- that nobody forgets it -----------------------------------------------------------------------------------------

WRITERS = {
    "cli.py", "cli_agent.py", "cli_node.py", "cli_process.py", "cli_report_file.py", "cli_start.py", "cli_streams.py",
    "report/text/progress.py",
}  # fmt: skip
"""Who writes to a stream of the process: all else returns text, or raises."""
PACKAGES = ("capture", "correlate", "kernels", "lab", "pcapng", "report", "warm_up")


def test_only_command_lines_and_progress_write_to_the_terminal():
    """And they do it through `run_to_exit`, which guards both streams: nothing that is added later can pass it by."""
    for path in [*ROOT.glob("*.py"), *(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))]:
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            spoken = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            stream = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if spoken in ("print", "typer.echo") or stream in ("sys.stdout", "sys.stderr"):
                assert name in WRITERS, f"{name}: line {node.lineno}"
            if spoken == "unguarded":
                assert name == "report/text/progress.py"
    assert "guard(sys.stdout), guard(sys.stderr)" in ast.unparse(ast.parse((ROOT / "cli_process.py").read_text()))
    for line in ("cli.py", "cli_agent.py", "cli_start.py"):
        assert "run_to_exit(" in (ROOT / line).read_text()


def test_every_text_for_people_is_laid_out_of_safe_values():
    """What `report.text` has for others calls `safe`, so no value can begin a line; a door that is added must too."""
    doors = {
        "capture_file.py": ["description_text"],
        "doctor.py": ["diagnoses_text", "lab_text", "warm_up_text"],
        "expectations.py": ["expectations_text"],
        "explanation.py": ["explanation_text"],
        "progress.py": ["capture_summary"],
        "report.py": ["text_pieces"],
        "why.py": ["why_pieces"],
    }
    said = re.findall(
        r"(?m)^    (\w+): (.*)$", ast.get_docstring(ast.parse((ROOT / "report/text/__init__.py").read_text()))
    )
    named = {(f"{module}.py", name) for module, names in said for name in names.split(", ")}
    assert named - {("progress.py", "capture_status"), ("progress.py", "stages")} <= {
        (module, name) for module, names in doors.items() for name in names
    }
    for module, names in doors.items():
        for node in ast.walk(ast.parse((ROOT / "report/text" / module).read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in names:
                assert "safe(" in ast.unparse(node), f"{module}: {node.name}"
