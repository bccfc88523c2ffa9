"""What the kernels are compiled for: written down while the tests run (`make signatures`), kept in `signatures.json`,
read by the build.

A dtype that is a constant of a module stands there by its name, so that a column more changes no line.
"""

import json
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..kernels.ahead import PACKAGE
from ..kernels.argument_types import dtype_key, fits, type_of
from ..kernels.njit import Kernel

FILE: Final = Path(__file__).parent / "signatures.json"
Recorded = defaultdict[tuple[str, str], set[tuple[Any, ...]]]
"""By module and kernel, the types of all calls."""
Signatures = dict[str, dict[str, list[tuple[Any, ...]]]]
"""By module (below ttrace) and kernel: the types of the arguments, as keys of `kernels/argument_types.py`."""


def record_into(found: Recorded) -> None:
    """From now on, note the types of each call of a kernel from ttrace's own Python; not those from tests."""

    def note(kernel: Kernel, arguments: tuple[Any, ...]) -> None:
        caller = sys._getframe(2).f_globals["__name__"]
        if caller.startswith(f"{PACKAGE}.") and not caller.startswith(f"{PACKAGE}.tests."):
            function = kernel.py_func
            module = function.__module__.removeprefix(f"{PACKAGE}.")
            found[module, function.__name__].add(tuple(map(type_of, arguments)))

    Kernel.called = note


def reduced(found: Recorded) -> Signatures:
    """Those that have to be compiled: without the types that can pass for others, and in a fixed order."""
    kept: Signatures = defaultdict(dict)
    for (module, kernel), keys in sorted(found.items()):
        kept[module][kernel] = sorted(
            (key for key in keys if not any(key != other and fits(key, other) for other in keys)), key=repr
        )
    return kept


def write_signatures(signatures: Signatures, file: Path) -> None:
    """Write them a kernel a line."""
    names = _dtype_names()
    lines = [
        f" {json.dumps(f'{module}:{kernel}')}: {json.dumps([_named(key, names) for key in keys])}"
        for module, kernels in sorted(signatures.items())
        for kernel, keys in sorted(kernels.items())
    ]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read_signatures(file: Path = FILE) -> Signatures:
    """Those of a file; imports the modules whose dtypes it names. Raises ImportError and AttributeError when one is
    gone."""
    signatures: Signatures = defaultdict(dict)
    for place, keys in json.loads(file.read_text()).items():
        module, kernel = place.split(":")
        signatures[module][kernel] = [tuple(_resolved(one) for one in key) for key in keys]
    return signatures


def not_listed(found: Recorded) -> list[str]:
    """`module.kernel` of those that were called with types for which the file lists nothing."""
    listed = read_signatures()
    return [
        f"{module}.{kernel}"
        for (module, kernel), keys in sorted(found.items())
        for known in [listed.get(module, {}).get(kernel, [])]
        if not all(any(fits(key, one) for one in known) for key in keys)
    ]


def _dtype_names() -> dict[Any, str]:
    """By the key of a structured dtype: `module:NAME` of a constant that is it."""
    names: dict[Any, str] = {}
    # Where the constant is made lies less deep than where it is imported.
    for module_name, module in sorted(sys.modules.items(), key=lambda item: (-item[0].count("."), item[0])):
        if module_name.startswith(f"{PACKAGE}."):
            for name, value in sorted(vars(module).items(), reverse=True):
                if isinstance(value, np.dtype) and value.names:
                    names[dtype_key(value)] = f"{module_name.removeprefix(f'{PACKAGE}.')}:{name}"
    return names


def _named(key: Any, names: dict[Any, str]) -> Any:  # noqa: ANN401 - keys are of any type
    if isinstance(key, tuple) and key in names:
        return {"dtype": names[key]}
    return [_named(item, names) for item in key] if isinstance(key, tuple) else key


def _resolved(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        module, name = value["dtype"].split(":")
        return dtype_key(getattr(import_module(f"{PACKAGE}.{module}"), name))
    return tuple(_resolved(item) for item in value) if isinstance(value, list) else value
