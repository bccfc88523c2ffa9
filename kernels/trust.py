"""Whether somebody else could have written what is read, loaded or run: root does what a planted file says.

A path is trusted when root or another of its owners has everything on the way to it, and nobody else may write there;
a folder for all, as /tmp, is passed where only the owner of an entry may replace it (sticky).
"""

import errno
import os
import stat
from collections.abc import Collection, Iterator
from typing import Final

PROGRAM_FOLDERS: Final = (
    "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin", "/run/current-system/sw/bin",
)  # fmt: skip
"""Where root looks for other programs, in this order: PATH is whoever's who starts us."""
LOADING_VARIABLES: Final = ("XTABLES_LIBDIR", "IPTABLES_LIB_DIR", "IP6TABLES_LIB_DIR")
"""They name a folder of plugins: libxtables reads them, in whatever process it is."""
_MOST_LINKS = 40  # MAXSYMLINKS (linux/namei.h)


def untrusted(path: str | os.PathLike[str], owners: Collection[int]) -> str | None:
    """Why what is at `path`, or will be, may be somebody else's; None if it is of root or one of the `owners`.

    `owners`: user ids. What does not exist yet is as trusted as the folder that it would be made in.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100 - links on the way are what is looked at
    try:
        ways = list(_way_to(absolute))
    except OSError as error:
        return f"`{absolute}`: {os.strerror(error.errno or 0)}"
    for number, (name, status) in enumerate(ways):
        is_last = number + 1 == len(ways)
        reason = _distrusted(name, status, owners, may_be_shared=not is_last or not os.path.lexists(absolute))
        if reason:
            return reason
    return None


def is_trusted_file(status: os.stat_result, owners: Collection[int]) -> bool:
    """Whether an open file is one that only root and the `owners` may write."""
    return stat.S_ISREG(status.st_mode) and _distrusted("", status, owners, may_be_shared=False) is None


def _way_to(absolute: str) -> Iterator[tuple[str, os.stat_result]]:
    """Everything that is passed on the way, links and what they name, up to what exists. Raises OSError."""
    yield "/", os.lstat("/")
    at, waiting, links = "/", absolute.split("/"), 0
    while waiting:
        part = waiting.pop(0)
        if part == "..":
            at = os.path.dirname(at)  # noqa: PTH120
        if part in ("", ".", ".."):
            continue
        name = os.path.join(at, part)  # noqa: PTH118
        try:
            status = os.lstat(name)
        except FileNotFoundError:
            return
        yield name, status
        if not stat.S_ISLNK(status.st_mode):
            at = name
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = os.readlink(name)  # noqa: PTH115
        at = "/" if target.startswith("/") else at
        waiting = [*target.split("/"), *waiting]


def _distrusted(name: str, status: os.stat_result, owners: Collection[int], *, may_be_shared: bool) -> str | None:
    if status.st_uid != 0 and status.st_uid not in owners:
        return f"`{name}` belongs to another user (uid {status.st_uid})"
    if stat.S_ISLNK(status.st_mode):  # its mode says nothing
        return None
    if may_be_shared and stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return None
    if status.st_mode & stat.S_IWOTH:
        return f"`{name}` can be written by everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private_group(name, status):
        return f"`{name}` can be written by a group (gid {status.st_gid})"
    return None


def _is_private_group(name: str, status: os.stat_result) -> bool:
    """Whether the group is the owner's own, as most distributions make one for each user (umask 002 then)."""
    import grp
    import pwd

    try:
        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
        # An access list shows as the rights of the group, and may name others.
        has_list = bool(name) and "system.posix_acl_access" in os.listxattr(name)
    except (KeyError, OSError):
        return False
    is_own = owner.pw_gid == status.st_gid and owner.pw_name == group.gr_name
    return is_own and not has_list and set(group.gr_mem) <= {owner.pw_name}
