"""Enough file descriptors: a capture of many namespaces needs more than a process may have by default."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import TtraceError
from .targets import Targets

_OF_A_NAMESPACE = 4
"""The namespace itself, its netfilter socket, the times of its messages, the owner of the tracing table."""
_HINT = "as root raise the limit with `ulimit -Hn 65536`, in a service with `LimitNOFILE=`; or capture fewer"
_MEANWHILE = 64
"""What is open for a moment: sockets to ask with and pipes of helper programs, in some threads."""


@contextmanager
def told() -> Iterator[None]:
    """Whoever runs out of descriptors meanwhile is told what to do. Raises TtraceError."""
    try:
        yield
    except (OSError, TtraceError) as error:
        cause = error.__cause__ if isinstance(error, TtraceError) else error
        if isinstance(cause, OSError) and cause.errno == errno.EMFILE:
            allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            message = (
                f"there are more namespaces than the {allowed} open files that this process may have are enough for"
            )
            raise TtraceError(message, hint=_HINT) from error
        raise


def raise_limit() -> None:
    """Raise our limit of open files to the most that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def check_descriptors(targets: Targets) -> None:
    """Raise TtraceError if a capture of `targets`, which are open, would run out of descriptors."""
    points = sum(len(target.chosen) for target in targets.targets)
    needed = len(list(Path("/proc/self/fd").iterdir())) + _OF_A_NAMESPACE * len(targets.targets) + points + _MEANWHILE
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if needed > allowed:
        raise TtraceError(
            f"capturing {len(targets.targets)} namespaces with {points} interfaces takes {needed} open files, "
            f"and this process may have {allowed}",
            hint=_HINT,
        )
