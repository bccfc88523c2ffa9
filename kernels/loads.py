"""Loads from any address of a byte array, and hints to the cache, for compiled kernels.

A number put together from single bytes costs an index check and a shift for each of them; these are one instruction,
or two where the byte order differs. Nothing checks that the bytes lie within the array: the caller has.

Each takes an array, or its `address`. An array that is handed to a function is counted as in use, with two atomic
operations that cost more than the loads; in what is called for every packet, the compiler does not get rid of them.
"""

import sys
from typing import Any

from .njit import intrinsic

_SWAP = sys.byteorder == "little"
"""Network order is not that of the machine."""


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - llvmlite is untyped
    """Pointer to data[at], for the arguments (data, at)."""
    from llvmlite import ir
    from numba import types

    if isinstance(signature.args[0], types.Integer):
        return builder.inttoptr(builder.add(*arguments), ir.IntType(8).as_pointer())
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


def _load(data: Any, bits: int, swap: bool) -> Any:  # noqa: ANN401
    """Signature and code of a load of `bits` bits, whose bytes are exchanged if `swap`."""
    from llvmlite import ir
    from numba import types

    result: Any = {8: types.uint32, 16: types.uint32, 32: types.uint32, 64: types.uint64}[bits]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        pointer = builder.bitcast(_address(context, builder, signature, arguments), ir.IntType(bits).as_pointer())
        value = builder.load(pointer, align=1)
        if swap:
            value = builder.bswap(value)
        return builder.zext(value, ir.IntType(32)) if bits < 32 else value

    return result(data, types.int64), generate


@intrinsic
def address(typing: Any, data: Any) -> Any:  # noqa: ANN401, ARG001
    """Where the bytes of an array are, for the loads. Whoever uses it keeps the array."""
    from llvmlite import ir
    from numba import types

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.ptrtoint(array.data, ir.IntType(64))

    return types.int64(data), generate


@intrinsic
def load8(typing: Any, data: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """One byte, as uint32."""
    return _load(data, 8, swap=False)


@intrinsic
def be16(typing: Any, data: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """16 bits in network order, as uint32."""
    return _load(data, 16, _SWAP)


@intrinsic
def be32(typing: Any, data: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """32 bits in network order, as uint32."""
    return _load(data, 32, _SWAP)


@intrinsic
def be64(typing: Any, data: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """64 bits in network order, as uint64."""
    return _load(data, 64, _SWAP)


@intrinsic
def le16(typing: Any, data: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """16 bits, the lowest byte first, as uint32."""
    return _load(data, 16, not _SWAP)


@intrinsic
def le32(typing: Any, data: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """32 bits, the lowest byte first, as uint32."""
    return _load(data, 32, not _SWAP)


@intrinsic
def le64(typing: Any, data: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """64 bits, the lowest byte first, as uint64."""
    return _load(data, 64, not _SWAP)


@intrinsic
def prefetch(typing: Any, data: Any, at: Any) -> Any:  # noqa: ANN401, ARG001
    """Ask for the cache line of a byte. Of any address: what is not there is not fetched, and nothing fails."""
    from llvmlite import ir
    from numba import types

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        # To read (0), keep it in all caches (3), data and not instructions (1).
        builder.call(function, [_address(context, builder, signature, arguments), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.none(data, types.int64), generate
