"""Rules that change while a capture runs: a new ruleset snapshot soon after, so that a rule which comes and goes keeps
its words."""

import time
from typing import TYPE_CHECKING, Final

from ..recording_snapshots import begin_ruleset_snapshot
from ..sockets.numbers import NFNLGRP_NFTABLES, NFT_NEWGEN
from .source import Source

if TYPE_CHECKING:
    from ..session import Session
    from ..stream.feed import Feed

_SETTLE_S: Final = 0.1
"""Wait so long for a change to be complete: Docker writes the rules of one container in a dozen transactions."""
_PATIENCE_S: Final = 1.0
"""But never longer than this, and never two snapshots of a namespace within it: one costs about 30 ms."""


class RulesetChanges(Source):
    """Counts the ruleset generations of every namespace, and takes a snapshot where one is due."""

    groups = (NFNLGRP_NFTABLES,)
    wakes = (NFT_NEWGEN,)

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._recorded: list[int] = []
        """Generations of which a snapshot is in the file; this and the next four: by number of the socket."""
        self._seen: list[int] = []
        self._first_change_s: list[float] = []
        self._last_change_s: list[float] = []
        self._snapshot_s: list[float] = []

    def follow(self, feed: "Feed") -> None:
        """The ruleset snapshots of the start are taken already: what changed until now is in them."""
        sockets = range(len(self.session.sockets))
        self._recorded = [feed.generations(number) for number in sockets]
        self._seen = list(self._recorded)
        self._first_change_s = [0.0 for _ in sockets]
        self._last_change_s = [0.0 for _ in sockets]
        self._snapshot_s = [0.0 for _ in sockets]

    @property
    def is_pending(self) -> bool:
        """Whether a change waits for its snapshot."""
        return self._seen != self._recorded

    def record(self, feed: "Feed") -> None:
        """Take the snapshots that are due into the stream."""
        now = time.monotonic()
        for number, seen in enumerate(self._seen):
            count = feed.generations(number)
            if count != seen:
                if seen == self._recorded[number]:
                    self._first_change_s[number] = now
                self._seen[number] = count
                self._last_change_s[number] = now
            if self._is_due(number, now):
                self._snapshot(feed, number)

    def _is_due(self, number: int, now: float) -> bool:
        if self._seen[number] == self._recorded[number] or now - self._snapshot_s[number] < _PATIENCE_S:
            return False
        settled = now - self._last_change_s[number] >= _SETTLE_S
        return settled or now - self._first_change_s[number] >= _PATIENCE_S

    def _snapshot(self, feed: "Feed", number: int) -> None:
        netns = self.session.sockets[number][0].netns
        self._recorded[number] = self._seen[number]
        self._snapshot_s[number] = time.monotonic()
        begin_ruleset_snapshot(self.session, feed, "change", netns, "changed rules not recorded")
