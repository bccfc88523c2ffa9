"""Netfilter's trace: what every rule did with a packet, of packets that our own table marks."""

from contextlib import closing
from typing import TYPE_CHECKING

from ..machine.netns import own_netns
from ..parallel import in_parallel
from ..rules.tracing_table import TracingTable, split_match
from ..sockets.netfilter import NetfilterSocket
from ..sockets.numbers import NFNLGRP_NFTRACE
from .source import Source

if TYPE_CHECKING:
    from ..session import Session
    from ..stream.feed import Feed

_TRIED_LIMIT = 1_000


class Nftrace(Source):
    """The tracing table of each namespace. Its messages are heard in any case: others may trace too."""

    name = "tracing table"
    needs = "needs nf_tables with `flags owner` (Linux 5.12) and nft_limit, nf_tables_inet"
    groups = (NFNLGRP_NFTRACE,)

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._tables: list[TracingTable] = []

    @classmethod
    def try_out(cls) -> None:
        """Load a table."""
        with closing(own_netns()) as netns, closing(TracingTable(netns)) as table:
            table.load(match=None, limit=_TRIED_LIMIT)

    def begin(self, feed: "Feed") -> None:
        """Load the table in every namespace, in all at once. Raises TtraceError: a capture that was asked to trace does
        not go without.

        A message's time may be that of its receipt, so what the first namespaces say is received meanwhile.
        """
        options = self.session.options
        freeze_on = [each for text in options.freeze_matches for each in split_match(text, "--freeze-on")]
        if not options.trace and not freeze_on:
            return

        def load(listener: NetfilterSocket) -> None:
            table = TracingTable(listener.netns)
            self._tables.append(table)
            table.load(match=options.trace_match, limit=options.trace_limit, trace=options.trace, freeze_on=freeze_on)

        in_parallel(load, [listener for listener, _ in self.session.sockets], meanwhile=feed.receive)

    def end(self) -> None:
        """Close the tables, whose packets then are traced no more."""
        tables, self._tables = self._tables, []
        in_parallel(TracingTable.close, tables)
