"""Where compiled kernels are kept: in files that are named by everything a kernel is made of.

Numba looks at the file of a kernel alone. It does not see that a kernel in another file, or a constant, has changed,
and after an update would run one that hashes packets in the old way beside one that does in the new. So the name of a
kernel's file holds a fingerprint of its module and of all that this imports, however deep and in whatever folder:
other sources, other file; and what has nothing to do with a change is not compiled again. The folder is named by the
processor and by the versions of what compiles. It is in the package's `__pycache__`, or in the user's cache where that
cannot be written.

This module is for those who only ask: it does not import numba. `njit.py` is what makes kernels.
"""

import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.util import MAGIC_NUMBER, find_spec
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from ..errors import TtraceError
from .kept_files import SOURCES, forget_others, make_folder, remove_folder, why_not_trusted, writing

ROOT: Final = SOURCES
_VERSIONS: Final = (("numba", "_version.py"), ("llvmlite", "_version.py"), ("numpy", "version.py"))
"""Where packages say their version: asking importlib.metadata takes ten times as long as all the rest."""
_CPU: Final = ("/sys/devices/system/cpu/modalias", "/proc/cpuinfo")
_SETTINGS: Final = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_OPT", "NUMBA_BOUNDSCHECK", "NUMBA_DEBUGINFO")
"""What changes the code that numba makes."""
CAPTURE: Final = "capture.kernels.entry"
"""The module that, with what it imports, has every kernel of the capture."""
_DECORATOR: Final = "kernels.njit"
"""What finds and loads kernels, and all that it imports, is in none of them."""
_NAME: Final = re.compile(r"kernels-[0-9a-f]{12}-[0-9a-f]{24}")


@dataclass(frozen=True)
class KernelFolders:
    """Where kernels are looked for and kept."""

    own: Path | None
    """Looked into first, and new ones are written here; None where nothing can be written."""
    packaged: Path | None = None
    """What whoever installed ttrace compiled for this machine, where we may only read it."""
    refused: str | None = None
    """Why a folder is not used that would have been: another user could have written what is in it."""

    def are_complete(self, module: str) -> bool:
        """Whether `mark_complete` was told of the module, as its sources are now."""
        return _mark(module) in self._names()

    def mark_complete(self, module: str) -> None:
        """Note that all kernels that the module needs are there, so that none has to be compiled when there is no time
        for it."""
        if self.own and not self.are_complete(module):
            with suppress(OSError):
                make_kernel_folder(self.own)
                forget_others(self.own, _mark(module).removesuffix(fingerprint_of(module)), fingerprint_of(module))
                with writing(self.own / _mark(module)):
                    pass

    def _names(self) -> list[str]:
        found: list[str] = []
        for folder in (self.own, self.packaged):
            with suppress(OSError):
                found += os.listdir(folder) if folder else []  # noqa: PTH208 - names suffice
        return found


def _mark(module: str) -> str:
    return f"complete-{module}-{fingerprint_of(module)}"


@cache
def kernel_folders() -> KernelFolders:
    """The folders of this process: from the first call on they stay the same."""
    try:
        name = f"kernels-{_machine()}-{_versions()}"
        fingerprint_of("kernels.folders")
    except OSError:
        return KernelFolders(own=None)  # sources that cannot be read, as in an archive: nothing to name it by
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        own = Path(chosen) / _installation() / name
        refused = why_not_trusted(own)
        return KernelFolders(own=own if _can_be_made(own) and not refused else None, refused=refused)
    packaged = ROOT / "__pycache__" / name
    refused = why_not_trusted(packaged)
    if _can_be_made(packaged) and not refused:
        return KernelFolders(own=packaged)
    own_in_user, refused_too = _in_user_folder(name)
    readable = packaged.is_dir() and os.access(packaged, os.R_OK | os.X_OK) and not refused
    # Where the user's cache serves, nothing is amiss.
    return KernelFolders(
        own=own_in_user,
        packaged=packaged if readable else None,
        refused=None if own_in_user else refused_too or refused,
    )


def _in_user_folder(name: str) -> tuple[Path | None, str | None]:
    """(The folder in the user's cache, why it is not used): neither where it cannot be written, or is not the user's
    (as may be with sudo)."""
    with suppress(RuntimeError):  # no home
        folder = _user_folder()
        if _can_be_made(folder) and _existing(folder).stat().st_uid == os.geteuid():
            own = folder / _installation() / name
            refused = why_not_trusted(own)
            return None if refused else own, refused
    return None, None


def check_writable(folders: KernelFolders) -> Path:
    """The folder where kernels are kept. Raises TtraceError when nothing can be written there."""
    hint = "name a folder of yours in NUMBA_CACHE_DIR"
    if folders.refused:
        raise TtraceError(f"compiled kernels cannot be kept: {folders.refused}", "remove that folder, or " + hint)
    if folders.own is None:
        tried = [os.environ.get("NUMBA_CACHE_DIR")] if os.environ.get("NUMBA_CACHE_DIR") else _usual_places()
        raise TtraceError(f"compiled kernels cannot be kept in {' or '.join(f'`{place}`' for place in tried)}", hint)
    try:
        make_kernel_folder(folders.own)
        fd, name = mkstemp(dir=folders.own)
        os.close(fd)
        os.unlink(name)  # noqa: PTH108
    except OSError as error:
        reason = error.strerror or error
        raise TtraceError(f"compiled kernels cannot be kept in `{folders.own}`: {reason}", hint) from error
    return folders.own


