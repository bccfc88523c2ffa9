"""Programs that a capture runs as root: only those that root put there, and with little."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from ttrace.capture.doctor import examine
from ttrace.capture.machine import programs
from ttrace.capture.machine.programs import find_program, run_program
from ttrace.capture.rules.ruleset import read_ruleset
from ttrace.errors import TtraceError

from ..command import run_ttrace

TELLING = "#!/bin/sh\nenv; pwd; cat /proc/self/status; readlink /proc/self/fd/0 /proc/self/ns/net\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder in which programs are looked for."""
    place = tmp_path / "bin"
    place.mkdir(0o755)
    place.chmod(0o755)
    monkeypatch.setattr(programs, "PROGRAM_FOLDERS", (str(place),))
    find_program.cache_clear()
    yield place
    find_program.cache_clear()


def put(folder: Path, name: str, text: str = TELLING) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


PLANTED = (
    "iptables", "iptables-save", "ip6tables-save", "iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save",
    "ip6tables-legacy-save", "nft", "ip", "ldconfig", "gcc", "cc", "ld", "objdump", "uname", "modprobe", "sh",
)  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            command,
            marks=pytest.mark.fault("programs", f"first in PATH are others' programs, `ttrace {command}`", "none runs"),
        )
        for command in ("capture", "doctor")
    ],
)
def test_a_program_that_is_planted_in_path_does_not_run(network, tmp_path, command):
    network.run(network.router, "iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-p", "icmp", "-j", "ACCEPT")
    ran = tmp_path / "ran"
    for name in PLANTED:
        put(tmp_path, name, f"#!/bin/sh\necho $0 >>{ran}\nPATH={os.environ['PATH']} exec $(basename $0) $@\n")
    arguments = ["-w", str(tmp_path / "x.pcapng"), "--duration", "0.2"] if command == "capture" else []
    done = run_ttrace(command, *arguments, namespace=network.router, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert not ran.exists()
    if command == "capture":
        assert b"-A PREROUTING -p icmp -j ACCEPT" in (tmp_path / "x.pcapng").read_bytes()


@pytest.mark.fault(
    "programs",
    "the environment names folders of plugins (XTABLES_LIBDIR, LD_LIBRARY_PATH)",
    "no program gets it, nor libnftables",
)
def test_a_program_gets_nothing_of_the_environment_and_few_rights(folder, router, monkeypatch):
    for name in ("XTABLES_LIBDIR", "IPTABLES_LIB_DIR", "LD_LIBRARY_PATH", "PYTHONPATH", "BASH_ENV", "ENV"):
        monkeypatch.setenv(name, str(folder))
    put(folder, "telling")
    with router.entered():
        said = run_program(["telling"], timeout_s=10).stdout.decode()
        read_ruleset(router)
    assert str(folder) not in said.replace(f"PATH={folder}", "")
    assert "XTABLES_LIBDIR" not in os.environ
    assert {line.partition("=")[0] for line in said.splitlines() if "=" in line} <= {
        "PATH",
        "LC_ALL",
        "HOME",
        "PWD",
        "_",
        "SHLVL",
        "OLDPWD",
    }
    assert "NoNewPrivs:\t1" in said
    for kind in ("Prm", "Eff", "Bnd"):
        assert f"Cap{kind}:\t{1 << 12 | 1 << 13:016x}" in said  # CAP_NET_ADMIN, CAP_NET_RAW
    assert "\n/\n" in said
    assert "/dev/null" in said
    assert f"net:[{router.inode}]" in said


def test_our_own_rights_stay(folder):
    put(folder, "telling")
    before = [
        line for line in Path("/proc/thread-self/status").read_text().splitlines() if "Cap" in line or "New" in line
    ]
    run_program(["telling"], timeout_s=10)
    after = [
        line for line in Path("/proc/thread-self/status").read_text().splitlines() if "Cap" in line or "New" in line
    ]
    assert after == before


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(
            spoil, id=what, marks=pytest.mark.fault("programs", what, "it is not run; the next of its name is")
        )
        for what, spoil in {
            "a program that everybody may write": lambda path: path.chmod(0o777),
            "a program that belongs to another user": lambda path: os.chown(path, 65_534, 65_534),
            "a program in a folder that everybody may write": lambda path: path.parent.chmod(0o777),
            "a program in a folder of another user": lambda path: os.chown(path.parent, 65_534, 65_534),
        }.items()
    ],
)
def test_a_program_that_another_could_have_put_there_does_not_run(folder, monkeypatch, spoil):
    other = folder.with_name("other")
    other.mkdir(0o755)
    spoil(put(folder, "telling"))
    assert run_program(["telling"], timeout_s=10) is None
    put(other, "telling", "#!/bin/sh\necho mine\n")
    monkeypatch.setattr(programs, "PROGRAM_FOLDERS", (str(folder), str(other)))
    find_program.cache_clear()
    assert run_program(["telling"], timeout_s=10).stdout == b"mine\n"


@pytest.mark.fault("programs", "a program takes too long", "ended, one line; no process is left")
def test_a_program_that_takes_too_long_is_ended(folder):
    put(folder, "slow", f"#!/bin/sh\necho $$ >{folder}/pid\nexec {shutil.which('sleep')} 60\n")
    with pytest.raises(TtraceError, match=r"`slow -c` did not end within 0\.5 s"):
        run_program(["slow", "-c"], timeout_s=0.5)
    pid = (folder / "pid").read_text().strip()
    assert not Path("/proc", pid).exists()


@pytest.mark.fault("programs", "a program that is no program", "as if there were none")
def test_what_cannot_be_executed_is_as_if_it_were_not_there(folder):
    put(folder, "broken", "#!/nowhere/interpreter\n")
    assert run_program(["broken"], timeout_s=10) is None
    assert run_program(["absent"], timeout_s=10) is None


@pytest.mark.fault("programs", "there is no iptables at all", "doctor says what is missing; rules have nft's words")
@pytest.mark.usefixtures("folder")
def test_without_iptables_rules_have_the_words_of_nft(router):
    with router.entered():
        findings = {finding.name: finding for finding in examine()}
        rules = read_ruleset(router)
    assert findings["iptables"].text.startswith("not installed")
    assert rules["iptables"] == {"ip": None, "ip6": None}
    assert "masquerade" in rules["nft"]


def test_programs_are_found_where_the_machine_has_them():
    path = find_program("iptables-save")
    assert path
    assert stat.S_ISREG(Path(path).stat().st_mode)
