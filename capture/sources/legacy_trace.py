"""TRACE of iptables-legacy, which comes through NFLOG where legacy tables are in use."""

import errno
import os
import socket
import struct

from ..rules.legacy import are_legacy_tables_hidden, has_legacy_tables
from ..sockets.netfilter import NetfilterSocket
from ..sockets.numbers import (
    NFLOG_CONFIG,
    NFULA_CFG_CMD,
    NFULA_CFG_MODE,
    NFULA_CFG_QTHRESH,
    NFULNL_CFG_CMD_BIND,
    NFULNL_CFG_CMD_UNBIND,
    NFULNL_COPY_PACKET,
    NLM_F_ACK,
)
from ..sockets.requests import acknowledgement, request
from .source import CannotRunError, Source

_LOGGERS = ("net/netfilter/nf_log/2", "net/netfilter/nf_log/10")  # AF_INET, AF_INET6
_COPIED_BYTES = 256
"""Of each packet logged by TRACE: more than any header; the rest is in the packet capture."""
_QUEUED = 1
"""Messages that are gathered before they are sent. The default gathers them for up to a second."""
_FIRST_SEQUENCE = 100


class LegacyTrace(Source):
    """NFLOG group 0, where legacy TRACE goes. It is bound, not joined: a group has one listener."""

    def open(self, listener: NetfilterSocket) -> None:
        """Direct TRACE of legacy tables to the socket, before anything is traced.

        Our table's `meta nftrace set 1` makes legacy tables log too, to whatever logger the namespace has: by default
        the kernel log, which it would flood.
        """
        where = listener.netns.description
        if not self.session.options.trace:
            return
        with listener.netns.entered():
            if are_legacy_tables_hidden():
                raise CannotRunError(
                    f"{where}: only root sees whether iptables-legacy has rules: they are not traced, and if it has, "
                    "the kernel log may be filled"
                )
        if not has_legacy_tables(listener.netns):
            return
        try:
            for name in _LOGGERS:
                self.session.journal.set_value(listener.netns, name, "nfnetlink_log")
            _bind(listener.socket)
        except OSError as error:
            if error.errno == errno.EPERM:
                missing = "another program listens to NFLOG group 0, so rules of iptables-legacy are not traced"
            else:
                missing = f"rules of iptables-legacy are not traced: {error.strerror}"
            raise CannotRunError(f"{where}: {missing}") from error


def _bind(listener: socket.socket) -> None:
    """Receive NFLOG group 0 on the socket. Raises OSError: EPERM is another listener."""
    # The group belongs to the socket that asks for it. The acknowledgements are read here, before the loop receives
    # anything: what else arrives between them is lost, but nothing is traced yet and conntrack is dumped later.
    steps = [
        (NFULA_CFG_CMD, bytes([NFULNL_CFG_CMD_UNBIND])),
        (NFULA_CFG_CMD, bytes([NFULNL_CFG_CMD_BIND])),
        (NFULA_CFG_MODE, struct.pack(">IBB", _COPIED_BYTES, NFULNL_COPY_PACKET, 0)),  # struct nfulnl_msg_config_mode
        (NFULA_CFG_QTHRESH, struct.pack(">I", _QUEUED)),
    ]
    for sequence, attribute in enumerate(steps, _FIRST_SEQUENCE):
        # The resource of the request is the group: 0.
        listener.send(request(NFLOG_CONFIG, NLM_F_ACK, sequence=sequence, attributes=[attribute]))
        error = acknowledgement(listener, sequence)
        if error and sequence > _FIRST_SEQUENCE:  # "not bound" is no failure of the unbind
            raise OSError(error, os.strerror(error))
