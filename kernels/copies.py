"""Copying bytes between arrays, for compiled kernels: a loop over bytes takes more than twice the time of the C
library. Nothing checks that the bytes lie within the arrays: the caller has."""

from typing import Any

from .njit import intrinsic


@intrinsic
def copy_bytes(typing: Any, out: Any, at: Any, data: Any, begin: Any, size: Any) -> Any:  # noqa: ANN401, ARG001
    """out[at : at + size] = data[begin : begin + size], of two arrays of bytes that have nothing in common."""
    from llvmlite import ir
    from numba import types

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - llvmlite is untyped
        byte = ir.IntType(8).as_pointer()
        pointers = []
        for number in (0, 2):
            array = context.make_array(signature.args[number])(context, builder, arguments[number])
            pointers.append(builder.gep(array.data, [arguments[number + 1]]))
        memcpy = builder.module.declare_intrinsic("llvm.memcpy", [byte, byte, ir.IntType(64)])
        builder.call(memcpy, [*pointers, arguments[4], ir.IntType(1)(0)])
        return context.get_dummy_value()

    return types.none(out, types.int64, data, types.int64, types.int64), generate
