"""Watches for what is seldom: interfaces that come and go, and the signal to stop."""

import errno
import os
import select
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import TtraceError
from .machine.links import read_links, routing
from .session import Session, add_ring, end_ring, open_point
from .sockets.buffers import HOLD_BACK_NS
from .sockets.ring import Ring
from .stop import StopSignals
from .targets import new_bridge_ports

if TYPE_CHECKING:
    from .stream.feed import Feed

MAX_ARRIVALS = 64
"""Interfaces that may be there at once beyond those at the start: address space is set aside for their rings."""
EXPECTED_ARRIVALS = 8
"""Interfaces for which also a full share of the rings' memory is set aside; more of them get small rings."""
_HANDED_OVER_S = 2 * HOLD_BACK_NS / 1e9
"""After this time the kernel has handed over every packet of an interface that went away, even if it is busy."""
_REST_S = 0.2
_REST_FACTOR = 9
"""So many times as long as it took to look at the links they are not looked at again."""
_RTMGRP_LINK = 1  # linux/rtnetlink.h
_MESSAGE_BYTES = 1 << 16
_MOST_MESSAGES = 1_000


class Watch:
    """The descriptors of one capture that seldom have anything to say, in one epoll set."""

    def __init__(self, session: Session, feed: "Feed", stop: StopSignals) -> None:
        self._epoll = select.epoll()
        self._session = session
        self._feed = feed
        self._points: dict[int, Ring] = {}
        """By file descriptor; so in the next two."""
        self._failed: dict[int, Ring] = {}
        """Those that reported an error, which was said."""
        self._gone_s: dict[int, float] = {}
        """When it was seen that the interface is gone."""
        self._refused: set[int] = set()
        """Indexes of interfaces on which no ring could be opened, which was said."""
        self._is_full_said = False
        self._said: set[str] = set()
        """Why links could not be read, which was said."""
        self._look_s: float | None = None
        """When links are to be looked at, as some have changed; None: nothing has changed."""
        self._rested_s = 0.0
        """Before that they are not looked at again."""
        for ring, _ in session.rings:
            self._add(ring)
        self._epoll.register(stop.fd, select.EPOLLIN)
        self._epoll.register(session.workers.fd, select.EPOLLIN)
        self._links = _open_link_socket(session)
        if not session.options.interfaces:
            self._epoll.register(self._links.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """A descriptor that is readable when there is something for `wait`."""
        return self._epoll.fileno()

    def wait(self, timeout_s: float) -> None:
        """Return when something happened, or after `timeout_s`; opens rings on new interfaces, notes lost ones."""
        if self._look_s is not None:
            timeout_s = min(timeout_s, max(0.0, self._rested_s - time.monotonic()))
        for fd, events in self._epoll.poll(timeout_s):
            ring = self._points.get(fd)
            if ring is not None and events & select.EPOLLERR:
                self._note_error(ring)
            elif fd == self._links.fileno():
                self._note_change()
        if self._end_vanished() and not self._session.options.interfaces:
            self._look_s = 0.0  # one may have waited for a slot
        if self._look_s is not None and time.monotonic() >= max(self._look_s, self._rested_s):
            self._look()

    def _note_change(self) -> None:
        """Links have changed: look at them once, however much is said of it meanwhile."""
        self._look_s = time.monotonic()
        if self._look_s < self._rested_s:
            # Who lets a link flap would keep us awake. `wait` is called four times a second.
            self._epoll.unregister(self._links.fileno())

    def _look(self) -> None:
        """Take in what has arrived; what goes wrong is a warning."""
        self._look_s = None
        began = time.monotonic()
        try:
            self._add_arrivals()
        except (TtraceError, OSError) as error:
            reason = str(error) if isinstance(error, TtraceError) else os.strerror(error.errno or 0)
            if reason not in self._said:
                self._said.add(reason)
                self._session.warnings.append(f"new interfaces are not captured for now: {reason}")
            self._look_s = began
        # A node with a thousand links takes a second for it: at most a tenth of our time.
        now = time.monotonic()
        self._rested_s = now + max(_REST_S, _REST_FACTOR * (now - began))
        with suppress(FileExistsError):
            self._epoll.register(self._links.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Stop watching."""
        self._links.close()
        self._epoll.close()

    def _add(self, ring: Ring) -> None:
        self._points[ring.socket.fileno()] = ring
        # Errors alone, and each once.
        self._epoll.register(ring.socket.fileno(), select.EPOLLERR | select.EPOLLET)

    def _note_error(self, ring: Ring) -> None:
        error = ring.take_error()
        fd = ring.socket.fileno()
        if error and fd not in self._failed:
            self._failed[fd] = ring
            what = "went down or away" if error == errno.ENETDOWN else os.strerror(error)
            self._session.warnings.append(f"interface `{ring.interface}` in {ring.netns.description} {what}")

    def _end_vanished(self) -> bool:
        """Close the rings of interfaces that are gone, once their packets are written; returns whether any was."""
        ended = False
        for fd, ring in list(self._failed.items()):
            if not ring.is_gone:
                continue
            now = time.monotonic()
            # The kernel's timer hands the last block over; until then the ring only looks empty.
            if now - self._gone_s.setdefault(fd, now) < _HANDED_OVER_S:
                continue
            number = next(number for number, (known, _) in enumerate(self._session.rings) if known is ring)
            if not self._feed.is_drained(number):
                continue
            self._epoll.unregister(fd)
            del self._points[fd], self._failed[fd], self._gone_s[fd]
            end_ring(self._session, self._feed, number)
            ended = True
        return ended

    def _add_arrivals(self) -> None:
        """Open a ring on each new bridge and bridge port of the node: a container was started."""
        # ENOBUFS only means that more changed than fits: the links are listed anew anyway.
        with suppress(OSError):
            for _ in range(_MOST_MESSAGES):  # a flood does not hold us here
                self._links.recv(_MESSAGE_BYTES)
        target = self._session.targets.targets[0]
        with routing(target.netns) as route:
            links = read_links(route)
        known = {ring.index for ring, _ in self._session.rings if ring.netns.is_root}
        self._refused &= {link.index for link in links}
        for link in new_bridge_ports(links, known):
            if not self._session.arena.free_slots:
                self._say_full(link.name)
                return
            try:
                with target.netns.entered():
                    ring = open_point(self._session, target, link)
            except TtraceError as error:  # it may be gone again
                if link.index not in self._refused:
                    self._refused.add(link.index)
                    self._session.warnings.append(error.message)
                continue
            self._feed.add_ring(ring, add_ring(self._session, target, ring))
            self._add(ring)

    def _say_full(self, name: str) -> None:
        """Warn, once, that interface `name` is not captured, as may happen to more."""
        if not self._is_full_said:
            self._is_full_said = True
            self._session.warnings.append(
                f"interface `{name}` came when {len(self._session.rings)} were captured already, as many as there is "
                "room for: it and later ones are captured when others have gone"
            )


def _open_link_socket(session: Session) -> socket.socket:
    """A socket that hears of links that appear or change in the node's namespace."""
    with session.targets.targets[0].netns.entered():
        links = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    links.bind((0, _RTMGRP_LINK))
    return links
