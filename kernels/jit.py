"""Kernels that numba compiles when they are called: numba's, but for where they are kept (`folders.py`).

Importing this module imports numba. Nothing of numba itself is changed, so other packages in the process keep theirs
where they are used to.
"""
# ruff: noqa: ANN401 - numba has no types

import pickle
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, _CacheLocator
from numba.core.runtime.nrt import rtsys

from .ahead import has_any_ahead
from .folders import ROOT, fingerprint_of, kernel_folders, make_kernel_folder
from .kept_files import forget_others, read_file, writing
from .njit import Kernel


def make_dispatcher(function: Callable[..., Any], options: dict[str, Any], *, kept: bool) -> Any:
    """`numba.njit(**options)` of the function. If `kept`, what is compiled is, until a source of the kernel changes."""
    settings: dict[str, Any] = {"no_cfunc_wrapper": True} | options
    kernel = numba.njit(**settings)(function)
    folders = kernel_folders()
    if kept and (folders.own or folders.packaged) and hasattr(kernel, "_cache"):  # none with NUMBA_DISABLE_JIT
        kernel._cache = KernelCache(function)
    return kernel


def _announce() -> None:
    """Whoever waits hears it once: the first time on a machine it takes a minute, where nothing was compiled ahead."""
    say, Kernel.announce = Kernel.announce, None
    if say and has_any_ahead():
        say("Compiling what this input needs and was not compiled ahead: some seconds, once.")
    elif say:
        say("Compiling for this machine: up to two minutes, once (`ttrace warm-up` does it ahead).")


class KernelLocator(_CacheLocator):
    """Tells numba the folder. The names of the files say what kernels are made of: there is nothing else to compare."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        folders = kernel_folders()
        self._py_file = py_file
        self._folder = folders.own or folders.packaged or Path()
        self._line = py_func.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Self:
        """A locator for the function; there is always one."""
        return cls(py_func, py_file)

    def ensure_cache_path(self) -> None:
        """Make the folder."""
        make_kernel_folder(self._folder)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """The name of the file says it."""
        return ""

    def get_disambiguator(self) -> str:
        """Kernels of one name in one file differ by their line."""
        return str(self._line)


class KernelFiles(CompileResultCacheImpl):
    """Names of the files: numba's, with the package, since all packages share one folder, and with the fingerprint of
    what the kernel is made of."""

    _locator_classes = [KernelLocator]  # noqa: RUF012 - as numba has it

    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        """`correlate.packets.match.kernel-12.py311-0123456789abcdef`."""
        path = Path(self._locator._py_file)
        package = ".".join(path.parent.relative_to(ROOT).parts) if path.is_relative_to(ROOT) else path.parent.name
        self.beginning = f"{package}.{fullname}-"
        self.fingerprint = _fingerprint(path)
        return f"{package}.{super().get_filename_base(fullname, abiflags)}-{self.fingerprint}"


def _fingerprint(path: Path) -> str:
    """Of a module's source; of a file that is none of ours, nothing is known but its place."""
    if not path.is_relative_to(ROOT):
        return ""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return fingerprint_of(".".join(parts[:-1] if parts[-1] == "__init__" else parts))


class KernelFile(IndexDataCacheFile):
    """Numba's files, but read only where nobody else could have written them: they are pickles, and then machine code;
    and written with modes of their own."""

    def _load_index(self) -> dict[Any, str]:
        """Which file has the kernel for which types; none of an index that is not to be trusted: it is replaced."""
        try:
            file = BytesIO(read_file(Path(self._index_path)))
        except OSError:
            return {}
        if pickle.load(file) != self._version:
            return {}
        stamp, overloads = pickle.loads(file.read())
        return overloads if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        return pickle.loads(read_file(Path(self._data_path(name))))

    def _open_for_write(self, filepath: str) -> Any:
        return writing(Path(filepath))


class KernelCache(FunctionCache):
    """One kernel's files: looked for in our own folder, then in the package's; written to our own.

    A file that cannot be read or written is as if there were none: the kernel is compiled, once more.
    """

    _impl_class = KernelFiles
    failure: OSError | None = None
    """Of the class: why a kernel could not be written."""
    missed = 0
    """Of the class: how many kernels this process has compiled."""

    def __init__(self, py_func: Callable[..., Any]) -> None:
        super().__init__(py_func)
        folders = kernel_folders()
        self._writable = folders.own is not None
        self._cache_file = self._file_in(folders.own or folders.packaged or Path())
        self._packaged = None
        if folders.own and folders.packaged:
            self._packaged = self._file_in(folders.packaged)

    def _file_in(self, folder: Path) -> KernelFile:
        return KernelFile(cache_path=str(folder), filename_base=self._impl.filename_base, source_stamp="")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel for these types, or None."""
        # No refresh of the context: that loads how everything is compiled, and nothing is; a compiler does so itself.
        rtsys.initialize(target_context)
        key = self._index_key(sig, target_context.codegen())
        for files in (self._cache_file, self._packaged):
            try:
                data = files.load(key) if files else None
                if data is not None:
                    return self._impl.rebuild(target_context, data)
            except (OSError, EOFError, pickle.UnpicklingError):
                continue
        _announce()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, where that is possible."""
        KernelCache.missed += 1
        if not self._writable:
            return
        try:
            super().save_overload(sig, data)
            forget_others(Path(self._cache_path), self._impl.beginning, self._impl.fingerprint)
        except OSError as error:
            KernelCache.failure = error
