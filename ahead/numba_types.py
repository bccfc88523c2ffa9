"""Numba's types for the keys of `kernels/argument_types.py`: what numba takes a value of such a type for."""

from importlib import import_module
from typing import Any

import numba
import numpy as np


def numba_type(key: Any) -> Any:  # noqa: ANN401 - numba has no types
    """The type of numba for a key. Raises ValueError for what no kernel can take."""
    return numba.typeof(_value(key))


def _value(key: Any) -> Any:  # noqa: ANN401
    """Some value of the type."""
    match key:
        case "none":
            return None
        case "bool":
            return False
        case str():
            try:
                return np.dtype(key).type()
            except TypeError as error:
                raise ValueError(f"kernels take no `{key}`") from error
        case ("array", dtype, dimensions, layout, writable):
            return _array(dtype_of(dtype), dimensions, layout, writable=writable)
        case ("record", dtype):
            return np.zeros(1, dtype_of(dtype))[0]
        case ("tuple", "tuple", *items):
            return tuple(map(_value, items))
        case ("tuple", name, *items):
            module, _, kind = name.partition(":")
            return getattr(import_module(module), kind)(*map(_value, items))
    raise ValueError(f"kernels take no `{key}`")


def _array(dtype: np.dtype[Any], dimensions: int, layout: str, *, writable: bool) -> Any:  # noqa: ANN401
    array = np.zeros((4,) * dimensions, dtype, order="F" if layout == "F" else "C")
    if layout == "A":
        array = array[(slice(None, None, 2),) * dimensions]
    array.flags.writeable = writable
    return array


def dtype_of(key: Any) -> np.dtype[Any]:  # noqa: ANN401
    """The dtype of a key."""
    if isinstance(key, str):
        return np.dtype(key)
    if key[0] == "of":
        return np.dtype((dtype_of(key[1]), key[2]))
    names, formats, offsets, itemsize, aligned = key
    described = {
        "names": list(names), "formats": list(map(dtype_of, formats)), "offsets": list(offsets), "itemsize": itemsize
    }  # fmt: skip
    return np.dtype(described, align=aligned)  # type: ignore[call-overload]
