"""Rights: what is given up once a capture stands, that what is kept is enough, and captures without root."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ttrace.lab import wait_until

from .command import COMMAND, IP, run_ttrace
from .conftest import tshark

NET_ADMIN, NET_RAW, SYS_ADMIN, DAC_OVERRIDE, CHOWN, READ_SEARCH = (1 << number for number in (12, 13, 21, 1, 0, 2))
NOBODY = 65_534
ROOT_ALONE = f"""
mkdir -p {{held}} && mount --bind {sys.base_prefix} {{held}} && mount -t tmpfs -o mode=755 none {{top}} &&
mkdir -p {sys.base_prefix} && mount --bind {{held}} {sys.base_prefix} && exec "$@"
"""
"""Python may be in a folder of root alone, as /root: then others see it in a mount namespace where that is not so."""


def tried(what: str, result: str):
    return pytest.mark.fault("rights", what, result)


def as_nobody(folder: Path, *rights: str) -> list[str]:
    """In front of a command: without root, with these rights (`+net_raw`) as ambient ones."""
    listed = ",".join(rights) or "-all"
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={listed}"]
    command += [f"--ambient-caps={listed}"] if rights else []
    private = [one for one in Path(sys.base_prefix).parents if not one.stat().st_mode & 1]
    if not private:
        return command
    script = ROOT_ALONE.format(held=folder / "python", top=private[-1])
    return ["unshare", "--mount", "sh", "-c", script, "sh", *command]


@pytest.fixture
def open_folder(tmp_path):
    """A folder that is nobody's, below folders that everybody passes."""
    path = Path(f"/tmp/ttrights-{os.getpid()}")
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)
    assert tmp_path.exists()


