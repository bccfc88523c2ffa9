"""What a capture still needs of root once everything is open; all else is given up."""

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..kernels.kept_files import SOURCES
from .machine.privileges import (
    CAP_BPF,
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_IPC_LOCK,
    CAP_NET_ADMIN,
    CAP_NET_RAW,
    CAP_PERFMON,
    CAP_SETPCAP,
    CAP_SYS_ADMIN,
    CAP_SYS_PTRACE,
    CAP_SYS_RESOURCE,
    CAP_SYSLOG,
    keep_in_process,
)

if TYPE_CHECKING:
    from .session import Session


_AT_FIRST: Final = frozenset({
    CAP_NET_ADMIN, CAP_NET_RAW,
    CAP_SYS_ADMIN, CAP_SYS_PTRACE,  # namespaces of containers: entering them, finding them by their processes
    CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK, CAP_SYS_RESOURCE,  # programs and buffers in the kernel, and their limits
    CAP_SYSLOG,  # where its functions are, to name those that drop packets
    CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_CHOWN,  # the file, in a folder of whoever called sudo
    CAP_SETPCAP,  # giving up the others later
})  # fmt: skip
"""What opening everything may need. No other right is ever there: not of modules, of devices, of other users."""


def begin_with_few_rights() -> None:
    """Give up what no capture needs, before there is any other thread: rights belong to a thread."""
    # NumPy's threads would keep them, and nothing here needs these.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    with suppress(OSError):  # it will be said when the others cannot be given up either
        keep_in_process(_AT_FIRST)


def give_up_rights(session: "Session") -> None:
    """Give up, for good, what the rest of this capture does not need. The process must be the capture's alone."""
    try:
        keep_in_process(kept_rights(session))
    except OSError as error:
        session.warnings.append(f"rights of root that are not needed could not be given up: {error.strerror}")


def kept_rights(session: "Session") -> set[int]:
    """Numbers of the capabilities that are needed until the end."""
    # Rules are read when they change and at the end, and settings put back; a bridge port may come.
    kept = {CAP_NET_ADMIN, CAP_NET_RAW}
    if any(not target.netns.is_root for target in session.targets.targets):
        kept.add(CAP_SYS_ADMIN)  # setns
    if session.files.ring or _is_in_folder_of_another(session.output.path):
        # The next file of a ring is made, and given to who called sudo; whether the file is still there is looked at.
        kept |= {CAP_DAC_OVERRIDE, CAP_CHOWN}
    if any(_is_private(folder) for folder in (SOURCES, Path(sys.prefix), Path(sys.base_prefix))):
        kept.add(CAP_DAC_READ_SEARCH)  # Python may have more of its own modules to read
    return kept


def _is_private(folder: Path) -> bool:
    """Whether it is read with the rights of root alone: in the home of whoever called sudo."""
    for one in (folder, *folder.resolve().parents):
        try:
            status = one.stat()
        except NotADirectoryError:  # within an archive, which has its turn
            continue
        others = stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else stat.S_IROTH
        if status.st_uid != os.geteuid() and not status.st_mode & others:
            return True
    return False


def _is_in_folder_of_another(path: str) -> bool:
    try:
        return os.stat(os.path.dirname(os.path.abspath(path))).st_uid != os.geteuid()  # noqa: PTH100, PTH116, PTH120
    except OSError:
        return True
