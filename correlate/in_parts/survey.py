"""The first pass over captures that are too large for memory: everything that must be known of all packets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import LinkType
from ...pcapng.record_times import RecordTimes
from ...pcapng.rows import filtered, joined
from ..arrays.hashing import spread
from ..clocks.reference_time import FramesSetBack
from ..decode.compared_bytes import WHOLE, common_reach, whole_reach
from ..decode.observations import Observations
from ..flows.repeated_sequences import begun_sequences, repeated_sequences
from ..flows.servers import Servers, Talks, end_pairs
from ..flows.ties_by_content import can_vote
from ..netfilter.evaluations import chain_keys
from ..netfilter.from_frames import error_key, fragment_key
from ..netfilter.messages import KernelMessages
from ..netfilter.ruleset_message import RulesetMessage
from ..outcomes.next_node import Arrivals
from ..packets.datagrams import datagram_contents
from ..progress import Done
from ..schema import NOTE_ERROR, TRACE_EVENT
from .decoding import Decoder, Slice, messages_of, slices
from .flow_groups import FlowGroups
from .keys import content_key, outer_key, pair_of
from .work_folder import WorkFolder


@dataclass(slots=True, kw_only=True)
class Survey:
    """What all packets together say."""

    groups: FlowGroups
    arrivals: Arrivals
    times: list[RecordTimes]
    set_back: list[npt.NDArray[np.int64]]
    repeated: npt.NDArray[np.int64]
    servers: Servers
    ruleset: list[RulesetMessage]
    """What was changed in the rules."""
    names: dict[int, str]
    """Of tables and chains."""
    malformed: list[int]
    """Messages per file that did not decode."""
    chain_heads: npt.NDArray[np.void]
    """One TRACE_EVENT with a header for each base chain."""
    tunnels: "Lookup"
    """Frames in tunnels by their outer header (keys.outer_key)."""
    reach: npt.NDArray[np.int64]


@dataclass(slots=True)
class Lookup:
    """Keys of frames, and the address pair of each."""

    keys: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    pairs: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    @classmethod
    def joined(cls, pieces: Sequence["Lookup"]) -> "Lookup":
        """All of these, ready to be asked."""
        keys = np.concatenate([np.empty(0, np.uint64), *(piece.keys for piece in pieces)])
        pairs = np.concatenate([np.empty(0, np.uint64), *(piece.pairs for piece in pieces)])
        keys, first = np.unique(keys, return_index=True)
        return cls(keys, pairs[first])

    def pairs_of(self, keys: npt.NDArray[np.uint64], default: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """The pair of each key, or the default where there is none."""
        if self.keys.size == 0:
            return default
        at = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[at] == keys, self.pairs[at], default)


def survey(decoder: Decoder, folder: WorkFolder, done: Done) -> Survey:
    """Read all captures once; a second time when some were cut so short that less of each packet counts."""
    surveyor = _surveyed(decoder, folder, whole_reach(), done)
    reach = common_reach(surveyor.kept)
    if (reach < whole_reach()).any():
        surveyor.groups.close()
        surveyor = _surveyed(decoder, folder, reach, done)
    return surveyor.found()


def _surveyed(decoder: Decoder, folder: WorkFolder, reach: npt.NDArray[np.int64], done: Done) -> "_Surveyor":
    surveyor = _Surveyor(decoder, folder, reach)
    for piece in slices(decoder, reach, done):
        surveyor.see(piece)
    return surveyor


class _Surveyor:
    """What the slices seen so far say."""

    def __init__(self, decoder: Decoder, folder: WorkFolder, reach: npt.NDArray[np.int64]) -> None:
        files = len(decoder.files)
        self._decoder, self._reach = decoder, reach
        self.groups = FlowGroups(folder)
        self.kept = [np.zeros((2, WHOLE + 1), np.int64) for _ in range(files)]
        """See Observations, of each file."""
        self._arrivals = Arrivals(np.empty(0, np.uint64), np.empty(0, np.int64))
        self._set_back = FramesSetBack(files)
        self._begun: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]] = []
        self._talks: list[Talks] = []
        self._tunnels: list[Lookup] = []
        self._shown: list[npt.NDArray[np.uint64]] = [np.empty(0, np.uint64)]
        """Keys of outer headers that messages show."""
        self._ruleset: list[RulesetMessage] = []
        self._names: dict[int, str] = {}
        self._malformed = [0] * files
        self._heads = np.empty(0, TRACE_EVENT)
        self._traced = any(
            interface.link_type == LinkType.NETLINK for s in decoder.files for interface in s.capture.interfaces
        )
        self._inferring = not all(namespace.has_conntrack for namespace in decoder.topology.namespaces)

    def see(self, piece: Slice) -> None:
        """The next slice."""
        rows = piece.observations.rows
        pairs = pair_of(rows)
        numbers = self.groups.see(pairs, rows["time_ns"])
        self._arrivals = self._arrivals.merged(Arrivals.of(self._decoder.topology, rows))
        self._begun.append(begun_sequences(rows))
        self._talks.append(Talks.of(rows))
        self._share(rows, numbers)
        self.kept[piece.file] += piece.observations.kept
        self._set_back.see(piece.file, piece.capture)
        if self._traced:
            self._compare_with_messages(piece.observations, pairs, numbers)
            self._see_messages(piece.file, messages_of(self._decoder, piece, self._reach))

    def _share(self, rows: npt.NDArray[np.void], numbers: npt.NDArray[np.int32]) -> None:
        """Flows that show equal packets: one may be a translation of the other, where these are inferred, and what
        seems lost in one may be the other's (outcomes/by_equal_packet.py)."""
        votes = can_vote(rows) if self._inferring else np.zeros(rows.size, np.bool_)
        for some, vote in ((np.flatnonzero(votes), True), (np.flatnonzero(~votes), False)):
            self.groups.share(rows["content"][some], numbers[some], end_pairs(rows, some), votes=vote)
        pieces = np.flatnonzero(rows["fragment"])
        self.groups.share(datagram_contents(rows.take(pieces)), numbers[pieces], votes=False)

    def _compare_with_messages(
        self, observations: Observations, pairs: npt.NDArray[np.uint64], numbers: npt.NDArray[np.int32]
    ) -> None:
        """What frames have in common with messages that are about them. `pairs`, `numbers`: of each frame."""
        rows = observations.rows
        self.groups.trace(content_key(rows), numbers, rows["time_ns"], traced=False)
        wrong = np.flatnonzero(rows["notes"] & NOTE_ERROR)
        self.groups.join(error_key(rows.take(wrong)), pairs[wrong])
        pieces = np.flatnonzero(rows["fragment"])
        self.groups.join(fragment_key(rows.take(pieces)), pairs[pieces])
        inside = np.flatnonzero(rows["outer"])
        encapsulated = rows.take(inside)
        # A message about the outer header will be one about what is inside.
        self.groups.trace(content_key(encapsulated), numbers[inside], encapsulated["time_ns"], traced=True)
        self._tunnels.append(Lookup(outer_key(encapsulated["namespace"], observations.outers), pairs[inside]))

    def _see_messages(self, file: int, messages: KernelMessages) -> None:
        self._malformed[file] += messages.malformed
        self._ruleset += messages.ruleset
        self._names.update(messages.names)
        self._heads = _chain_heads(self._heads, messages)
        for headers in (messages.headers, *(said.headers for said in messages.said.values())):
            self._shown.append(np.unique(outer_key(headers["namespace"], headers)))
        _survey_messages(self.groups, messages)

    def found(self) -> Survey:
        """What all of them say together."""
        _join_alike(self.groups, self._tunnels, np.unique(np.concatenate(self._shown)))
        return Survey(
            groups=self.groups, arrivals=self._arrivals, times=[file.times for file in self._decoder.files],
            set_back=self._set_back.frames(), repeated=_repeated(self._begun), servers=Servers.of(self._talks),
            ruleset=self._ruleset,
            names=self._names, malformed=self._malformed, chain_heads=self._heads,
            tunnels=Lookup.joined(self._tunnels), reach=self._reach,
        )  # fmt: skip


