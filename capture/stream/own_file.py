"""A file that root writes where others may write too: made here, with a name that was free or that of an own old file.

Whoever can make names in a folder (/tmp) may have put a file, a link or a second name of another file there. So nothing
that exists is ever opened for writing: a file is made, or, with `force`, one that is made takes the place of the old.
"""

import errno
import fcntl
import os
import pwd
import secrets
import stat
from contextlib import suppress

from ...errors import TtraceError

_ANOTHER = "choose another file with `-w`"
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
"""What a look at a path may say of the file. All else (rights that were dropped meanwhile, a server that does not
answer) says nothing about it."""


class OwnFile:
    """A regular file made by this process, which only its owner can read.

    For a name that is free it is there at once. An old file stays as it is until `put_in_place`: `begin` makes one
    beside it.
    """

    def __init__(self, path: str, *, force: bool = False) -> None:
        """Make the file, or see that it may take the place of the one that is there. Raises TtraceError, OSError."""
        self.path = path
        self.descriptor = -1
        """Where it is written after `begin`. Stays the same number."""
        self._made: str | None = None
        """The name in its folder of the file that was made."""
        self._written = 0
        folder, self._name = os.path.split(path)
        self._folder = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._old: int | None = None
        try:
            # Without links: one that is turned elsewhere later does not move the file.
            self._real_path = os.path.join(os.readlink(f"/proc/self/fd/{self._folder}"), self._name)  # noqa: PTH118, PTH115
            try:
                self.descriptor = self._make(self._name)
            except FileExistsError:
                self._old = self._open_old(force)
                self.descriptor = os.dup(self._old)
        except BaseException:
            os.close(self._folder)
            raise

    def begin(self) -> None:
        """Have something to write to. Raises OSError."""
        if self._old is not None:
            made = self._make(f".ttrace-{secrets.token_hex(8)}")
            os.dup2(made, self.descriptor, inheritable=False)
            os.close(made)

    def put_in_place(self) -> None:
        """Let the file that was begun take the place of the old one. Raises OSError.

        Who has the old one open sees nothing of it, and what else names the old one keeps it.
        """
        if self._old is not None and self._made is not None:
            os.rename(self._made, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._made = self._name
            os.close(self._old)
            self._old = None

    def close(self) -> None:
        """Close it."""
        for descriptor in (self.descriptor, self._folder, self._old):
            if descriptor is not None:
                os.close(descriptor)

    def remove(self) -> None:
        """Remove what was made, if it has its name still."""
        if self._made is not None and self._is_at(self._made, self._folder):
            with suppress(OSError):
                os.unlink(self._made, dir_fd=self._folder)

    @property
    def where(self) -> str | None:
        """A path that leads to it, None if none does."""
        if self._is_at(self._real_path) is not False:
            return self.path
        moved = os.readlink(f"/proc/self/fd/{self.descriptor}")  # noqa: PTH115
        return moved if self._is_at(moved) else None

    def trouble(self, written: int) -> TtraceError | None:
        """What was done to it meanwhile that makes further writing pointless, None if nothing.

        `written`: how long it has to be by now.
        """
        status = os.fstat(self.descriptor)
        where = self.where
        if where is None or not status.st_nlink:
            gone = "moved out of reach, with its folder or file system," if status.st_nlink else "deleted"
            hint = "the capture was ended; nobody can read what it recorded"
            return TtraceError(f"`{self.path}` was {gone} while it was written", hint)
        if where != self.path:
            hint = "the capture was ended; what it recorded until then is there, whole and readable"
            return TtraceError(f"`{self.path}` was moved to `{where}` while it was written", hint)
        if status.st_size < written:
            hint = "the capture was ended; what it recorded is lost for the most part"
            return TtraceError(f"`{self.path}` was cut while it was written", hint)
        if self._is_read_only(written):
            hint = f"the capture was stopped; its first {written:,} bytes are whole and readable"
            return TtraceError(f"the file system of `{self.path}` has become read-only", hint)
        return None

    def _is_read_only(self, written: int) -> bool:
        """Whether the file system takes no changes any more; asked only where writing itself does not tell."""
        before, self._written = self._written, written
        try:
            if written == before:
                os.utime(self.descriptor)  # after an error, ext4 refuses what is new, and looks as it did before
        except OSError as error:
            return error.errno == errno.EROFS
        return False

    def _make(self, name: str) -> int:
        """Make a file that only its owner can read, locked. Raises OSError, FileExistsError if anything is there."""
        # O_APPEND: what is written after somebody cut the file does not hide that behind a hole.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=self._folder)
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            user, group = sudo_user()
            if user is not None:
                # Of `sudo ttrace capture` the person's, who will correlate it without root.
                os.fchown(descriptor, user, -1 if group is None else group)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.unlink(name, dir_fd=self._folder)
            os.close(descriptor)
            raise
        self._made = name
        return descriptor

    def _open_old(self, force: bool) -> int:
        """Open the file that is there, for its lock alone. Raises TtraceError when it may not be replaced."""
        check_owner(self.path, os.stat(self._name, dir_fd=self._folder, follow_symlinks=False))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        old = os.open(self._name, flags, dir_fd=self._folder)
        try:
            check_owner(self.path, os.fstat(old))
            fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not force:
                raise TtraceError(f"`{self.path}` exists already", hint=f"{_ANOTHER}, or replace it with `--force`")
            if not os.access(".", os.W_OK, dir_fd=self._folder, effective_ids=True):
                raise PermissionError(errno.EACCES, "no file can be made in its folder")
        except BlockingIOError as error:
            os.close(old)
            raise TtraceError(f"another capture is writing `{self.path}`", hint=_ANOTHER) from error
        except BaseException:
            os.close(old)
            raise
        return old

    def _is_at(self, path: str, folder: int | None = None) -> bool | None:
        """Whether this path is that of the file; None if that cannot be known."""
        try:
            found = os.stat(path, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            return False if error.errno in _NOT_THERE else None
        return os.path.samestat(found, os.fstat(self.descriptor))


def check_owner(path: str, status: os.stat_result) -> None:
    """See that what is at `path` may be written or replaced as far as its kind and owner go. Raises TtraceError."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        raise TtraceError(f"`{path}` is a symbolic link", hint=f"links are not followed: {_ANOTHER}")
    if kind in (stat.S_IFDIR, stat.S_IFSOCK):
        raise TtraceError(f"`{path}` is a {'folder' if kind == stat.S_IFDIR else 'socket'}", hint=_ANOTHER)
    if kind in (stat.S_IFREG, stat.S_IFIFO) and status.st_uid not in (os.geteuid(), sudo_user()[0]):
        raise TtraceError(
            f"`{path}` belongs to {_user_name(status.st_uid)}", hint=f"the capture is not handed to another: {_ANOTHER}"
        )


def sudo_user() -> tuple[int | None, int | None]:
    """User and group who called `sudo`, None without it."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not user.isdecimal():
        return None, None
    return int(user), int(group) if group.isdecimal() else None


def _user_name(number: int) -> str:
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"
