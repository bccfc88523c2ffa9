"""What was compiled ahead of the first use: extension modules beside this one, and a list of what is in them.

`ttrace.ahead` builds them, for one minor version of Python, one kind of processor and the sources as they were then. A
kernel of other sources than these is not taken, so an edited checkout never runs old code; nor one that another user
could have written (`kept_files.py`), or that cannot be loaded here. The processor is not asked: NumPy's own wheels need
as much of it (x86-64-v2).
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from threading import Lock
from typing import Any, Final

from .folders import fingerprint_of
from .kept_files import check_object, read_file

FOLDER: Final = Path(__file__).parent / "compiled"
"""Of the extension modules, and of the lists."""
SUFFIX: Final = EXTENSION_SUFFIXES[0]
"""Says the version of Python and the processor, as in `.cpython-311-x86_64-linux-gnu.so`."""
JIT: Final = "TTRACE_JIT"
"""Set in the environment, numba compiles everything: to compare."""
_LOADING: Final = Lock()
"""Kernels are first called in several threads at once, and a module is to be loaded once."""
PACKAGE: Final = __package__.rpartition(".")[0]


@dataclass(frozen=True)
class Compiled:
    """A kernel that was compiled ahead for some types."""

    key: tuple[Any, ...]
    """The types: see `argument_types`."""
    share: str
    """The extension module it is in."""
    symbol: str
    """Its name there."""

    def load(self) -> Callable[..., Any]:
        """The compiled function. It takes positional arguments of just these types, and checks none. Raises ImportError
        or OSError when the module cannot be loaded, AttributeError when it has no such kernel."""
        with _LOADING:
            function: Callable[..., Any] = getattr(_extension(self.share), self.symbol)
        return function


def list_file(folder: Path) -> Path:
    """Where the list of what was compiled for this Python and machine is, or would be."""
    return folder / f"kernels{SUFFIX.removesuffix('.so')}.json"


def compiled_ahead(function: Callable[..., Any]) -> list[Compiled]:
    """What there is of a kernel, by its Python source; nothing where its sources are others now."""
    module = function.__module__.removeprefix(f"{PACKAGE}.")
    kernels = _listed().get(module)
    if not kernels or function.__name__ not in kernels["kernels"] or not _is_current(module, kernels["fingerprint"]):
        return []
    return [
        Compiled(_as_tuples(types), share, symbol) for types, share, symbol in kernels["kernels"][function.__name__]
    ]


def has_any_ahead() -> bool:
    """Whether kernels were compiled ahead for this Python and processor, of whatever sources."""
    return bool(_listed())


@cache
def _listed() -> dict[str, Any]:
    """By module: its fingerprint, and its kernels by name."""
    if os.environ.get(JIT):
        return {}
    try:
        modules = json.loads(read_file(list_file(FOLDER)))["modules"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return modules if isinstance(modules, dict) else {}


@cache
def _is_current(module: str, fingerprint: str) -> bool:
    try:
        return fingerprint_of(module) == fingerprint
    except OSError:
        return False


@cache
def _extension(share: str) -> Any:  # noqa: ANN401 - made by numba
    path = FOLDER / f"{share}{SUFFIX}"
    check_object(path)
    loader = ExtensionFileLoader(share, str(path))
    spec = spec_from_loader(share, loader)
    if spec is None:
        raise ImportError(f"`{path}` cannot be loaded")
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _as_tuples(value: Any) -> Any:  # noqa: ANN401 - JSON
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value
