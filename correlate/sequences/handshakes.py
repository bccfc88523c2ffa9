"""Handshakes at two places of a connection: one, or that of a proxy with either end.

A proxy that knows clients by cookies (SYNPROXY) answers a SYN itself, and greets the server once the client has shown
that it is there. Both SYNs have the client's number, and mean different packets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from ..protocols import TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from .pairs import Segments, Votes, difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshakes:
    """Of places of one connection each, near and far: a row of each column per two of them."""

    near: npt.NDArray[np.int64]
    """Numbers of the places, as `place` of Votes."""
    far: npt.NDArray[np.int64]
    one: npt.NDArray[np.bool_]
    """What begins the connection there, and answers it, goes from one place to the other."""
    two: npt.NDArray[np.bool_]
    """It does not: somebody between them led both."""
    client: npt.NDArray[np.int64]
    """Which way the SYNs go, where there are two handshakes."""
    client_at_far: npt.NDArray[np.bool_]
    """And on which side the client is."""
    begin: npt.NDArray[np.int64]
    """(n, 2, 2) sequence number behind the SYN of each way at near and far, -1 where it was not seen: [row, way,
    place]."""
    votes: Votes
    """What the numbers with which they begin say of shifts."""

    def answered(
        self,
        sightings: npt.NDArray[np.void],
        segments: Segments,
        at: npt.NDArray[np.int64],
        shifted: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Segments that an end sent for such a handshake, with a proxy between near and `shifted` places: the client's
        SYN and what acknowledges the answer to it, the server's answer."""
        syn = (sightings["tcp_flags"][segments.row] & TCP_SYN) != 0
        found = np.zeros(segments.row.size, np.bool_)
        for server, sent, begin in self._sent(segments, at, shifted, by_proxy=False):
            found |= sent & syn
            if not server:
                found |= sent & _acknowledges_only(sightings, segments, at, begin)
        return np.flatnonzero(found)

    def own(
        self,
        sightings: npt.NDArray[np.void],
        segments: Segments,
        at: npt.NDArray[np.int64],
        shifted: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Segments by which the proxy itself ended such a handshake, in the name of either end: without an IP id, and
        with the TTL of what it began or answered it with."""
        rows = segments.row
        ttl = np.full(at.size * 2, -1, np.int64)
        syn = np.flatnonzero((sightings["tcp_flags"][rows] & TCP_SYN) != 0)
        ttl[(at * 2 + segments.reply)[syn]] = sightings["ttl"][rows[syn]]
        alike = (sightings["ip_id"][rows] == 0) & (sightings["ttl"][rows] == ttl[at * 2 + segments.reply])
        found = np.zeros(rows.size, np.bool_)
        for _, sent, begin in self._sent(segments, at, shifted, by_proxy=True):
            found |= sent & alike & _acknowledges_only(sightings, segments, at, begin)
        return np.flatnonzero(found)

    def _sent(
        self, segments: Segments, at: npt.NDArray[np.int64], shifted: npt.NDArray[np.int64], *, by_proxy: bool
    ) -> Iterator[tuple[bool, npt.NDArray[np.bool_], npt.NDArray[np.int64]]]:
        """What went the way of the client, and of the server, in such handshakes, with the client near and with it far:
        (whether that of the server; per segment, that it is of these and was seen on the side of its sender, or, what
        is sent `by_proxy` in its name, on the other; per place and way, the number behind the SYN, -1 where not of
        these)."""
        for far, server in product((False, True), repeat=2):
            at_far = (far != server) != by_proxy
            mine = self.two & (self.client_at_far == far) & np.isin(self.far, shifted)
            place = (self.far if at_far else self.near)[mine]
            way, begin = np.full(at.size, -1, np.int64), np.full((at.size, 2), -1, np.int64)
            way[place] = self.client[mine] ^ server
            begin[place] = self.begin[mine][:, :, int(at_far)]
            yield server, way[at] == segments.reply, begin

    def apart(
        self, sightings: npt.NDArray[np.void], segments: Segments, at: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Per segment: it begins a connection or answers that, in a handshake that is not known to be that of near."""
        syn = (sightings["tcp_flags"][segments.row] & TCP_SYN) != 0
        found: npt.NDArray[np.bool_] = syn & ~np.isin(at, self.far[self.one])
        return found


def _acknowledges_only(
    sightings: npt.NDArray[np.void],
    segments: Segments,
    at: npt.NDArray[np.int64],
    begin: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Per segment: it has nothing to say but that the handshake is complete. `begin`: per place and way, the number
    behind the SYN."""
    own, other = begin[at, segments.reply], begin[at, 1 - segments.reply]
    empty = (sightings["tcp_flags"][segments.row] & (TCP_SYN | TCP_RST | TCP_FIN)) == 0
    empty &= sightings["payload_length"][segments.row] == 0
    found: npt.NDArray[np.bool_] = (
        empty & (sightings["sequence"][segments.row] == own) & (sightings["acknowledgment"][segments.row] == other)
    )
    return found


def find_handshakes(
    sightings: npt.NDArray[np.void], segments: Segments, at: npt.NDArray[np.int64], beside: npt.NDArray[np.int64]
) -> Handshakes:
    """`at`: place of each segment, as in Votes; `beside`: (n, 2) near and far places that show equal segments."""
    flags = sightings["tcp_flags"][segments.row]
    couples = np.unique(beside, axis=0)
    near, far = couples[:, 0], couples[:, 1]
    syn = _firsts(segments, at, (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
    answer = _firsts(segments, at, (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
    begins = np.where(syn >= 0, syn, answer)
    greeted = np.column_stack([syn[near].max(axis=1), syn[far].max(axis=1)])
    replied = np.column_stack([answer[near].max(axis=1), answer[far].max(axis=1)])
    both = (greeted >= 0).all(axis=1)
    same = both & _alike(sightings, segments, greeted) & ~_answered_before(sightings, segments, greeted, replied)
    by_answer = ~both & (replied >= 0).all(axis=1) & _alike(sightings, segments, replied)
    by_answer &= sightings["ip_id"][segments.row[replied[:, 0]]] != 0
    number = np.where(begins >= 0, (sightings["sequence"][segments.row[begins]].astype(np.int64) + 1) % 2**32, -1)
    acknowledges = sightings["acknowledgment"][segments.row[greeted]] != 0
    late = segments.time_ns[greeted[:, 0]] > segments.time_ns[greeted[:, 1]]
    return Handshakes(
        near=near, far=far, one=same | by_answer, two=both & ~same, client=segments.reply[greeted[:, 0]],
        # SYNPROXY tells itself, by the acknowledgment number of a SYN, with which number it answered the client.
        client_at_far=np.where(acknowledges[:, 0] == acknowledges[:, 1], late, acknowledges[:, 0]),
        begin=np.stack([number[near], number[far]], axis=2),
        votes=_votes(near, far, begins, sightings, segments),
    )  # fmt: skip


def _firsts(segments: Segments, at: npt.NDArray[np.int64], wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(segments, ways) of each place the first of these, by index; -1 for none."""
    which = np.flatnonzero(wanted)
    which = which[np.argsort(-segments.time_ns[which], kind="stable")]
    found = np.full((at.size, 2), -1, np.int64)
    found[at[which], segments.reply[which]] = which  # the last one written is the earliest
    return found


def _alike(sightings: npt.NDArray[np.void], segments: Segments, two: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per (n, 2) segments: all is equal that a shift of numbers leaves as it is. `two`: -1 for none."""
    one, other = segments.row[two[:, 0]], segments.row[two[:, 1]]
    same = np.ones(two.shape[0], np.bool_)
    for name in ("length", "window", "ip_id", "tcp_flags", "payload_length"):
        same &= sightings[name][one] == sightings[name][other]
    syn = (sightings["tcp_flags"][one] & TCP_ACK) == 0
    same &= ~syn | (sightings["acknowledgment"][one] == sightings["acknowledgment"][other])
    # Where there is no id, a router tells.
    return same & ((sightings["ip_id"][one] != 0) | (sightings["ttl"][one] != sightings["ttl"][other]))


def _answered_before(
    sightings: npt.NDArray[np.void],
    segments: Segments,
    greeted: npt.NDArray[np.int64],
    replied: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """One place had its answer before the other saw anything, by the clock of one namespace."""
    found = np.zeros(greeted.shape[0], np.bool_)
    space = sightings["namespace"][segments.row]
    for mine, other in ((0, 1), (1, 0)):
        syn, answer = greeted[:, other], replied[:, mine]
        here = (syn >= 0) & (answer >= 0) & (space[syn] == space[answer])
        found |= here & (segments.time_ns[answer] < segments.time_ns[syn])
    return found


def _votes(
    near: npt.NDArray[np.int64],
    far: npt.NDArray[np.int64],
    begins: npt.NDArray[np.int64],
    sightings: npt.NDArray[np.void],
    segments: Segments,
) -> Votes:
    """What SYNs and their answers say, way by way."""
    which, way = np.nonzero((begins[near] >= 0) & (begins[far] >= 0))
    one, other = begins[near[which], way], begins[far[which], way]
    number = sightings["sequence"][segments.row[other]].astype(np.int64)
    return Votes(
        far[which], way.astype(np.int64), number, difference(number, sightings["sequence"][segments.row[one]]),
        np.ones(which.size, np.int64), segments.time_ns[other],
    )  # fmt: skip
