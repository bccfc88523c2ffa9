"""Memory at an address, seen as an array by a compiled kernel: for kernels that are called with numbers alone.

Whoever calls keeps the memory, and says how long it is. Unlike `numba.carray` these need nothing of numba at run time.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

_compiled: Any = intrinsic


def _viewed(element: Any, dimensions: int) -> Any:  # noqa: ANN401 - numba's types are untyped
    """What makes an array of so many dimensions, each element an `element`, of an address and the lengths."""
    kind = types.Array(element, dimensions, "C")
    size = element.bitwidth // 8

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401, ARG001
        lengths = list(arguments[1:])
        strides = [context.get_constant(types.intp, size)]
        for length in reversed(lengths[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        array = context.make_array(kind)(context, builder)
        populate_array(
            array, data=builder.inttoptr(arguments[0], array.data.type), shape=cgutils.pack_array(builder, lengths),
            strides=cgutils.pack_array(builder, strides), itemsize=context.get_constant(types.intp, size), meminfo=None,
        )  # fmt: skip
        return array._getvalue()

    return kind(*[types.int64] * (1 + dimensions)), generate


@_compiled
def octets_at(typing: Any, address: Any, count: Any) -> Any:  # noqa: ANN401, ARG001
    """So many bytes."""
    return _viewed(types.uint8, 1)


@_compiled
def halfwords_at(typing: Any, address: Any, count: Any) -> Any:  # noqa: ANN401, ARG001
    """So many numbers of 16 bits."""
    return _viewed(types.uint16, 1)


@_compiled
def words_at(typing: Any, address: Any, count: Any) -> Any:  # noqa: ANN401, ARG001
    """So many unsigned numbers of 32 bits."""
    return _viewed(types.uint32, 1)


@_compiled
def integers_at(typing: Any, address: Any, count: Any) -> Any:  # noqa: ANN401, ARG001
    """So many signed numbers of 64 bits."""
    return _viewed(types.int64, 1)


@_compiled
def rows_at(typing: Any, address: Any, count: Any, columns: Any) -> Any:  # noqa: ANN401, ARG001
    """So many rows of signed numbers of 64 bits."""
    return _viewed(types.int64, 2)
