"""Conntrack: the connections of a namespace, those that there are and those that begin, change and end."""

import os
from contextlib import closing
from typing import TYPE_CHECKING

from ..machine.netns import own_netns
from ..parallel import in_parallel
from ..sockets.arena import Arena
from ..sockets.netfilter import NetfilterSocket, arena_bytes, open_netfilter_socket
from ..sockets.numbers import (
    CT_GET,
    NFNLGRP_CONNTRACK_DESTROY,
    NFNLGRP_CONNTRACK_NEW,
    NFNLGRP_CONNTRACK_UPDATE,
    NLM_F_DUMP,
)
from ..sockets.requests import error_of, request
from .source import Source

if TYPE_CHECKING:
    from ..stream.feed import Feed

_DETAILS = ("nf_conntrack_timestamp", "nf_conntrack_acct")
_TRIED_MIB = 1
_TRIED_S = 2.0
_ANSWER_BYTES = 8192


class Conntrack(Source):
    """Events of all connections, and the table that was there before."""

    name = "netfilter events"
    needs = "needs nfnetlink and nf_conntrack_netlink"
    groups = (NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY)

    @classmethod
    def try_out(cls) -> None:
        """Listen, and ask for the table."""
        with closing(own_netns()) as netns, closing(Arena(buffer_bytes=arena_bytes(_TRIED_MIB))) as arena:
            opened = open_netfilter_socket(arena, netns, buffer_mib=_TRIED_MIB, groups=cls.groups, wakes=())
            with closing(opened) as listener:
                dump_conntrack(listener)
                listener.socket.settimeout(_TRIED_S)
                error = error_of(listener.socket.recv(_ANSWER_BYTES))
        if error:
            raise OSError(error, f"conntrack table: {os.strerror(error)}")

    def open(self, listener: NetfilterSocket) -> None:
        """Switch on what makes events say more, if that was asked for; what refuses it is a warning."""
        if not self.session.options.conntrack_details:
            return
        for name in _DETAILS:
            try:
                self.session.journal.set_value(listener.netns, f"net/netfilter/{name}", "1")
            except OSError as error:
                where = listener.netns.description
                self.session.warnings.append(f"{where}: {name} not set: {error.strerror}")

    def begin(self, feed: "Feed") -> None:
        """Ask every namespace for its table. Connections that began before the capture have no other message."""
        del feed
        in_parallel(dump_conntrack, [listener for listener, _ in self.session.sockets])


def dump_conntrack(listener: NetfilterSocket) -> None:
    """Ask for the conntrack table; the answer arrives like an event, marked NLM_F_MULTI."""
    listener.socket.send(request(CT_GET, NLM_F_DUMP))