def _usual_places() -> list[Path]:
    user = []
    with suppress(RuntimeError):
        user = [_user_folder()]
    return [ROOT / "__pycache__", *user]


def _user_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "ttrace"


def make_kernel_folder(folder: Path) -> None:
    """Make a folder of kernels, and remove those that other versions of Python or numba made for this machine.

    Raises OSError where that is not allowed, or the folder is another user's.
    """
    if not make_folder(folder):
        return
    machine = folder.name.rpartition("-")[0]
    for other in folder.parent.iterdir():
        if other != folder and other.name.startswith(f"{machine}-") and _NAME.fullmatch(other.name):
            remove_folder(other)


@cache
def fingerprint_of(module: str) -> str:
    """Of the content of a module's source and of all that it imports of ttrace, and of what that imports.

    `module`: below ttrace, as in `correlate.api`. Content and not times: a package, an image or a checkout sets
    times as it likes, and reading takes 2 ms. Raises OSError when a source cannot be read.
    """
    found, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        if name not in found and name != _DECORATOR:
            found[name], imported = _source(name)
            waiting += imported
    digest = blake2b(digest_size=8)
    for name in sorted(found):
        digest.update(f"\0{name}\0".encode() + found[name])
    return digest.hexdigest()


@cache
def _source(module: str) -> tuple[bytes, tuple[str, ...]]:
    """(Digest of a module's source, the modules of ttrace that it imports at its top level)."""
    parts = module.split(".") if module else []
    path = os.path.join(ROOT, *parts)  # noqa: PTH118 - a hundred paths: strings take half the time
    is_package = os.path.isdir(path)  # noqa: PTH112
    content = _content(f"{path}/__init__.py" if is_package else f"{path}.py")
    imported: list[str] = []
    # What is imported inside a function is no part of a kernel. Splitting takes a tenth of what parsing does.
    for piece in content.split(b"\nfrom .")[1:]:
        where, _, names = piece.partition(b" import ")
        text = where.decode()
        ups = len(text) - len(text.lstrip("."))
        package = parts[: len(parts) - ups + is_package - 1]
        base = ".".join([*package, text[ups:]] if text[ups:] else package)
        imported.append(base)
        if os.path.isdir(os.path.join(ROOT, *base.split("."))):  # noqa: PTH112, PTH118 - its names may be modules
            listed = names[1:].partition(b")")[0] if names.startswith(b"(") else names.partition(b"\n")[0]
            imported += [f"{base}.{name}".lstrip(".") for name in _names_in(listed) if _is_module(base, name)]
    return blake2b(content, digest_size=8).digest(), tuple(name for name in imported if name)


def _names_in(listed: bytes) -> list[str]:
    return [name.split()[0] for name in listed.decode().split(",") if name.strip()]


def _is_module(package: str, name: str) -> bool:
    path = os.path.join(ROOT, *package.split("."), name)  # noqa: PTH118
    return os.path.isfile(f"{path}.py") or os.path.isdir(path)  # noqa: PTH112, PTH113


def _versions() -> str:
    """Of what compiles kernels, in one digest."""
    # Kernels are found by their bytecode and call the interpreter by names: it does not matter who built it, and when.
    digest = blake2b(str(sys.implementation.cache_tag).encode() + MAGIC_NUMBER, digest_size=12)
    for package, file in _VERSIONS:
        spec = find_spec(package)
        for place in (spec and spec.submodule_search_locations) or ():
            digest.update(_content(f"{place}/{file}"))
    return digest.hexdigest()


def _machine() -> str:
    """Processor and settings that numba compiles for, so that machines with one home do not share kernels; not the
    machine's processor where the settings name one, with its features."""
    digest = blake2b(os.uname().machine.encode(), digest_size=6)
    for setting in _SETTINGS:
        digest.update(f"\0{os.environ.get(setting)}".encode())
    is_named = "NUMBA_CPU_NAME" in os.environ and "NUMBA_CPU_FEATURES" in os.environ
    for path in () if is_named else _CPU:
        with suppress(OSError):
            text = _content(path, 1 << 16 if path.startswith("/sys") else 4096)
            # Of /proc/cpuinfo the first processor, without what changes all the time.
            lines = [
                line for line in text.split(b"\n\n")[0].splitlines() if not line.startswith((b"cpu MHz", b"bogomips"))
            ]
            digest.update(b"\n".join(lines))
            break
    return digest.hexdigest()


def _installation() -> str:
    """A name for this place of the package, where several may keep their kernels."""
    return f"ttrace-{blake2b(str(ROOT.resolve()).encode(), digest_size=6).hexdigest()}"


def _content(path: str, most: int = 1 << 24) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _can_be_made(folder: Path) -> bool:
    existing = _existing(folder)
    return existing.is_dir() and os.access(existing, os.R_OK | os.W_OK | os.X_OK)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What a warm-up has done."""

    folder: Path
    """Where the kernels are."""
    packaged: Path | None
    """Where those are that were there before, in a package that cannot be written."""
    compiled: int
    kept: int
    """Kernels in the folder."""
    bytes: int
    elapsed_s: float
