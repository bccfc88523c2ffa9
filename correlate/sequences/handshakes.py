"""Handshakes at two places of a connection: one, or that of a proxy with either end.

A proxy that knows clients by cookies (SYNPROXY) answers a SYN itself, and greets the server once the client has shown
that it is there. Both SYNs have the client's number, and mean different packets.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..protocols import TCP_ACK, TCP_RST, TCP_SYN
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
    begin: npt.NDArray[np.int64]
    """(n, 2, 2) sequence number of the SYN of each way at near and far, one beyond, -1 where it was not seen: [row,
    way, place]."""
    votes: Votes
    """What the numbers with which they begin say of shifts."""

    def answered(
        self,
        sightings: npt.NDArray[np.void],
        segments: Segments,
        at: npt.NDArray[np.int64],
        shifted: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """The Segments of handshakes that a proxy led, between near and `shifted` places."""
        mine = self.two & np.isin(self.far, shifted)
        greets = np.zeros(segments.row.size, np.bool_)
        for place, number in ((self.near, 0), (self.far, 1)):
            greets |= self._greets(sightings, segments, at, place[mine], self.begin[mine][:, :, number])
        return np.flatnonzero(greets)

    def apart(
        self,
        sightings: npt.NDArray[np.void],
        segments: Segments,
        at: npt.NDArray[np.int64],
        shifted: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.bool_]:
        """Per segment at a `shifted` place: it belongs to a handshake that is not known to be that of near."""
        flags = sightings["tcp_flags"][segments.row]
        single = np.isin(at, self.far[self.one])
        found = ((flags & TCP_SYN) != 0) & ~single
        found[self.answered(sightings, segments, at, shifted)] = True
        return found

    def _greets(
        self,
        sightings: npt.NDArray[np.void],
        segments: Segments,
        at: npt.NDArray[np.int64],
        place: npt.NDArray[np.int64],
        begin: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.bool_]:
        """Per segment: it is a SYN of these places, its answer, or what acknowledges no more than that."""
        first = np.full((at.size + 1, 2), -2, np.int64)
        first[place] = begin
        flags, own, other = (
            sightings["tcp_flags"][segments.row],
            first[at, segments.reply],
            first[at, 1 - segments.reply],
        )
        plain = (flags & (TCP_SYN | TCP_RST)) == 0
        empty = plain & (sightings["payload_length"][segments.row] == 0)
        empty &= (sightings["sequence"][segments.row] == own) & (sightings["acknowledgment"][segments.row] == other)
        found: npt.NDArray[np.bool_] = (own >= -1) & (((flags & TCP_SYN) != 0) | empty)
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
    greeted = np.stack([syn[near], syn[far]], axis=2).max(axis=1) if near.size else np.empty((0, 2), np.int64)
    replied = np.stack([answer[near], answer[far]], axis=2).max(axis=1) if near.size else np.empty((0, 2), np.int64)
    both = (greeted >= 0).all(axis=1)
    same = _alike(sightings, segments, greeted) & both
    turned = _answered_before(sightings, segments, greeted, replied)
    by_answer = ~both & _alike(sightings, segments, replied) & (replied >= 0).all(axis=1)
    identified = sightings["ip_id"][segments.row[replied[:, 0]]] != 0 if near.size else by_answer
    number = np.where(begins >= 0, (sightings["sequence"][segments.row[begins]].astype(np.int64) + 1) % 2**32, -1)
    begin = np.stack([number[near], number[far]], axis=2) if near.size else np.empty((0, 2, 2), np.int64)
    return Handshakes(
        near=near, far=far, one=(same & ~turned) | (by_answer & identified), two=both & ~(same & ~turned), begin=begin,
        votes=_votes(near, far, begins, sightings, segments),
    )  # fmt: skip


def _firsts(segments: Segments, at: npt.NDArray[np.int64], wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(segments, ways) of each place the first of these, by index; -1 for none."""
    which = np.flatnonzero(wanted)
    which = which[np.argsort(-segments.time_ns[which], kind="stable")]
    found = np.full((at.size + 1, 2), -1, np.int64)
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
