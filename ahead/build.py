"""All kernels, in a few extension modules that are built side by side, and the list of what is in them."""

import json
import os
import platform
import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from ..errors import TtraceError
from ..kernels.ahead import PACKAGE, SUFFIX, list_file
from ..kernels.folders import fingerprint_of
from ..kernels.kept_files import make_folder, writing
from ..kernels.njit import Kernel
from .signatures import Signatures, read_signatures

_SHARES: Final = 2
"""Whatever the machine has of cores: what is built is to be the same. With more of them, more is compiled twice: what
kernels of several shares call."""
_PROCESSORS: Final = {"x86_64": "x86-64-v2", "aarch64": "generic"}
"""The oldest kind that the modules run on: of 2009 for x86."""
_COMPILED_BY: Final = ("numba", "llvmlite", "numpy")
Say = Callable[[str], None]
Listed = dict[str, Any]
"""What is in one extension module, by module of ttrace: see `kernels/ahead.py`."""


def build(folder: Path, say: Say) -> None:
    """Compile everything in signatures.json for this Python and machine; what is there and of the same sources stays.

    Raises TtraceError when that cannot be done, OSError when the folder cannot be used.
    """
    began = time.monotonic()
    processor = _PROCESSORS.get(platform.machine())
    if processor is None:
        raise TtraceError(f"nothing is built for {platform.machine()}", "kernels are compiled at the first use there")
    by = {"processor": processor, **{name: version(name) for name in _COMPILED_BY}}
    shares = {f"kernels_{number}": share for number, share in enumerate(_shares(read_signatures()))}
    listed = {name: _listed(name, share) for name, share in shares.items()}
    kept = _kept(folder, listed, by)
    wanted = [name for name in shares if name not in kept]
    if not wanted:
        return
    make_folder(folder)
    _write_list(folder, listed, kept, by)
    os.environ |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": "", "NUMBA_DISABLE_JIT": "0"}
    # Each in a fresh process, where numba counts from the start: its names have numbers in them.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = [pool.submit(_build, name, shares[name], listed[name], processor, folder) for name in wanted]
        for number, done in enumerate(as_completed(waiting), 1):
            done.result()
            say(f"Compiling kernels: {number} of {len(wanted)} parts, {time.monotonic() - began:.0f} s")
    _write_list(folder, listed, list(shares), by)


def _shares(signatures: Signatures) -> list[Signatures]:
    """Of about the same size, each of whole modules."""
    shares: list[Signatures] = [{} for _ in range(_SHARES)]
    sizes = [0] * _SHARES
    for module in sorted(signatures, key=lambda name: (-_size(signatures[name]), name)):
        smallest = sizes.index(min(sizes))
        shares[smallest][module] = signatures[module]
        sizes[smallest] += _size(signatures[module])
    return shares


def _size(kernels: dict[str, Any]) -> int:
    return sum(map(len, kernels.values()))


def _listed(name: str, share: Signatures) -> Listed:
    """What is to be in an extension module, as it stands in the list."""
    return {
        module: {
            "fingerprint": fingerprint_of(module),
            "kernels": {
                kernel: [[key, name, re.sub(r"\W", "_", f"{module}__{kernel}__{at}")] for at, key in enumerate(keys)]
                for kernel, keys in sorted(kernels.items())
            },
        }
        for module, kernels in sorted(share.items())
    }


def _kept(folder: Path, listed: dict[str, Listed], by: dict[str, str]) -> list[str]:
    """The extension modules that are there, and would be built of the same again."""
    try:
        there = json.loads(list_file(folder).read_bytes())
    except (OSError, ValueError):
        return []
    if there.get("by") != by:
        return []
    as_read = json.loads(json.dumps(listed))
    return [
        name
        for name, modules in as_read.items()
        if (folder / f"{name}{SUFFIX}").exists() and modules == _of(name, there["modules"])
    ]


def _of(name: str, modules: Listed) -> Listed:
    return {
        module: what for module, what in modules.items() if any(one[0][1] == name for one in what["kernels"].values())
    }


def _write_list(folder: Path, listed: dict[str, Listed], names: list[str], by: dict[str, str]) -> None:
    modules = {module: what for name in names for module, what in listed[name].items()}
    ordered = {module: modules[module] for module in sorted(modules)}
    with writing(list_file(folder)) as file:
        file.write(json.dumps({"by": by, "modules": ordered}).encode() + b"\n")


def _build(name: str, share: Signatures, listed: Listed, processor: str, folder: Path) -> None:
    """Build one extension module."""
    from .extension import Export, build_extension
    from .numba_types import numba_type

    Kernel.keeping = False
    exports = []
    for module, kernels in sorted(share.items()):
        loaded = import_module(f"{PACKAGE}.{module}")
        for kernel, keys in sorted(kernels.items()):
            for key, (_, _, symbol) in zip(keys, listed[module]["kernels"][kernel], strict=True):
                exports.append(Export(symbol, getattr(loaded, kernel), tuple(map(numba_type, key))))
    build_extension(name, exports, processor, folder / f"{name}{SUFFIX}")
