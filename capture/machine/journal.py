"""Settings that are changed for a session, written down before each change, so that a killed capture's can be undone.

One JSON file per process in /run/ttrace (a tmpfs: a reboot undoes settings and journal alike). Captures may overlap:
what is written down is also a claim. A setting that another living capture claims is left as it is, and the last one
puts back what was there before the first.
"""

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import TtraceError
from ...kernels.kept_files import writing
from ...kernels.trust import is_trusted_file, untrusted
from .netns import Netns, open_netns, own_netns

JOURNAL_DIRECTORY = Path("/run/ttrace")
_SETTING = re.compile(r"net/[A-Za-z0-9_./-]+")
_MOST_BYTES = 1 << 20
"""Of a journal: a thousand settings take less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that was changed, or needed as it was."""

    netns: str
    """Label of the namespace, for people."""
    inode: int
    """Number of the namespace."""
    name: str
    """Path of the setting below /proc/sys."""
    before: str
    """What the last capture that needs `after` puts back."""
    after: str

    def is_same_setting(self, other: "Change") -> bool:
        """Whether both are about one setting of one namespace."""
        return (self.inode, self.name) == (other.inode, other.name)


class Journal:
    """The changes of this process."""

    def __init__(self, directory: Path | None = None) -> None:
        """Write to `directory` (default /run/ttrace), which is made with the first change."""
        self._directory = directory or JOURNAL_DIRECTORY
        self._path = self._directory / f"{os.getpid()}.json"
        self._changes: list[tuple[Netns, Change]] = []

    def set_value(self, netns: Netns, name: str, value: str) -> None:
        """Set /proc/sys/`name` in `netns`, and claim that value until `restore`. Raises OSError, TtraceError."""
        setting = Path("/proc/sys", name)
        _make(self._directory)
        with _locked(self._directory), netns.entered():
            now = setting.read_text().strip()
            change = Change(netns=netns.label, inode=netns.inode, name=name, before=now, after=value)
            if now == value:
                # Perhaps another capture set it: then what it found is what the last of us puts back. Also if it is
                # dead: nobody else will, once we claim the setting.
                others = [
                    other
                    for path in self._other_journals()
                    for other in _read(path).changes
                    if other.is_same_setting(change) and other.after == value
                ]
                change = others[0] if others else change
            self._changes.append((netns, change))
            self._write()
            if now != value:
                setting.write_text(value)

    def restore(self) -> list[str]:
        """Put back all that no other living capture claims, newest first, and delete the journal; returns warnings."""
        if not self._changes:
            return []
        warnings = []
        with _locked(self._directory):
            claims = _claims(self._other_journals())
            for netns, change in reversed(self._changes):
                if any(claim.is_same_setting(change) for claim in claims):
                    continue
                try:
                    with netns.entered():
                        _put_back(change)
                except (OSError, TtraceError) as error:
                    where = f"{change.name} to `{change.before}` in {netns.label}"
                    warnings.append(f"could not restore {where}: {_reason(error)}")
            self._changes.clear()
            self._path.unlink(missing_ok=True)
        return warnings

    def _other_journals(self) -> list[Path]:
        return [path for path in sorted(self._directory.glob("*.json")) if path != self._path]

    def _write(self) -> None:
        record = {
            "pid": os.getpid(),
            "started": process_start(os.getpid()),
            "changes": [asdict(change) for _, change in self._changes],
        }
        with writing(self._path, mode=0o600) as file:
            file.write(json.dumps(record).encode())