def _repeated(begun: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]]) -> npt.NDArray[np.int64]:
    keys = np.concatenate([np.empty(0, np.int64), *(keys for keys, _ in begun)])
    return repeated_sequences(keys, np.concatenate([np.empty(0, np.uint64), *(flows for _, flows in begun)]))


def _survey_messages(groups: FlowGroups, messages: KernelMessages) -> None:
    """What the kernel's messages say of which address pairs belong together."""
    entries = messages.conntrack
    groups.join(
        np.minimum(entries["original"], entries["restored"]), np.minimum(entries["translated"], entries["reply"])
    )
    headers = messages.headers
    numbers = _survey_headers(groups, headers)
    events = filtered(messages.events, messages.events["header"] >= 0)
    # Where the kernel names no entry, the trace id tells of a translation (flows/ties_by_trace.py).
    told_by = np.where(events["conntrack_id"] != 0, events["conntrack_id"], events["id"])
    known = np.flatnonzero((events["conntrack_id"] != 0) | (events["legacy"] == 0))
    header = events["header"][known]
    _share_entries(groups, headers.take(header), told_by[known], numbers[header])
    for said in messages.said.values():
        numbers = _survey_headers(groups, said.headers)
        known = np.flatnonzero(said.rows["conntrack_id"] != 0)
        _share_entries(groups, said.headers.take(known), said.rows["conntrack_id"][known], numbers[known])


