"""A source of kernel messages: what a capture asks of each kind, so that it can go over all without knowing any."""

from typing import TYPE_CHECKING, ClassVar

from ...errors import TtraceError

if TYPE_CHECKING:
    from ..session import Session
    from ..sockets.netfilter import NetfilterSocket
    from ..stream.feed import Feed


class CannotRunError(Exception):
    """A source lacks something: its text is the warning, and the capture goes on without."""


class Source:
    """One kind of kernel message, in one capture. A kind overrides what it needs; nothing is done here.

    The methods are called in the order in which they stand, each for all sources before the next.
    """

    name: ClassVar[str] = ""
    """What `ttrace doctor` calls it; empty: it has nothing to try."""
    needs: ClassVar[str] = ""
    """What the kernel must have for it: the hint where `can_run` finds something missing."""
    works: ClassVar[str] = "works"
    """What `ttrace doctor` says of it where nothing is missing."""
    in_namespace: ClassVar[bool] = True
    """Trying it changes something in the namespace of the thread."""
    groups: ClassVar[tuple[int, ...]] = ()
    """Multicast groups (NFNLGRP_*) that the netfilter socket of every namespace joins for it."""
    wakes: ClassVar[tuple[int, ...]] = ()
    """Types of messages (nlmsg_type) for which the capture is woken at once, not when the next writing is due."""

    def __init__(self, session: "Session") -> None:
        self.session = session

    @classmethod
    def can_run(cls) -> str | None:
        """What is missing for it on this machine; None: nothing. For those with a name.

        It is known by trying: with `in_namespace`, that of the thread must be one that goes away afterwards.
        """
        try:
            cls.try_out()
        except (TtraceError, OSError) as error:
            return str(error)
        return None

    @classmethod
    def try_out(cls) -> None:
        """Do for a moment what a capture does with it. Raises TtraceError or OSError that say what is missing."""

    @classmethod
    def instead(cls) -> str | None:
        """What a capture does in its place, if it can; None: nothing. This is known by trying as well."""
        return None

    def open(self, listener: "NetfilterSocket") -> None:
        """Make it ready to be heard on the socket of one namespace, before anything is traced; for each namespace.

        Raises CannotRunError where it has to be gone without.
        """

    def describe(self, feed: "Feed | None") -> None:
        """Describe its own interfaces, if it has any, in a file that begins, behind those of the sockets.

        `feed`: None for the first file, where it raises CannotRunError as `open` does.
        """

    def begin(self, feed: "Feed") -> None:
        """Have the kernel speak: all sockets are open and are received from. Raises CannotRunError as `open` does."""

    def follow(self, feed: "Feed") -> None:
        """The snapshots of the start are in the file, and the loop begins."""

    @property
    def is_pending(self) -> bool:
        """Whether it wants its turn soon, even if nothing happens."""
        return False

    def record(self, feed: "Feed") -> None:
        """Its turn, each time the loop comes back: at least four times a second, and when a message wakes it."""

    def write_statistics(self, feed: "Feed") -> None:
        """Write to the end of a file what its own interfaces have received and lost there."""

    def note_unwritten(self, feed: "Feed") -> None:
        """The file takes no more: count as lost what was received and is not in it, and write the statistics."""

    def forget_lost(self) -> int:
        """Count losses from now on; returns how many there were before."""
        return 0

    def end(self) -> None:
        """Have the kernel be silent, with the settings of the session left to its journal. Also called after a failure,
        and twice."""
