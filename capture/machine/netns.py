"""Network namespaces: finding them by name, process or path, entering them, and the label each has in the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import TtraceError
from .libc import setns
from .privileges import follow_process

NAMED_DIRECTORY = Path("/run/netns")
"""Where `ip netns add` keeps its namespaces (iproute2's NETNS_RUN_DIR)."""
ROOT_LABEL = "root"
"""Label of the node's own namespace: the one ttrace was started in."""
_NAMED_PREFIX = "netns:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Netns:
    """One network namespace that is kept open."""

    label: str
    """Its name everywhere in the file (docs/file-format.md)."""
    inode: int
    fd: int
    is_root: bool
    """Whether this is the node's own namespace: by its number, as others may have the name `root` too."""
    container: str | None = None
    """Name of the container whose namespace this is."""

    @property
    def description(self) -> str:
        """For people: `root namespace`, `container web1`, `namespace blue`."""
        if self.is_root:
            return "root namespace"
        return f"container {self.container}" if self.container else f"namespace {self.label}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Run the calling thread inside this namespace; sockets made meanwhile stay in it for good."""
        follow_process()
        # /proc/thread-self, not self: the latter names the main thread's namespace.
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(before).st_ino == self.inode:  # entering it would need CAP_SYS_ADMIN all the same
                yield
                return
            try:
                setns(self.fd)
            except OSError as error:
                raise TtraceError(f"cannot enter network namespace `{self.label}`: {error.strerror}") from error
            try:
                yield
            finally:
                setns(before)
        finally:
            os.close(before)

    def close(self) -> None:
        """Let the namespace go."""
        os.close(self.fd)


def plain_text(name: bytes) -> str:
    """A name that the kernel gave, which may be any bytes, as text: those that are no UTF-8 are escaped."""
    return name.decode(errors="backslashreplace")


def own_netns() -> Netns:
    """Open the namespace this thread runs in, as the node's root namespace."""
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    return Netns(label=ROOT_LABEL, inode=os.fstat(fd).st_ino, fd=fd, is_root=True)


def named_namespaces() -> dict[int, str]:
    """Inode to name of every namespace made by `ip netns add`."""
    names: dict[int, str] = {}
    if NAMED_DIRECTORY.is_dir():
        for path in sorted(NAMED_DIRECTORY.iterdir()):
            try:
                names.setdefault(path.stat().st_ino, plain_text(os.fsencode(path.name)))
            except OSError:  # it went away, or is not ours to see
                continue
    return names


def open_netns(selector: str) -> Netns:
    """Open a namespace by `ip netns` name, process id, or path; raises TtraceError that says what was looked for."""
    path = _path_of(selector)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        existing = ", ".join(sorted(named_namespaces().values())) or "none"
        raise TtraceError(
            f"network namespace `{selector}`: cannot open {path}: {error.strerror}",
            hint=f"give a name of `ip netns` (there are: {existing}), a process id, or a path",
        ) from error
    inode = os.fstat(fd).st_ino
    # Looking at all names takes a while where there are many, and one may be looked for a hundred times.
    name = path.name if path.parent == NAMED_DIRECTORY else named_namespaces().get(inode)
    is_root = inode == _own_inode()
    label = ROOT_LABEL if is_root else f"net:[{inode}]" if name is None else _name_label(name)
    return Netns(label=label, inode=inode, fd=fd, is_root=is_root)


def open_container_netns(pid: int, name: str) -> Netns:
    """Open the namespace of a container's first process; raises OSError if the process is gone."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    inode = os.fstat(fd).st_ino
    is_root = inode == _own_inode()
    label = ROOT_LABEL if is_root else f"container:{name}" if name == ROOT_LABEL else name
    return Netns(label=label, inode=inode, fd=fd, is_root=is_root, container=name)


def distinct_from(netns: Netns, names: set[str]) -> Netns:
    """`netns`, with `netns:` before its label if that is one of `names`, which are those of containers."""
    return replace(netns, label=f"{_NAMED_PREFIX}{netns.label}") if netns.label in names else netns


def _name_label(name: str) -> str:
    # A container's name has no colon, so a label with one stays free for what it stands for.
    return f"{_NAMED_PREFIX}{name}" if name == ROOT_LABEL or ":" in name else name


def _own_inode() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def _path_of(selector: str) -> Path:
    if "/" in selector:
        return Path(selector)
    # A namespace may be named like a number; the name was given by hand, so it wins.
    named = NAMED_DIRECTORY / selector
    if selector.isdecimal() and not named.exists():
        return Path(f"/proc/{selector}/ns/net")
    return named
