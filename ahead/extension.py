"""One extension module of compiled kernels: numba's ahead-of-time compiler, with the options of each kernel.

numba.pycc gives all exports of a module the same options, and no way to let go of the interpreter lock; what is here is
its compiler, but that each kernel has the flags that its decorator says. It is pending deprecation since numba
0.57, and the versions that build are pinned (pyproject.toml): what it makes needs NumPy alone, so a wheel that is built
lives on, and with those versions it can be built for as long as their wheels are to be had.
"""
# ruff: noqa: ANN401 - numba has no types

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from sysconfig import get_paths
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..errors import TtraceError
from ..kernels.kept_files import writing
from ..kernels.njit import Kernel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from numba.core.compiler import Flags, compile_extra
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import _FunctionCompiler  # type: ignore[attr-defined]
    from numba.core.environment import lookup_environment
    from numba.core.registry import cpu_target
    from numba.core.runtime import nrtdynmod
    from numba.pycc.compiler import ModuleCompiler


@dataclass(frozen=True, eq=False)
class Export:
    """A kernel for some types."""

    symbol: str
    kernel: Kernel
    types: tuple[Any, ...]
    """Of numba."""


def build_extension(name: str, exports: Sequence[Export], processor: str, file: Path) -> None:
    """Write an extension module called `name` to `file`. Raises TtraceError when it cannot be compiled or linked."""
    import numba

    sources = Path(numba.__file__).parent
    compiler = _Compiler(list(exports), name, use_nrt=True, cpu_name=processor)
    compiler.external_init_function = f"pycc_init_{name}"
    include = [f"-I{path}" for path in (get_paths()["include"], np.get_include())]
    options = ["-O2", "-fPIC", "-w", "-DPYCC_USE_NRT=1", f"-DPYCC_MODULE_NAME={name}", "-DNUMBA_LAPACK_BUILD_ILP64=0"]
    options.append(f"-ffile-prefix-map={sources}=numba")
    with TemporaryDirectory(prefix="ttrace-ahead-") as scratch:
        compiler.write_native_object(f"{scratch}/kernels.o", wrap=True)
        for source in ("pycc/modulemixin.c", "core/runtime/nrt.cpp"):
            made = f"{scratch}/{Path(source).stem}.o"
            _run("gcc", *options, *include, "-c", str(sources / source), "-o", made)
        objects = [f"{scratch}/{one}.o" for one in ("kernels", "modulemixin", "nrt")]
        # Nothing of C++'s library is used; a build ID would tell builds apart that are the same.
        linked = f"{scratch}/{name}.so"
        _run("gcc", "-shared", "-s", "-Wl,--build-id=none", "-pthread", *objects, "-lm", "-o", linked)
        with writing(file) as made_file:
            made_file.write(Path(linked).read_bytes())


def _run(*command: str) -> None:
    needs = "install gcc, g++ and the headers of Python (Debian: gcc, g++, python3-dev)"
    try:
        done = run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise TtraceError(f"kernels cannot be compiled: there is no {command[0]}", needs) from error
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2]
        raise TtraceError(f"kernels cannot be compiled: {command[0]}: {said}", needs)


class _Compiler(ModuleCompiler):
    """Numba's, but for the flags of each export."""

    @global_compiler_lock
    def _cull_exports(self) -> Any:
        """Compile the exports, and put them and what they call into one module of LLVM."""
        self.exported_function_types, self.function_environments = {}, {}
        self.environment_gvs, self.extra_environments = {}, {}
        library = self.context.codegen().create_library(self.module_name)
        runtime, _ = nrtdynmod.create_nrt_module(self.context)
        library.add_ir_module(runtime)
        with _callees_for_linking(self.context):
            for export in self.export_entries:
                self._add(export, library)
        wrapper = library.create_ir_module("wrapper")
        self._emit_python_wrapper(wrapper)
        library.add_ir_module(wrapper)
        library.finalize()
        for function in library.get_defined_functions():
            if function.name not in self.dll_exports:
                internal = function.linkage.name in ("private", "internal")
                function.visibility = "default" if internal else "hidden"
        return library

    def _add(self, export: Export, library: Any) -> None:
        result = compile_extra(
            self.typing_context, self.context, export.kernel.py_func, export.types, None,
            _flags(export.kernel), locals={}, library=library,
        )  # fmt: skip
        for function in library._final_module.functions:
            if function.name.startswith("__excinfo_unwrap_args"):
                function.linkage = "linkonce_odr"
        described = result.fndesc
        result.library.get_function(described.llvm_func_name).linkage = "internal"
        wrapper = result.library.get_function(described.llvm_cpython_wrapper_name)
        wrapper.name, wrapper.linkage = self._mangle_method_symbol(export.symbol), "external"
        self.exported_function_types[export] = result.target_context.call_conv.get_function_type(
            described.restype, described.argtypes
        )
        self.function_environments[export] = result.environment
        self.environment_gvs[export] = described.env_name
        for linked in library._linking_libraries:
            for variable in linked._final_module.global_variables:
                environment = variable.name.startswith("_ZN08NumbaEnv") and lookup_environment(variable.name)
                if environment and environment.can_cache():
                    self.extra_environments[variable.name] = environment


@contextmanager
def _callees_for_linking(context: Any) -> Iterator[None]:
    """Meanwhile, what numba compiles because an export calls it is not made ready to be called by itself: no wrappers,
    no machine code. That is a fifth of the time, and the module that it is linked into is translated anyway."""

    def without_wrappers(_: Any, flags: Any) -> Any:
        flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        return flags

    def nothing_to_call(*_: Any) -> Callable[..., None]:
        return [].append  # numba knows what it compiled by this: a builtin, and each time another

    before = _FunctionCompiler._customize_flags
    _FunctionCompiler._customize_flags = without_wrappers
    context.get_executable = nothing_to_call
    try:
        yield
    finally:
        _FunctionCompiler._customize_flags = before
        del context.get_executable


def _flags(kernel: Kernel) -> Any:
    flags: Any = Flags()
    cpu_target.options.parse_as_flags(flags, kernel.targetoptions)
    flags.no_compile = True
    flags.nrt = True
    return flags
