"""The decorator of every kernel, and what a kernel is: compiled ahead where this installation has that (`ahead.py`),
else by numba at the first call (`jit.py`).

Importing this module imports neither numba nor NumPy, and with all kernels compiled ahead, nothing does import numba.
"""
# ruff: noqa: ANN401 - what a kernel takes and gives is known to numba alone

from collections.abc import Callable
from contextlib import suppress
from functools import update_wrapper
from typing import Any, Final

from .ahead import Compiled, compiled_ahead

Key = tuple[Any, ...]
"""What a kernel is chosen by: a key of `argument_types.type_of` for each argument."""


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `numba.njit`. With `cache`, what numba compiles is kept for as long as no source of the kernel changes."""

    def kernel(function: Callable[..., Any]) -> Kernel:
        return Kernel(function, options, kept=cache)

    return kernel


def uncounted_njit(function: Callable[..., Any]) -> "Kernel":
    """A kernel for other kernels to call, that counts no references: nothing may be allocated in it, nor an array that
    it is given be kept. Each use of an array costs two atomic operations otherwise, where numba does not see that it
    can do without; in a loop over all packets that is more than what the loop does."""
    return Kernel(function, {"nogil": True, "_nrt": False}, kept=True)


class Kernel:
    """A compiled function.

    Of what was compiled ahead, a call takes what was made for the types of its arguments; where nothing was, or not
    for these, numba compiles. To numba, which meets kernels in the code of others, it is one of its own.
    """

    called: Callable[["Kernel", tuple[Any, ...]], None] | None = None
    """Of the class: told of each call of a kernel from Python, with its arguments."""
    announce: Callable[[str], None] | None = None
    """Of the class: told, once, when numba is to compile while somebody waits."""
    keeping = True
    """Of the class: whether what numba compiles is kept. What comes out of a file cannot be put into another module."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any], *, kept: bool) -> None:
        self.py_func: Final = function
        """The source of the kernel."""
        self.targetoptions: Final = options
        """The options for numba, which looks for them here."""
        self._kept = kept
        self._dispatcher: Any = None
        self._ahead: list[Compiled] | None = None
        self._chosen: dict[Key, Callable[..., Any]] = {}
        update_wrapper(self, function)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the kernel gives for these arguments."""
        if Kernel.called is not None:
            Kernel.called(self, arguments)
        if self._ahead is None:
            self._ahead = compiled_ahead(self.py_func)
        if not self._ahead or named:
            return self.dispatcher(*arguments, **named)
        from .argument_types import type_of

        key = tuple([type_of(argument) for argument in arguments])
        compiled = self._chosen.get(key)
        return (compiled or self._choose(key))(*arguments)

    def _choose(self, key: Key) -> Callable[..., Any]:
        """What was compiled for these types, or for such as they can pass for; numba's where there is none that can be
        loaded here."""
        from .argument_types import fits

        with suppress(ImportError, OSError, AttributeError):
            for one in self._ahead or ():
                if fits(key, one.key):
                    return self._chosen.setdefault(key, one.load())
        return self._chosen.setdefault(key, self.dispatcher)

    @property
    def dispatcher(self) -> Any:
        """Numba's kernel of the same source; made, and numba imported, when it is first asked for."""
        if self._dispatcher is None:
            from .jit import make_dispatcher

            self._dispatcher = make_dispatcher(self.py_func, self.targetoptions, kept=self._kept and Kernel.keeping)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        """What numba takes a global of this value for (numba.core.typing.typeof)."""
        return self.dispatcher._numba_type_


class Intrinsic:
    """`numba.extending.intrinsic`, but that numba is imported only when it compiles a kernel that uses it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._made: Any = None
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Only within kernels. Raises NotImplementedError, as numba's do."""
        raise NotImplementedError(f"{self._function.__name__} can be called in compiled kernels only")

    @property
    def _numba_type_(self) -> Any:
        """What numba takes a global of this value for."""
        from numba.core.registry import cpu_target
        from numba.extending import intrinsic

        context = cpu_target.typing_context
        if self._made is None:
            self._made = intrinsic(self._function)
            context.refresh()  # it would look for new ones when the next kernel is begun
        return context.resolve_value_type(self._made)


def intrinsic(function: Callable[..., Any]) -> Any:
    """The decorator that makes an `Intrinsic` of a function which takes the typing context and the arguments' types."""
    return Intrinsic(function)
