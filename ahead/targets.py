"""The machines that kernels are compiled for."""

import platform
import shutil
from dataclasses import dataclass
from typing import Final

from ..errors import TtraceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A kind of machine."""

    machine: str
    """As `platform.machine` has it there."""
    triple: str
    """As LLVM has it."""
    processor: str
    """The oldest that the code runs on, as LLVM has it."""
    features: str
    binutils: str
    """What the names of its linker and tools begin with."""


TARGETS: Final = {
    target.machine: target
    for target in (
        Target(
            machine="x86_64", triple="x86_64-unknown-linux-gnu", processor="x86-64-v2", features="",
            binutils="x86_64-linux-gnu-",
        ),
        # Without outlined atomics, which are functions of the C compiler's own library.
        Target(
            machine="aarch64", triple="aarch64-unknown-linux-gnu", processor="generic", features="-outline-atomics",
            binutils="aarch64-linux-gnu-",
        ),
    )
}  # fmt: skip


def has_tools(target: Target) -> bool:
    """Whether there are tools of binutils for the target."""
    return _found(target, "ld") is not None


def tool(target: Target, name: str) -> str:
    """A tool of binutils for the target. Raises TtraceError where there is none."""
    found = _found(target, name)
    if found is None:
        package = f"binutils-{target.binutils.removesuffix('-')}".replace("_", "-")
        raise TtraceError(
            f"`{target.binutils}{name}` is not installed, which code for {target.machine} is linked with",
            f"`apt install {package}`",
        )
    return found


def _found(target: Target, name: str) -> str | None:
    own = shutil.which(name) if target.machine == platform.machine() else None
    return shutil.which(target.binutils + name) or own
