"""pyroute2's messages of rtnetlink, and nothing else of pyroute2.

`import pyroute2` also brings its databases and event loops, 0.15 s and 25 MB of every capture, where its messages alone
take 0.03 s. So they are imported from within a package of that name whose own code was not run; whoever imports
pyroute2 afterwards gets it whole.

Sources: linux/rtnetlink.h, linux/netlink.h, through the names that pyroute2 gives what is in them.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any, Final

Message = Any
"""A pyroute2 nlmsg: fields by `message["index"]`, attributes by `get_attr`, None where it has none."""

_PACKAGE: Final = "pyroute2"
_LOCK: Final = Lock()
"""Threads read the lists of several namespaces at once."""
_HEADER_BYTES: Final = 16
"""struct nlmsghdr."""


def links(bodies: list[bytes]) -> list[Message]:
    """Of struct ifinfomsg and its attributes. Raises OSError for what is none; so do the others."""
    return _decoded("ifinfmsg", bodies)


def addresses(bodies: list[bytes]) -> list[Message]:
    """Of struct ifaddrmsg and its attributes."""
    return _decoded("ifaddrmsg", bodies)


def neighbours(bodies: list[bytes]) -> list[Message]:
    """Of struct ndmsg and its attributes."""
    return _decoded("ndmsg", bodies)


def _decoded(name: str, bodies: list[bytes]) -> list[Message]:
    kind, error = _message_class(name)
    found = []
    for body in bodies:
        header = (_HEADER_BYTES + len(body)).to_bytes(4, sys.byteorder) + bytes(_HEADER_BYTES - 4)
        message = kind(header + body)
        try:
            message.decode()
        except error as unclear:
            raise OSError(errno.EBADMSG, f"not a message that pyroute2 can read ({name}): {unclear}") from unclear
        found.append(message)
    return found


@cache
def _message_class(name: str) -> tuple[Any, type[Exception]]:
    """(The class of the messages, what they raise)."""
    with _LOCK, _package_alone():
        messages = import_module(f"{_PACKAGE}.netlink.rtnl.{name}")
        exceptions = import_module(f"{_PACKAGE}.netlink.exceptions")
    return getattr(messages, name), exceptions.NetlinkDecodeError


@contextmanager
def _package_alone() -> Iterator[None]:
    """Meanwhile, pyroute2 is a package in which modules are found, and no more; unless it was imported before."""
    if _PACKAGE in sys.modules:
        yield
        return
    spec = find_spec(_PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named '{_PACKAGE}'", name=_PACKAGE)
    package = ModuleType(_PACKAGE)
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[_PACKAGE] = package
    try:
        yield
    finally:
        if sys.modules.get(_PACKAGE) is package:
            del sys.modules[_PACKAGE]