def restore_stale(directory: Path | None = None) -> list[str]:
    """Undo what processes that no longer live have left; returns one line for each setting put back or given up."""
    folder = directory or JOURNAL_DIRECTORY
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):  # there is none, or it is root's and we are not
        return []
    reason = untrusted(folder, {os.geteuid()})
    if reason:
        return [f"{folder} is not looked at: {reason}"]
    lines: list[str] = []
    with _locked(folder):
        paths = sorted(folder.glob("*.json"))
        claims = _claims(paths)
        for path in paths:
            record = _read(path)
            if record.is_alive:
                continue
            if not record.is_readable:
                lines.append(f"{path}: unreadable, removed")
            for change in reversed(record.changes):
                # Where nothing was changed, or a living capture puts it back, there is nothing to say.
                if change.before != change.after and not any(claim.is_same_setting(change) for claim in claims):
                    lines.append(_restore_stale_change(change))
            with suppress(OSError):  # a folder of that name is none of ours
                path.unlink()
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What one journal says."""

    changes: list[Change]
    is_alive: bool
    is_readable: bool


_UNREADABLE = _Record(changes=[], is_alive=False, is_readable=False)


def _read(path: Path) -> _Record:
    """A journal that only root, or this user, could have written; else it is not readable."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            if not is_trusted_file(os.fstat(file.fileno()), {os.geteuid()}):
                return _UNREADABLE
            record = json.loads(file.read(_MOST_BYTES))
        return _Record(
            changes=[_change(change) for change in record["changes"]],
            is_alive=process_start(int(record["pid"])) == record["started"],
            is_readable=True,
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _UNREADABLE


def _change(record: dict[str, Any]) -> Change:
    """Raises TypeError or ValueError for what is no change of a network setting: this is written to /proc as root."""
    change = Change(**record)
    if not _SETTING.fullmatch(change.name) or ".." in change.name:
        raise ValueError(f"no setting: {change.name}")
    if not isinstance(change.before, str) or not isinstance(change.after, str) or not isinstance(change.inode, int):
        raise TypeError("a setting's value is text")
    return change


def _claims(paths: list[Path]) -> list[Change]:
    """What the living among these journals need as it is."""
    return [change for record in map(_read, paths) if record.is_alive for change in record.changes]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else reads or writes journals, or the settings they are about, meanwhile."""
    # The folder itself is locked, so that no lock file is left; a process that dies lets go of it.
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _make(folder: Path) -> None:
    """Make the folder of journals, for root alone. Raises OSError: PermissionError where another user has it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    reason = untrusted(folder, {os.geteuid()})
    if reason:
        raise PermissionError(errno.EACCES, f"{reason}; what is changed could not be put back")


def _reason(error: OSError | TtraceError) -> str:
    return error.message if isinstance(error, TtraceError) else str(error.strerror)


def process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), None if it does not live."""
    try:
        # The command, field 2, may hold spaces and parentheses; what follows its last `)` does not.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _restore_stale_change(change: Change) -> str:
    what = f"{change.name} in {change.netns}"
    netns = _find_netns(change.inode)
    if netns is None:
        return f"{what}: its namespace is gone"
    try:
        with netns.entered():
            restored = _put_back(change)
    except (OSError, TtraceError) as error:
        return f"{what}: could not be restored to `{change.before}`: {_reason(error)}"
    finally:
        netns.close()
    return f"{what}: restored to `{change.before}`" if restored else f"{what}: changed by someone else, left as it is"


def _put_back(change: Change) -> bool:
    """Restore one setting in the thread's namespace, unless it was changed since by another; returns whether it was."""
    setting = Path("/proc/sys", change.name)
    if setting.read_text().strip() != change.after:
        return False
    setting.write_text(change.before)
    return True


def _find_netns(inode: int) -> Netns | None:
    """A namespace by its number: ours, one of a living process, or a named one."""
    own = own_netns()
    if own.inode == inode:
        return own
    own.close()
    candidates = [
        *Path("/proc").glob("[0-9]*/ns/net"),
        *Path("/run/netns").glob("*"),
        *Path("/run/docker/netns").glob("*"),
    ]
    for path in candidates:
        try:
            if path.stat().st_ino == inode:
                return open_netns(str(path))
        except (OSError, TtraceError):  # it went away meanwhile
            continue
    return None
