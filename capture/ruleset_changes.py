"""Rules that change while a capture runs: a new ruleset snapshot soon after, so that a rule which comes and goes keeps
its words."""

import time
from typing import TYPE_CHECKING, Final

from ..errors import TtraceError
from .session import Session, add_snapshot
from .snapshots import ruleset_snapshot

if TYPE_CHECKING:
    from .stream.feed import Feed

_SETTLE_S: Final = 0.1
"""Wait so long for a change to be complete: Docker writes the rules of one container in a dozen transactions."""
_PATIENCE_S: Final = 1.0
"""But never longer than this, and never two snapshots of a namespace within it: one costs about 30 ms."""


class RulesetChanges:
    """Counts the ruleset generations of every traced namespace, and says where a snapshot is due."""

    def __init__(self, session: Session, feed: "Feed") -> None:
        """The ruleset snapshots of the start are taken already: what changed until now is in them."""
        self._session, self._feed = session, feed
        sockets = range(len(session.sockets))
        self._recorded = [feed.generations(number) for number in sockets]
        self._seen = list(self._recorded)
        self._first_change_s = [0.0 for _ in sockets]
        self._last_change_s = [0.0 for _ in sockets]
        self._snapshot_s = [0.0 for _ in sockets]

    @property
    def is_pending(self) -> bool:
        """Whether a change waits for its snapshot."""
        return self._seen != self._recorded

    def record(self) -> None:
        """Take the snapshots that are due into the feed."""
        now = time.monotonic()
        for number, seen in enumerate(self._seen):
            count = self._feed.generations(number)
            if count != seen:
                if seen == self._recorded[number]:
                    self._first_change_s[number] = now
                self._seen[number] = count
                self._last_change_s[number] = now
            if self._is_due(number, now):
                self._snapshot(number)

    def _is_due(self, number: int, now: float) -> bool:
        if self._seen[number] == self._recorded[number] or now - self._snapshot_s[number] < _PATIENCE_S:
            return False
        settled = now - self._last_change_s[number] >= _SETTLE_S
        return settled or now - self._first_change_s[number] >= _PATIENCE_S

    def _snapshot(self, number: int) -> None:
        netns = self._session.sockets[number][0].netns
        self._recorded[number] = self._seen[number]
        self._snapshot_s[number] = time.monotonic()
        try:
            add_snapshot(self._session, self._feed, ruleset_snapshot(netns), "change")
        except TtraceError as error:
            self._session.warnings.append(f"{netns.description}: changed rules not recorded: {error.message}")
