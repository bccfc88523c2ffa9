"""A part of a result, with the columns that several families ask for."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...pcapng.rows import joined
from ..arrays.grouping import Runs, hashed, runs_of_ids
from ..decode.link_scope import stays_on_link
from ..outcomes.address_keys import address_halves, address_keys
from ..protocols import TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from ..result.correlation import Correlation
from ..schema import CONNTRACK, NOTE_CUT, NOTE_ERROR, NOTE_NO_FLAGS
from ..sightings import DROP, FRAME, of_kind, told
from .common import NAMES_STATES, TRACED, Common
from .points_seen import points_seen

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Facts:
    """What the families look at. Only `explained` changes, between two families, and `common`, before
    them."""

    def __init__(self, result: Correlation, common: Common) -> None:
        self.result = result
        self.common = common
        self.explained = np.zeros(result.connections.count, np.bool_)
        """Per connection: a family before has found a fault of it, so that what follows from that is not said again."""
        self._heads: dict[str, npt.NDArray[np.integer]] = {}

    @cached_property
    def heads(self) -> npt.NDArray[np.void]:
        """The first sighting of each path that shows the packet itself. Its columns are asked for one after the other:
        rows that lie side by side are gone through in a fourth of the time that it takes to find them."""
        return self.result.sightings.take(self.result.head)

    def head(self, column: str) -> npt.NDArray[np.integer]:
        """A SIGHTING column of the `heads`."""
        if column not in self._heads:
            self._heads[column] = np.ascontiguousarray(self.heads[column])
        return self._heads[column]

    @cached_property
    def _frames_end(self) -> int:
        """Sightings before this row are frames, and no others."""
        return of_kind(self.result.sightings, FRAME).stop

    @cached_property
    def last(self) -> Rows:
        """The last sighting of each path that shows where it was; of drops only where it has nothing else: what was
        dropped may have been a copy, and where the packet itself ended its outcome says."""
        last = self.result.hops["sighting"][self.result.first_hop[1:] - 1].astype(np.int64)
        drops = of_kind(self.result.sightings, DROP)
        if drops.start == drops.stop:
            return last
        sighting = self.result.hops["sighting"]
        seen = np.flatnonzero((sighting < drops.start) | (sighting >= drops.stop))
        # Hops stand path by path, in their order: of several assignments the last one holds.
        last[self.result.hops["packet"][seen]] = sighting[seen]
        return last

    @cached_property
    def dropped(self) -> Rows:
        """Per path: the last sighting that is a drop of the kernel's; -1 where it told of none."""
        found = np.full(self.last.size, -1, np.int64)
        drops = of_kind(self.result.sightings, DROP)
        sighting = self.result.hops["sighting"]
        told_of = np.flatnonzero((sighting >= drops.start) & (sighting < drops.stop))
        found[self.result.hops["packet"][told_of]] = sighting[told_of]
        return found

    @cached_property
    def frame_hops(self) -> Rows:
        """Rows of `hops` that are frames."""
        return np.flatnonzero(self.result.hops["sighting"] < self._frames_end)

    @property
    def traced(self) -> Mask:
        """Per namespace: in some part, rules were seen there. Known to families, not to who gathers clues."""
        return (self.common.traced & TRACED) > 0

    @property
    def names_states(self) -> Mask:
        """Per namespace: in some part, the trace told of conntrack's states there."""
        return (self.common.traced & NAMES_STATES) > 0

    @cached_property
    def first_frame(self) -> Rows:
        """The first frame of each path, as a row of `sightings`; -1 where only the kernel tells of it."""
        return self._frames(last=False)

    @cached_property
    def last_frame(self) -> Rows:
        """The last one."""
        return self._frames(last=True)

    def _frames(self, *, last: bool) -> Rows:
        hops = self.result.hops
        rows = self.frame_hops if last else self.frame_hops[::-1]
        found = np.full(self.last.size, -1, np.int64)
        found[hops["packet"][rows]] = hops["sighting"][rows]
        return found

    @cached_property
    def seen_at(self) -> tuple[Mask, Mask]:
        """Per connection and capture point: frames show packets of the client there, of the server."""
        return points_seen(self.result, self._frames_end, self.own, self.forward)

    def local(self, paths: Rows) -> Rows:
        """Of paths by their ids: those of this part, by their indexes."""
        ids = self.result.ids.paths
        at = np.minimum(np.searchsorted(ids, paths), max(ids.size - 1, 0))
        return at[ids[at] == paths] if ids.size else at[:0]

    @cached_property
    def conntrack(self) -> tuple[npt.NDArray[np.void], Rows]:
        """(CONNTRACK rows of all files, the file of each)."""
        found = [one.conntrack for one in self.result.messages]
        files = np.repeat(np.arange(len(found)), [rows.size for rows in found])
        return joined(CONNTRACK, found), files

    def said_at(self, sightings: Rows) -> npt.NDArray[np.void]:
        """The TOLD row of each of some sightings, all of which the kernel said."""
        return self.result.said.take(sightings - told(self.result.sightings).start)

    @cached_property
    def last_is_told(self) -> Mask:
        """Per path: a chain said the last of it, and no frame shows it later."""
        drops = of_kind(self.result.sightings, DROP)
        return (self.last >= self._frames_end) & ((self.last < drops.start) | (self.last >= drops.stop))

    def passing(self, places: list[int]) -> Mask:
        """Per path: a frame shows it at one of these capture points."""
        here = np.isin(self.result.sightings["place"][: self._frames_end], places)
        found = np.zeros(self.last.size, np.bool_)
        found[self.result.packets.packet[: self._frames_end][here]] = True
        return found

    @cached_property
    def begin_ns(self) -> Rows:
        """When each path was first seen."""
        return self.result.times_ns[self.result.head]

    @cached_property
    def own(self) -> Mask:
        """Per path: a packet of its connection, and no ICMP error about one."""
        return (self.head("notes") & NOTE_ERROR) == 0

    @cached_property
    def on_link(self) -> Mask:
        """Per path: it goes no further than its link, to a group or by broadcast: nobody has to answer it."""
        return self.stay_on_link(self.heads)

    def stay_on_link(self, rows: npt.NDArray[np.void]) -> Mask:
        """The same of some packets, by SIGHTING rows."""
        groups = {address for one in self.result.topology.namespaces for address in one.broadcasts}
        known = np.unique(address_keys(*address_halves(groups)))
        high, low = (np.ascontiguousarray(rows[f"destination_{half}"]) for half in ("high", "low"))
        return stays_on_link(rows) | np.isin(address_keys(high, low), known)

    @cached_property
    def tcp(self) -> Mask:
        """Per path: TCP whose flags are known."""
        unread = (self.head("notes") & (NOTE_NO_FLAGS | NOTE_CUT)) != 0
        return (self.head("protocol") == TCP) & self.own & ~unread

    @cached_property
    def syn(self) -> Mask:
        """Per path: it asks for a connection."""
        return self.tcp & ((self.head("tcp_flags") & (TCP_SYN | TCP_ACK)) == TCP_SYN)

    @cached_property
    def syn_ack(self) -> Mask:
        """Per path: it accepts a connection."""
        return self.tcp & ((self.head("tcp_flags") & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))

    @cached_property
    def reset(self) -> Mask:
        """Per path: it breaks a connection off."""
        return self.tcp & ((self.head("tcp_flags") & TCP_RST) != 0)

    @cached_property
    def forward(self) -> Mask:
        """Per path: from the client to the server."""
        return self.result.forward_of_path

    def count(self, chosen: Mask) -> Rows:
        """Per connection: how many of its paths are chosen."""
        return np.bincount(self.result.connection_of_path[chosen], minlength=self.result.connections.count)

    @cached_property
    def by_connection(self) -> Runs:
        """The paths of each connection."""
        return runs_of_ids(self.result.connection_of_path, self.result.connections.count)

    def paths_of(self, connections: Rows) -> Rows:
        """The paths of some connections, in order of time."""
        runs = self.by_connection
        found = [runs.rows[runs.start[one] : runs.start[one + 1]] for one in connections.tolist()]
        paths = np.concatenate([np.empty(0, np.int64), *found])
        return paths[np.argsort(self.begin_ns[paths], kind="stable")]

    @cached_property
    def quoted(self) -> Rows:
        """Paths that an ICMP error is about."""
        return np.flatnonzero(self.result.outcomes.related >= 0)

    @cached_property
    def asked(self) -> npt.NDArray[np.uint64]:
        """Per connection: one number for the address of its server, as first seen: where it was asked or, where no
        request is seen, as it answers."""
        connection, requests = self.result.connection_of_path, self.own & self.forward
        answers = self.own & ~self.forward & (self.count(requests) == 0)[connection]
        found = np.zeros(self.result.connections.count, np.uint64)
        for chosen, end in ((requests, "destination"), (answers, "source")):
            paths = np.flatnonzero(chosen)[::-1]
            high, low = self.head(f"{end}_high")[paths], self.head(f"{end}_low")[paths]
            found[connection[paths]] = hashed(high, low)
        return found

    @cached_property
    def watched_ns(self) -> Rows:
        """Per connection: how long it was watched behind its last packet."""
        return self.until_ns - self.last_word_ns

    @cached_property
    def replies(self) -> Rows:
        """Per connection: packets of the server."""
        return self.count(self.own & ~self.forward)

    @cached_property
    def opened(self) -> Mask:
        """Per connection: the client went on behind its SYN, so the handshake came to its end."""
        return self.count(self.tcp & self.forward & ~self.syn & ~self.reset) > 0

    @cached_property
    def complete(self) -> Mask:
        """Per connection: TCP, and both sides said all they had to say."""
        ends = self.tcp & ((self.head("tcp_flags") & TCP_FIN) != 0)
        return (self.count(ends & self.forward) > 0) & (self.count(ends & ~self.forward) > 0)

    @cached_property
    def until_ns(self) -> Rows:
        """Per connection: until when it was watched, by the node that stopped first of those that saw it begin."""
        ends = self.result.coverage.end_ns
        nodes = [ends.get(one.node, 0) for one in self.result.topology.namespaces] or [0]
        namespace = self.head("namespace").astype(np.int64)
        until = np.full(self.result.connections.count, np.iinfo(np.int64).max)
        np.minimum.at(until, self.result.connection_of_path, np.array(nodes, np.int64)[namespace])
        return until

    @cached_property
    def last_word_ns(self) -> Rows:
        """Per connection: when its last packet was first seen."""
        last = np.zeros(self.result.connections.count, np.int64)
        np.maximum.at(last, self.result.connection_of_path, self.begin_ns)
        return last

    @cached_property
    def answer_ns(self) -> Rows:
        """Per connection: how long the first answer took; the largest number where there was none."""
        connection, never = self.result.connection_of_path, np.iinfo(np.int64).max
        asked, answered = np.full(self.explained.size, never), np.full(self.explained.size, never)
        for way, first in ((self.own & self.forward, asked), (self.own & ~self.forward, answered)):
            np.minimum.at(first, connection[way], self.begin_ns[way])
        return np.where((asked < answered) & (answered < never), answered - asked, never)

    @cached_property
    def server(self) -> npt.NDArray[np.uint64]:
        """Per path: one number for the protocol, address and port it was first sent to."""
        columns = ("destination_high", "destination_low", "destination_port", "protocol")
        return hashed(*(self.head(name) for name in columns))

    @cached_property
    def pair(self) -> npt.NDArray[np.uint64]:
        """Per path: one number for the protocol and the addresses of both ends, as first sent."""
        columns = ("source_high", "source_low", "destination_high", "destination_low", "protocol")
        return hashed(*(self.head(name) for name in columns))

    @cached_property
    def last_seen(self) -> npt.NDArray[np.uint64]:
        """Per path: one number for what is said of where it was last seen (words.last_place)."""
        last = self.result.sightings.take(self.last)
        is_told = np.flatnonzero(last["kind"] != FRAME)
        hook = np.full(last.size, -1, np.int64)
        hook[is_told] = self.said_at(self.last[is_told])["hook"]
        return hashed(last["kind"], last["namespace"], last["place"], last["direction"], hook)
