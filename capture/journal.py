"""Settings that are changed for a session, written down before each change, so that a killed capture's can be undone.

One JSON file per process in /run/ttrace (a tmpfs: a reboot undoes settings and journal alike).
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from .netns import Netns, open_netns, own_netns

JOURNAL_DIRECTORY = Path("/run/ttrace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that was changed."""

    netns: str
    """Label of the namespace, for people."""
    inode: int
    """Number of the namespace."""
    name: str
    """Path of the setting below /proc/sys."""
    before: str
    after: str


class Journal:
    """The changes of this process."""

    def __init__(self, directory: Path | None = None) -> None:
        """Write to `directory` (default /run/ttrace), which is made with the first change."""
        self._path = (directory or JOURNAL_DIRECTORY) / f"{os.getpid()}.json"
        self._changes: list[tuple[Netns, Change]] = []

    def set_value(self, netns: Netns, name: str, value: str) -> None:
        """Set /proc/sys/`name` in `netns`, unless it has that value. Raises OSError."""
        setting = Path("/proc/sys", name)
        with netns.entered():
            before = setting.read_text().strip()
            if before == value:
                return
            change = Change(netns=netns.label, inode=netns.inode, name=name, before=before, after=value)
            self._changes.append((netns, change))
            self._write()
            setting.write_text(value)

    def restore(self) -> list[str]:
        """Put everything back, newest first, and delete the journal; returns warnings."""
        warnings = []
        for netns, change in reversed(self._changes):
            try:
                with netns.entered():
                    _put_back(change)
            except OSError as error:
                warnings.append(
                    f"could not restore {change.name} to `{change.before}` in {netns.label}: {error.strerror}"
                )
        self._changes.clear()
        self._path.unlink(missing_ok=True)
        return warnings

    def _write(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = {
            "pid": os.getpid(),
            "started": process_start(os.getpid()),
            "changes": [asdict(change) for _, change in self._changes],
        }
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(record))
        temporary.rename(self._path)


def restore_stale(directory: Path | None = None) -> list[str]:
    """Undo what processes that no longer live have left; returns one line for each setting put back or given up."""
    folder = directory or JOURNAL_DIRECTORY
    if not folder.is_dir():
        return []
    lines: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            record = json.loads(path.read_text())
            if process_start(record["pid"]) == record["started"]:
                continue
            changes = [Change(**change) for change in record["changes"]]
        except (OSError, ValueError, KeyError, TypeError):
            changes = []
            lines.append(f"{path}: unreadable, removed")
        lines += [_restore_stale_change(change) for change in reversed(changes)]
        path.unlink(missing_ok=True)
    return lines


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
    except OSError as error:
        return f"{what}: could not be restored to `{change.before}`: {error.strerror}"
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
        except OSError:
            continue
    return None
