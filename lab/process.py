"""Processes: run one to its end, start one that outlives us, and tell a pid from its reuse."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import TtraceError


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    """Its number in the pid namespace of this machine's /proc."""
    start_time: int
    """Clock ticks between boot and its start (field 22 of /proc/PID/stat)."""

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Identify the running process `pid`; ProcessLookupError when there is none."""
        fields = _stat_fields(pid)
        if fields is None:
            raise ProcessLookupError(f"no process {pid}")
        return cls(pid, int(fields[19]))

    def is_running(self) -> bool:
        """Whether this very process still runs; a zombie does not, and is reaped if it is our child."""
        fields = _stat_fields(self.pid)
        if fields is None or int(fields[19]) != self.start_time:
            return False
        if fields[0] != "Z":
            return True
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return False


def running_processes() -> list[ProcessId]:
    """Every process of this machine that is not a zombie."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]  # noqa: PTH208 - a Path each is slow
    stats = {pid: fields for pid in pids if (fields := _stat_fields(pid)) is not None}
    return [ProcessId(pid, int(fields[19])) for pid, fields in stats.items() if fields[0] != "Z"]


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third (state) on, or None without such a process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in parentheses, which may itself hold spaces and parentheses.
    return text[text.rindex(")") + 2 :].split()


def start_detached(argv: list[str], log: Path, env: Mapping[str, str]) -> ProcessId:
    """Start a process in a session of its own that goes on when this one ends; its output is appended to `log`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawnp(
        argv[0],
        argv,
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return ProcessId.of(pid)


def run(
    argv: Sequence[str],
    *,
    stdin_text: str | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout_s: float = 30.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end with its text output captured.

    With `check`, a failing command is a TtraceError that quotes the last line it wrote to stderr. A command that
    takes longer than `timeout_s` seconds is killed, with all it started, and is a TtraceError too.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin_text is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise TtraceError(f"`{argv[0]}` is not installed", "install it, or check PATH") from error
    with process:
        try:
            output, errors = process.communicate(stdin_text, timeout_s)
        except BaseException as error:
            # nsenter forks to enter a pid namespace: the whole group has to go, not only nsenter.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TtraceError(f"`{' '.join(argv)}` took longer than {timeout_s:g} s") from error
            raise
    if check and process.returncode != 0:
        last_line = (errors.strip() or output.strip() or "no output").splitlines()[-1]
        raise TtraceError(f"`{' '.join(argv)}` failed with exit code {process.returncode}: {last_line}")
    return subprocess.CompletedProcess(list(argv), process.returncode, output, errors)


def listens(pid: int, protocol: str, port: int) -> bool:
    """Whether some socket in the network namespace of process `pid` is bound to `port` of "tcp" or "udp" (IPv4)."""
    wanted_state = "0A" if protocol == "tcp" else "07"  # TCP_LISTEN; an unconnected UDP socket is in TCP_CLOSE
    try:
        lines = Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return False
    sockets = (line.split() for line in lines)
    return any(fields[1].endswith(f":{port:04X}") and fields[3] == wanted_state for fields in sockets)