@contextmanager
def capturing(namespace: str, file: Path, *arguments: str, before=()):
    """A capture of the command line that has begun; it is ended as Ctrl-C does, and must end well."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [IP, "netns", "exec", namespace, *before, *COMMAND, "capture", "-w", str(file), *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr.readline().startswith("capturing"), process.stderr.read()
        yield process
        process.send_signal(2)
        said = process.communicate(timeout=30)[1]
        assert process.returncode == 0, said
        assert "Traceback" not in said
        process.said = said
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def rights_of(pid: int) -> set[tuple[int, int, int]]:
    """(Effective, permitted, no new ones) of all threads."""
    found = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        facts = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines() if ":\t" in line)
        found.add(
            (int(facts["CapEff"], 16) & ~READ_SEARCH, int(facts["CapPrm"], 16) & ~READ_SEARCH, int(facts["NoNewPrivs"]))
        )
    return found


@tried("a capture that runs is looked at from outside", "it has CAP_NET_ADMIN and CAP_NET_RAW, and can get no others")
def test_a_capture_that_stands_has_few_rights_and_they_are_enough(network, router, tmp_path):
    network.run(network.router, "iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-p", "icmp", "-j", "ACCEPT")
    file = tmp_path / "x.pcapng"
    settings = ("net.netfilter.nf_conntrack_acct", "net.netfilter.nf_log.2")
    before = [network.run(network.router, "sysctl", "-n", name) for name in settings]
    with router.entered():
        server = socket.create_server(("127.0.0.1", 0))
    inode = os.fstat(server.fileno()).st_ino
    with server, capturing(network.router, file, "--conntrack-details") as process:
        kept = NET_ADMIN | NET_RAW
        wait_until(lambda: rights_of(process.pid) == {(kept, kept, 1)}, 10.0, "rights are given up")
        network.run(network.router, "nft", "add", "table", "inet", "late")
        network.run(network.router, "ip", "link", "add", "late0", "up", "type", "bridge")
        network.ping(count=1)
        wait_until(lambda: b"late0" in file.read_bytes(), 10.0, "the new bridge is captured")
        wait_until(lambda: b"table inet late" in file.read_bytes(), 10.0, "the new rules are recorded")
    assert "warning" not in process.said
    recorded = file.read_bytes()
    assert recorded.count(b"-A PREROUTING -p icmp -j ACCEPT") >= 3  # start, change, stop
    mine = f'"inode": {inode}, "backlog": 0, "most": 128, "pid": {os.getpid()}, '
    assert recorded.count(mine.encode()) == 2  # whose a socket is was looked for before
    assert b"TRACE: raw:PREROUTING:rule:1 " in recorded
    assert [network.run(network.router, "sysctl", "-n", name) for name in settings] == before


@tried("a capture of two namespaces, into a folder of another user", "it also keeps what entering and that folder need")
def test_what_a_capture_needs_for_other_namespaces_and_folders_is_kept(network, open_folder):
    file = open_folder / "x.pcapng"
    with capturing(network.router, file, "--netns", network.client, "--force") as process:
        kept = NET_ADMIN | NET_RAW | SYS_ADMIN | DAC_OVERRIDE | CHOWN
        wait_until(lambda: rights_of(process.pid) == {(kept, kept, 1)}, 10.0, "rights are given up")
        network.run(network.client, "nft", "add", "table", "inet", "late")
        wait_until(lambda: b"table inet late" in file.read_bytes(), 10.0, "the new rules are recorded")
    assert "warning" not in process.said


@tried("the kernel refuses to take rights away (seccomp)", "a warning; the capture runs")
def test_rights_that_cannot_be_given_up_are_a_warning(network, tmp_path):
    script = (
        "import errno, os; from ttrace.capture.machine import privileges\n"
        "def refuse(*_): raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))\n"
        "privileges.keep_in_thread = refuse\n"
        "from ttrace.cli import main; main()\n"
    )
    command = [IP, "netns", "exec", network.router, sys.executable, "-c", script, "capture", "--duration", "0.1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning: rights of root that are not needed could not be given up: Operation not permitted" in done.stderr


def test_a_capture_from_python_leaves_the_process_its_rights(network, start):
    capture = start(network.router)
    capture.wait_ready()
    effective, _, no_new = max(rights_of(capture.process.pid))
    assert effective == int(next(
        line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff")
    ), 16) & ~READ_SEARCH  # fmt: skip
    assert no_new == 0
    capture.stop()


@tried(
    "no root, but ambient CAP_NET_ADMIN and CAP_NET_RAW",
    "this namespace is captured and traced; what only root sees is a warning",
)
def test_two_ambient_rights_capture_ones_own_namespace(network, open_folder):
    file = open_folder / "x.pcapng"
    before = as_nobody(open_folder, "+net_admin", "+net_raw")
    with capturing(network.router, file, before=before) as process:
        network.ping(count=2)
    assert "iptables-legacy" in process.said
    assert "packets that the kernel drops are not recorded" in process.said
    assert process.said.count("warning") == 2
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (NOBODY, 0o600)
    assert len(tshark(file, "-Y", "icmp")) == 12
    assert b"MASQUERADE" in file.read_bytes()
    assert "ttrace" not in network.run(network.router, "nft", "list", "tables")
    assert " trace events" in process.said
    assert " 0 trace events" not in process.said


@pytest.mark.parametrize(
    ("rights", "options", "line"),
    [
        pytest.param(
            (), [], "error: capturing needs root (no CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN here)",
            marks=tried("no rights at all", "one line"), id="none",
        ),
        pytest.param(
            ("+net_admin",), [], "error: capturing needs root (no CAP_NET_RAW, CAP_SYS_ADMIN here)",
            marks=tried("CAP_NET_ADMIN alone", "one line"), id="one",
        ),
        pytest.param(
            ("+net_admin", "+net_raw"), ["--netns", "1"],
            "error: capturing in other namespaces needs root (no CAP_SYS_ADMIN here)",
            marks=tried("two ambient rights, and another namespace is asked for", "one line"), id="netns",
        ),
    ],
)  # fmt: skip
def test_rights_that_are_missing_are_one_line(node, open_folder, rights, options, line):
    command = [IP, "netns", "exec", node, *as_nobody(open_folder, *rights), *COMMAND, "capture", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=open_folder, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("rights", "code"), [((), 1), (("+net_admin", "+net_raw"), 0)])
def test_doctor_says_what_rights_there_are_and_how_to_do_without_root(node, open_folder, rights, code):
    command = [IP, "netns", "exec", node, *as_nobody(open_folder, *rights), *COMMAND, "doctor"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=open_folder, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    if rights:
        assert "CAP_NET_ADMIN and CAP_NET_RAW: enough for this namespace" in said
    else:
        assert "--ambient-caps=+net_admin,+net_raw" in said
        assert "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW" in said
    assert "Traceback" not in done.stderr


def test_doctor_as_root_says_that_less_is_enough(node):
    said = " ".join(run_ttrace("doctor", namespace=node).stdout.split())
    assert "CAP_NET_ADMIN and CAP_NET_RAW are enough" in said
