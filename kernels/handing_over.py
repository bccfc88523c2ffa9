"""Words that say whose memory is, between the kernel and us: read before what they are about, and written behind it.

Every processor but x86 may do loads and stores in another order than they are written in, so what a plain load finds to
be ours may still be read as it was before. As the kernel has it (Documentation/memory-barriers.txt): what says that
memory was handed over is loaded with acquire, what hands it back is stored with release. On x86 both are plain moves.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

_compiled: Any = intrinsic
"""To mypy the functions would still take the typing context that numba gives them."""


def _place(context: Any, builder: Any, array: Any, kind: Any, at: Any) -> Any:  # noqa: ANN401 - llvmlite is untyped
    """Pointer to array[at]."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [at])


@_compiled
def load_acquire(typing: Any, array: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """array[at], and what is loaded behind it is no older. Nothing checks that `at` lies within the array."""
    if not isinstance(array, types.Array):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        place = _place(context, builder, arguments[0], signature.args[0], arguments[1])
        return builder.load_atomic(place, "acquire", array.dtype.bitwidth // 8)

    return array.dtype(array, types.int64), generate


@_compiled
def store_release(typing: Any, array: Any, at: Any, value: Any) -> Any:  # noqa: ANN401, ARG001
    """array[at] = value, once all that was loaded and stored before is done."""
    if not isinstance(array, types.Array) or not array.mutable:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        place = _place(context, builder, arguments[0], signature.args[0], arguments[1])
        builder.store_atomic(arguments[2], place, "release", array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, types.int64, array.dtype), generate
