"""The files of compiled kernels: loading one runs what is in it, so only those are read that nobody else could write.

Trusted are root, the user that this process runs as, and the owner of the sources, whose code runs anyway.
"""

import errno
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO, TYPE_CHECKING, Final

from .elf import is_whole
from .trust import is_trusted_file, untrusted

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES: Final = Path(__file__).parent.parent
_FOLDER_MODE: Final = 0o755
_FILE_MODE: Final = 0o644
"""Whatever the umask: nobody else may write, and whoever uses the package may read."""
_trusted: set[Path] = set()
"""Folders that were found to be so: nobody who is not trusted can change that."""


def owners() -> set[int]:
    """User ids of those whose files are used, beside root's."""
    return {os.geteuid(), SOURCES.stat().st_uid}


def why_not_trusted(folder: Path) -> str | None:
    """Why kernels are neither read nor kept there; None if they are. It need not exist yet."""
    if folder in _trusted:
        return None
    reason = untrusted(folder, owners())
    if reason is None and folder.is_dir():
        _trusted.add(folder)
    return reason


def read_file(path: Path) -> bytes:
    """The content of a kept file. Raises OSError: PermissionError where another could have written it."""
    with _opened(path) as file:
        return file.read()


def check_object(path: Path) -> None:
    """For a shared object, which is loaded by its name: raises OSError as `read_file` does, and when a part of it is
    missing. Nobody who is not trusted can replace it afterwards, as the folder is not theirs."""
    with _opened(path) as file:
        if not is_whole(file):
            raise OSError(errno.ENOEXEC, f"`{path}` was cut")


@contextmanager
def _opened(path: Path) -> "Iterator[IO[bytes]]":
    reason = why_not_trusted(path.parent)
    if reason:
        raise PermissionError(errno.EACCES, reason)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        if not is_trusted_file(os.fstat(file.fileno()), owners()):
            raise PermissionError(errno.EACCES, f"`{path}` may have been written by another user")
        yield file


@contextmanager
def writing(path: Path, mode: int = _FILE_MODE) -> "Iterator[IO[bytes]]":
    """A new file that takes the place of the one at `path`, if there is one, when it is written. Raises OSError."""
    temporary = path.with_name(f"{path.name}.tmp.{token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, mode), "wb") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), mode)
            yield file
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def make_folder(folder: Path) -> bool:
    """Make a folder with what is missing above it; returns whether it is new. Raises OSError: PermissionError where
    it, or what is above it, is somebody else's."""
    missing = []
    above = folder
    while not above.is_dir() and above != above.parent:
        missing.append(above)
        above = above.parent
    for one in reversed(missing):
        with suppress(FileExistsError):  # another process made it meanwhile; whether it may be used is seen below
            one.mkdir(_FOLDER_MODE)
            one.chmod(_FOLDER_MODE)
    reason = why_not_trusted(folder)
    if reason:
        raise PermissionError(errno.EACCES, reason)
    return bool(missing)


def forget_others(folder: Path, beginning: str, fingerprint: str) -> None:
    """Remove the files whose name begins so and that are made of other sources: of a version that was here before."""
    for name in os.listdir(folder):  # noqa: PTH208
        if name.startswith(beginning) and fingerprint not in name:
            (folder / name).unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Files, then the folder; another process may do the same, or still use it and then compiles again."""
    with suppress(OSError):
        if folder.is_symlink():
            return
        for file in folder.iterdir():
            file.unlink(missing_ok=True)
        folder.rmdir()