def _survey_headers(groups: FlowGroups, headers: npt.NDArray[np.void]) -> npt.NDArray[np.int32]:
    """What the headers that messages show have in common with frames; returns the numbers of their address pairs."""
    # What the trace shows of an ICMP error ends before the ports: it takes the flow of a frame with the same key.
    wrong = headers.take(np.flatnonzero(headers["notes"] & NOTE_ERROR))
    groups.join(error_key(wrong), pair_of(wrong))
    pieces = headers.take(np.flatnonzero(headers["fragment"]))
    groups.join(fragment_key(pieces), pair_of(pieces))
    numbers = groups.see(pair_of(headers), headers["time_ns"])
    groups.trace(content_key(headers), numbers, headers["time_ns"], traced=True)
    return numbers


def _share_entries(
    groups: FlowGroups,
    headers: npt.NDArray[np.void],
    told_by: npt.NDArray[np.uint32],
    numbers: npt.NDArray[np.int32],
) -> None:
    """One packet with one conntrack id or trace id in one namespace, under different addresses: translated there
    (flows/ties_by_trace.py).

    Row by row: its header, the id, and the number of its address pair.
    """
    key = headers["content"] ^ (headers["namespace"].astype(np.uint64) << np.uint64(32))
    groups.share(spread(key ^ told_by), numbers)


def _chain_heads(heads: npt.NDArray[np.void], messages: KernelMessages) -> npt.NDArray[np.void]:
    """One event of each base chain."""
    both = joined(TRACE_EVENT, (heads, filtered(messages.events, messages.events["header"] >= 0)))
    _, first = np.unique(chain_keys(both), return_index=True)
    return both.take(first)


def _join_alike(groups: FlowGroups, tunnels: Sequence["Lookup"], shown: npt.NDArray[np.uint64]) -> None:
    """Frames in tunnels with the same outer header, where the trace shows that: the one that is near in time says what
    a message is about (netfilter/from_frames.py)."""
    keys = np.concatenate([np.empty(0, np.uint64), *(piece.keys for piece in tunnels)])
    pairs = np.concatenate([np.empty(0, np.uint64), *(piece.pairs for piece in tunnels)])
    known = np.isin(keys, shown)
    pairs = pairs[known]
    _, first, which = np.unique(keys[known], return_index=True, return_inverse=True)
    groups.join(pairs, pairs[first][which.reshape(-1)])
