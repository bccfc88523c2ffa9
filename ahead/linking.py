"""Object code to a shared object: by the linker of binutils, which writes the same bytes for the same code."""

import subprocess
import tempfile
from pathlib import Path
from typing import Final

from ..errors import TtraceError
from .targets import Target, tool

KNOWN: Final = frozenset(
    ("__errno_location", "clock_gettime", "epoll_wait", "memcpy", "memmove", "memset", "recvmmsg", "usleep", "writev")
)
"""What may be missing in an object: functions of the C library, which every Python has loaded."""
_OPTIONS: Final = (
    "-shared", "--strip-all", "--build-id=none", "--hash-style=gnu", "-z", "noexecstack", "-z", "relro", "-z", "now",
)  # fmt: skip


def link(code: bytes, target: Target) -> bytes:
    """A shared object. Raises TtraceError where there is no linker, or it needs what is not in the C library."""
    with tempfile.TemporaryDirectory(prefix="ttrace-link-") as folder:
        source, made = Path(folder, "kernels.o"), Path(folder, "kernels.so")
        source.write_bytes(code)
        _run([tool(target, "ld"), *_OPTIONS, "-o", str(made), str(source)])
        unknown = undefined(made, target) - KNOWN
        if unknown:
            raise TtraceError(f"compiled kernels need {', '.join(sorted(unknown))}, which is not in the C library")
        return made.read_bytes()


def undefined(made: Path, target: Target) -> set[str]:
    """What a shared object needs of others (`nm -u`)."""
    lines = _run([tool(target, "nm"), "--dynamic", "--undefined-only", str(made)]).splitlines()
    return {line.split()[-1].partition("@")[0] for line in lines if line.strip()}


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TtraceError(f"`{Path(command[0]).name}` failed: {done.stderr.strip()}")
    return done.stdout
