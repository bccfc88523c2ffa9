"""A plugin of mypy: rows of structured arrays are never copied field by field.

NumPy copies them so when they are indexed by numbers or a mask, copied, put together or assigned: 100 to 370 ns a row
of 128 bytes. `.take` and pcapng/rows.py take 7 to 24. mypy knows which arrays are structured, so `make check`
fails where one is treated so; what is `Any` to it, as a column of rows, it cannot see.
"""

from collections.abc import Callable, Iterable
from typing import Final

from mypy.errorcodes import ErrorCode
from mypy.plugin import FunctionContext, MethodContext, Plugin
from mypy.types import Instance, ProperType, TupleType, Type, UnionType, UnpackType, get_proper_type

ROWS: Final = ErrorCode("rows-by-field", "Rows of a structured array are copied field by field", "Ttrace")
_INSTEAD: Final = {
    "__getitem__": "`.take(numbers)`, `.take(np.flatnonzero(mask))`",
    "__setitem__": "`rows.placed`, `.put(numbers, rows)`",
    "copy": "`rows.copied`",
    "concatenate": "`rows.joined`",
}
"""What to write, by the name of what copies by field; of others it is a way around them."""
_METHODS: Final = ("__getitem__", "__setitem__", "copy", "astype", "__copy__", "__deepcopy__")
_FUNCTIONS: Final = (
    "concatenate", "append", "insert", "delete", "where", "select", "choose", "hstack", "vstack", "stack", "array",
    "copy", "copyto", "place", "putmask",
)  # fmt: skip


def plugin(_version: str) -> type[Plugin]:
    """What mypy asks for."""
    return _RowsByTake


class _RowsByTake(Plugin):
    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        owner, _, name = fullname.rpartition(".")
        if name not in _METHODS or owner not in ("numpy.ndarray", "numpy._ArrayOrScalarCommon"):
            return None
        return lambda context: _method(context, name)

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        package, _, name = fullname.rpartition(".")
        if name not in _FUNCTIONS or not package.startswith("numpy"):
            return None
        return lambda context: _function(context, name)


def _method(context: MethodContext, name: str) -> Type:
    if _are_rows(context.type):
        given = [kind for of_one in context.arg_types for kind in of_one]
        if name == "__getitem__":
            slow = any(_is_array(one) for one in given)
        elif name == "__setitem__":
            slow = _are_rows(given[-1])
        else:
            slow = True
        if slow:
            _fail(context, name)
    return context.default_return_type


def _function(context: FunctionContext, name: str) -> Type:
    # Not `arg_types`: of arrays in brackets those only say what the function asks for.
    given = [context.api.get_expression_type(one) for of_one in context.args for one in of_one]
    if any(_are_rows(part) for kind in given for part in _parts(kind)):
        _fail(context, name)
    return context.default_return_type


def _fail(context: MethodContext | FunctionContext, name: str) -> None:
    if any(getattr(context.api, "dynamic_funcs", ())):
        return  # a compiled kernel, which has no annotations (tests/test_structure.py): numba copies rows as wholes
    instead = _INSTEAD.get(name, "`.take` or pcapng/rows.py")
    context.api.fail(
        f"Structured rows are copied field by field by `{name}`: use {instead}", context.context, code=ROWS
    )


def _parts(kind: Type) -> Iterable[ProperType]:
    """A type, and what it is a sequence of."""
    proper = get_proper_type(kind)
    yield proper
    if isinstance(proper, TupleType | UnionType):
        for one in proper.items:
            yield from _parts(one.type if isinstance(one, UnpackType) else one)
    elif isinstance(proper, Instance) and proper.type.fullname != "numpy.ndarray":
        for one in proper.args:
            yield from _parts(one)


def _is_array(kind: Type) -> bool:
    """Whether several rows are chosen by what is an index of this type, and not as a slice."""
    proper = get_proper_type(kind)
    if isinstance(proper, UnionType):
        return any(_is_array(one) for one in proper.items)
    if not isinstance(proper, Instance):
        return False
    if proper.type.fullname == "builtins.list":
        of = get_proper_type(proper.args[0])
        return not (isinstance(of, Instance) and of.type.fullname == "builtins.str")
    return proper.type.fullname == "numpy.ndarray"


def _are_rows(kind: Type) -> bool:
    """Whether it is an array of structured rows."""
    proper = get_proper_type(kind)
    if not (isinstance(proper, Instance) and proper.type.fullname == "numpy.ndarray" and len(proper.args) > 1):
        return False
    dtype = get_proper_type(proper.args[1])
    if not (isinstance(dtype, Instance) and dtype.args):
        return False
    scalar = get_proper_type(dtype.args[0])
    return isinstance(scalar, Instance) and scalar.type.fullname == "numpy.void"
