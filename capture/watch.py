"""Waits for the kernel: full ring blocks, netlink messages, interfaces that come and go, and the signal to stop."""

import errno
import os
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import TtraceError
from .active import Session, add_ring
from .links import read_links, routing
from .ring import Ring
from .stop import StopSignals
from .targets import new_bridge_ports

if TYPE_CHECKING:
    from .stream import Stream

MAX_ARRIVALS = 64
"""Interfaces that may appear during a capture and still get a ring: address space is set aside for them."""
_RTMGRP_LINK = 1  # linux/rtnetlink.h
_MESSAGE_BYTES = 1 << 16


class Watch:
    """The descriptors of one capture in one epoll set."""

    def __init__(self, session: Session, stream: "Stream", stop: StopSignals) -> None:
        self._epoll = select.epoll()
        self._session = session
        self._stream = stream
        self._points: dict[int, Ring] = {}
        self._arrivals = 0
        for ring, _ in session.rings:
            self._add(ring)
        for listener, _ in session.sockets:
            self._epoll.register(listener.socket.fileno(), select.EPOLLIN)
        self._epoll.register(stop.fd, select.EPOLLIN)
        self._links = _open_link_socket(session)
        if not session.options.interfaces:
            self._epoll.register(self._links.fileno(), select.EPOLLIN)

    def wait(self, timeout_s: float) -> None:
        """Return when something happened, or after `timeout_s`; opens rings on new interfaces, notes lost ones."""
        for fd, events in self._epoll.poll(timeout_s):
            ring = self._points.get(fd)
            if ring is not None and events & select.EPOLLERR:
                self._note_error(ring)
            elif fd == self._links.fileno():
                self._add_arrivals()

    def close(self) -> None:
        """Stop watching."""
        self._links.close()
        self._epoll.close()

    def _add(self, ring: Ring) -> None:
        self._points[ring.socket.fileno()] = ring
        # Edge-triggered: a ring stays readable as long as blocks are held back, and would wake us all the time.
        self._epoll.register(ring.socket.fileno(), select.EPOLLIN | select.EPOLLERR | select.EPOLLET)

    def _note_error(self, ring: Ring) -> None:
        error = ring.take_error()
        if error:
            what = "went down or away" if error == errno.ENETDOWN else os.strerror(error)
            self._session.warnings.append(f"interface `{ring.interface}` in {ring.netns.description} {what}")

    def _add_arrivals(self) -> None:
        """Open a ring on each new bridge and bridge port of the node: a container was started."""
        # ENOBUFS only means that more changed than fits: the links are listed anew anyway.
        with suppress(BlockingIOError, OSError):
            while self._links.recv(_MESSAGE_BYTES):
                pass
        target = self._session.targets.targets[0]
        with routing(target.netns) as route:
            links = read_links(route)
        known = {ring.index for ring, _ in self._session.rings if ring.netns.is_root}
        for link in new_bridge_ports(links, known):
            if self._arrivals == MAX_ARRIVALS:
                return
            try:
                with target.netns.entered():
                    add_ring(self._session, target, link)
            except TtraceError as error:  # it may be gone again
                self._session.warnings.append(error.message)
                continue
            self._arrivals += 1
            ring, interface = self._session.rings[-1]
            self._stream.add_ring(ring, interface)
            self._add(ring)


def _open_link_socket(session: Session) -> socket.socket:
    """A socket that hears of links that appear or change in the node's namespace."""
    with session.targets.targets[0].netns.entered():
        links = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    links.bind((0, _RTMGRP_LINK))
    return links
