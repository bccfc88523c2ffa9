"""The kernel's drops: which packets it dropped in the captured namespaces, why, and in which of its functions.

Where that takes more than the kernel allows, how many it dropped on the whole machine, by reason and function.
"""

import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from ..machine.netns import own_netns
from ..session import add_interface, write_statistics
from ..sockets.arena import Arena
from ..sockets.drop_counter import DropCounter
from ..sockets.drops import ARENA_BYTES, LIMIT, open_drops
from .source import CannotRunError, Source

if TYPE_CHECKING:
    from ..session import Session
    from ..stream.feed import Feed


_EVERY_S: Final = 0.25


_ONLY_COUNTED: Final = "instead they are counted, by reason, on the whole machine"


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"this kernel does not describe what is needed: {error}"


class KernelDrops(Source):
    """A BPF program at the tracepoint skb:kfree_skb. Its records have interfaces of their own in the file.

    In its place, where it is refused, perf counts at the same tracepoint: numbers of the whole machine are all that the
    file has then, among the counters of its snapshots.
    """

    name = "kernel drops"
    works = "works: each packet, by a BPF program"
    in_namespace = False
    needs = (
        "needs Linux 5.17 with BPF and its types (CONFIG_DEBUG_INFO_BTF), CAP_BPF and CAP_PERFMON, and no lockdown "
        "that forbids to read the kernel's memory; to count them, CAP_PERFMON, and tracefs or CAP_SYS_ADMIN to mount it"
    )

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._counter: DropCounter | None = None
        self._reported: list[int] = []
        """Losses of each namespace in the last statistics written."""
        self._next_s = 0.0
        """When they are looked at again: in a flood the loop comes back hundreds of times a second."""

    @classmethod
    def try_out(cls) -> None:
        """Attach the program."""
        with closing(own_netns()) as netns, closing(Arena(buffer_bytes=ARENA_BYTES)) as arena:
            try:
                with closing(open_drops(arena, [netns.inode])) as recorder:
                    recorder.attach()
            except (KeyError, ValueError) as error:
                raise OSError(_why(error)) from error

    @classmethod
    def instead(cls) -> str | None:
        """Count them for a moment."""
        try:
            with closing(DropCounter()):
                return _ONLY_COUNTED
        except (OSError, KeyError, ValueError):
            return None

    def describe(self, feed: "Feed | None") -> None:
        """One interface for each namespace, behind each other. With the first file the program is loaded: it records
        nothing yet."""
        session = self.session
        targets = session.targets.targets
        if feed is None and session.options.kernel_drops:
            try:
                recorder = open_drops(session.arena, [target.netns.inode for target in targets])
            except (OSError, KeyError, ValueError) as error:
                raise self._without(error) from error
            session.stack.callback(recorder.close)
            session.drops = recorder, session.interfaces
            self._reported = [0] * recorder.namespaces
        if session.drops is None:
            return
        session.drops = session.drops[0], session.interfaces
        for number, target in enumerate(targets):
            interface = add_interface(session, target, "drops", "kernel drops")
            if feed is not None:
                lost = session.drops[0].lost[number] + feed.drops.unwritten(number)
                session.earlier[interface] = feed.drops.written(number) + lost, lost

    def begin(self, feed: "Feed") -> None:
        """Attach the program, before anything is traced: every drop of what is traced is told."""
        del feed
        if self.session.drops is None:
            return
        try:
            self.session.drops[0].attach()
        except OSError as error:
            raise self._without(error) from error

    def _without(self, error: Exception) -> CannotRunError:
        """Have them counted, if that can be done; returns what is to be said."""
        said = f"packets that the kernel drops are not recorded: {_why(error)} (`ttrace doctor` says what it needs)"
        try:
            counter = DropCounter()
        except (OSError, KeyError, ValueError):
            return CannotRunError(said)
        self.session.stack.callback(counter.close)
        self._counter = self.session.drop_counter = counter
        return CannotRunError(f"{said}; {_ONLY_COUNTED}")

    def record(self, feed: "Feed") -> None:
        """Note losses soon after they happened: that time is then told from others."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _EVERY_S
        if self._counter is not None:
            self._counter.look()
        if self.session.drops is None:
            return
        recorder, first = self.session.drops
        recorder.read_lost()
        for number, lost in enumerate(recorder.lost):
            if lost != self._reported[number]:
                write_statistics(self.session, first + number, feed.drops.kept(number) + lost, lost)
                self._reported[number] = lost

    def write_statistics(self, feed: "Feed") -> None:
        """Of each namespace."""
        if self.session.drops is None:
            return
        recorder, first = self.session.drops
        recorder.read_lost()
        for number, lost in enumerate(recorder.lost):
            write_statistics(self.session, first + number, feed.drops.written(number) + lost, lost)
        self._reported = recorder.lost

    def note_unwritten(self, feed: "Feed") -> None:
        """Of each namespace: what was copied and is in no file is lost."""
        if self.session.drops is None:
            return
        recorder, first = self.session.drops
        recorder.read_lost()
        for number, not_recorded in enumerate(recorder.lost):
            lost = not_recorded + feed.drops.unwritten(number)
            write_statistics(self.session, first + number, feed.drops.kept(number) + lost, lost)

    def forget_lost(self) -> int:
        """What was not recorded before the capture was ready is no loss, and no frame is missing for it: none."""
        if self.session.drops is not None:
            self.session.drops[0].forget_lost()
        return 0

    def end(self) -> None:
        """Detach the program, and say what was more than is recorded."""
        if self._counter is not None:
            self._counter.detach()
        if self.session.drops is None:
            return
        recorder, _ = self.session.drops
        recorder.detach()
        recorder.read_lost()
        for target, over, no_room in zip(self.session.targets.targets, recorder.over, recorder.no_room, strict=True):
            where = target.netns.description
            if over:
                self.session.warnings.append(
                    f"{where}: {over:,} more packets that the kernel dropped are only counted: over {LIMIT:,} a second"
                )
            if no_room:
                self.session.warnings.append(f"{where}: {no_room:,} drops of the kernel were lost: no room for them")
