"""The types that a kernel is compiled for, as keys that can be compared, kept in a file, and had from arguments fast.

A key is a name for a scalar (`int64`), and a tuple for all else: ("array", dtype, dimensions, layout, writable),
("record", dtype), ("tuple", name of the class, keys of the items). They tell apart what numba does
(numba.core.typing.typeof). A dtype is its `str`, or for structured ones (names, formats, offsets, itemsize, aligned).
"""
# ruff: noqa: ANN401 - of any type is what they are

from typing import Any, Final

import numpy as np

_MOST_KNOWN: Final = 4096
"""Dtypes to remember: the program has some hundred, but may make equal ones for every call."""
_KNOWN: dict[int, tuple[Any, Any]] = {}
"""By identity: (the dtype, so that it stays what it is, its key). To compare structured dtypes takes microseconds."""
_INT64: Final = range(-(2**63), 2**63)


def type_of(value: Any) -> Any:
    """The key of an argument. What no kernel takes has one that no kernel has."""
    if isinstance(value, np.ndarray):
        flags = value.flags
        layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
        return ("array", dtype_key(value.dtype), value.ndim, layout, flags.writeable)
    kind = type(value)
    if kind is int:
        return "int64" if value in _INT64 else "uint64"
    if kind in _SCALARS:
        return _SCALARS[kind]
    if isinstance(value, np.generic):
        return ("record", dtype_key(value.dtype)) if value.dtype.names else value.dtype.name
    if isinstance(value, tuple):
        return ("tuple", class_name(kind), *(type_of(item) for item in value))
    return f"{kind.__module__}.{kind.__qualname__}"


_SCALARS: Final = {bool: "bool", float: "float64", type(None): "none"}


def dtype_key(dtype: np.dtype[Any]) -> Any:
    """The key of a dtype."""
    known = _KNOWN.get(id(dtype))
    if known:
        return known[1]
    key: Any = dtype.str
    if dtype.names and dtype.fields:
        fields = [dtype.fields[name] for name in dtype.names]
        formats = tuple(dtype_key(field[0]) for field in fields)
        key = (dtype.names, formats, tuple(field[1] for field in fields), dtype.itemsize, dtype.isalignedstruct)
    elif dtype.subdtype:
        key = ("of", dtype_key(dtype.subdtype[0]), dtype.shape)
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[id(dtype)] = dtype, key
    return key


def class_name(kind: type) -> str:
    """The name of a class of tuples; `tuple` for plain ones."""
    return "tuple" if kind is tuple else f"{kind.__module__}:{kind.__qualname__}"


def fits(given: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    """Whether arguments of the types `given` can be handed to what was compiled for `wanted`.

    What is contiguous will do where any layout will, and what may be written where nothing is: a single row of a column
    is contiguous, two are not.
    """
    return len(given) == len(wanted) and all(map(_will_do, given, wanted))


def _will_do(given: Any, wanted: Any) -> bool:
    if given == wanted:
        return True
    if not isinstance(given, tuple) or not isinstance(wanted, tuple) or given[0] != wanted[0]:
        return False
    if given[0] == "tuple":
        return given[1] == wanted[1] and fits(given[2:], wanted[2:])
    if given[0] != "array" or given[1:3] != wanted[1:3]:
        return False
    return wanted[3] in ("A", given[3]) and given[4] >= wanted[4]
