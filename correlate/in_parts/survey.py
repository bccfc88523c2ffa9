"""The first pass over captures that are too large for memory: everything that must be known of all packets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import LinkType
from ...pcapng.stream import CaptureStream
from ..clocks.reference_time import FramesSetBack
from ..decode.compared_bytes import WHOLE, common_reach, whole_reach
from ..flows.ties_by_content import begun_sequences, can_vote, repeated_sequences
from ..netfilter.evaluations import chain_keys
from ..netfilter.from_frames import error_key
from ..netfilter.messages import KernelMessages
from ..outcomes.coverage import FileTimes
from ..outcomes.next_node import Arrivals
from ..progress import Done
from ..schema import NOTE_ERROR, TRACE_EVENT
from .decoding import Decoder, messages_of, slices
from .flow_groups import FlowGroups
from .keys import ODD, content_key, outer_key, pair_of


@dataclass(slots=True, kw_only=True)
class Survey:
    """What all packets together say."""

    groups: FlowGroups
    arrivals: Arrivals
    times: list[FileTimes | None]
    set_back: list[npt.NDArray[np.int64]]
    repeated: npt.NDArray[np.int64]
    changes: npt.NDArray[np.int64]
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


def survey(decoder: Decoder, done: Done) -> Survey:
    """Read all captures once; a second time when some were cut so short that less of each packet counts."""
    found, kept = _survey(decoder, whole_reach(), done)
    reach = common_reach(kept)
    if (reach < whole_reach()).any():
        found.groups.close()
        found, _ = _survey(decoder, reach, done)
    return found


def _survey(decoder: Decoder, reach: npt.NDArray[np.int64], done: Done) -> tuple[Survey, list[npt.NDArray[np.int64]]]:
    topology = decoder.topology
    groups = FlowGroups()
    arrivals = Arrivals(np.empty(0, np.uint64), np.empty(0, np.int64))
    files = len(decoder.streams)
    kept = [np.zeros((2, WHOLE + 1), np.int64) for _ in range(files)]
    set_back, malformed = FramesSetBack(files), [0] * files
    begun: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]] = []
    tunnels = []
    shown: list[npt.NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    changes, names = [np.empty((0, 2), np.int64)], {}
    heads = np.empty(0, TRACE_EVENT)
    traced = any(i.link_type == LinkType.NETLINK for stream in decoder.streams for i in stream.capture.interfaces)
    inferring = not all(namespace.has_conntrack for namespace in topology.namespaces)
    for piece in slices(decoder, reach, done):
        rows, file = piece.observations.rows, piece.file
        pairs = pair_of(rows)
        numbers = groups.see(pairs, rows["time_ns"])
        arrivals = arrivals.merged(Arrivals.of(topology, rows))
        begun.append(begun_sequences(rows))
        if inferring:
            voters = np.flatnonzero(can_vote(rows))
            groups.share(rows["content"][voters], numbers[voters])
        kept[file] += piece.observations.kept
        set_back.see(file, piece.capture)
        if not traced:
            continue
        groups.trace(content_key(rows), numbers, rows["time_ns"], traced=False)
        wrong = np.flatnonzero(rows["notes"] & NOTE_ERROR)
        groups.join(error_key(rows[wrong]), pairs[wrong])
        inside = np.flatnonzero(rows["outer"])
        # A message about the outer header will be one about what is inside.
        groups.trace(content_key(rows[inside]), numbers[inside], rows["time_ns"][inside], traced=True)
        tunnels.append(Lookup(outer_key(rows["namespace"][inside], piece.observations.outers), pairs[inside]))
        messages = messages_of(decoder, piece, reach)
        malformed[file] += messages.malformed
        changes.append(messages.ruleset_changes_ns)
        names.update(messages.names)
        heads = _chain_heads(heads, messages)
        for headers in (messages.headers, *(said.headers for said in messages.said.values())):
            shown.append(np.unique(outer_key(headers["namespace"], headers)))
        _survey_messages(groups, messages)
    _join_alike(groups, tunnels, np.unique(np.concatenate(shown)))
    return (
        Survey(
            groups=groups, arrivals=arrivals, times=[_times_of(stream) for stream in decoder.streams],
            set_back=set_back.frames(), repeated=_repeated(begun), changes=np.concatenate(changes), names=names,
            malformed=malformed, chain_heads=heads, tunnels=Lookup.joined(tunnels), reach=reach,
        ),
        kept,
    )  # fmt: skip


def _repeated(begun: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]]) -> npt.NDArray[np.int64]:
    keys = np.concatenate([np.empty(0, np.int64), *(keys for keys, _ in begun)])
    return repeated_sequences(keys, np.concatenate([np.empty(0, np.uint64), *(flows for _, flows in begun)]))


def _times_of(stream: CaptureStream) -> FileTimes | None:
    if stream.size == 0:
        return None
    least, most = stream.span_ns
    return FileTimes(first=stream.first_ns, least=least, most=most)


def _survey_messages(groups: FlowGroups, messages: KernelMessages) -> None:
    """What the kernel's messages say of which address pairs belong together."""
    entries = messages.conntrack
    groups.join(
        np.minimum(entries["original"], entries["restored"]), np.minimum(entries["translated"], entries["reply"])
    )
    headers = messages.headers
    numbers = _survey_headers(groups, headers)
    events = messages.events[messages.events["header"] >= 0]
    known = np.flatnonzero(events["conntrack_id"] != 0)
    header = events["header"][known]
    _share_entries(groups, headers[header], events["conntrack_id"][known], numbers[header])
    for said in messages.said.values():
        numbers = _survey_headers(groups, said.headers)
        known = np.flatnonzero(said.rows["conntrack_id"] != 0)
        _share_entries(groups, said.headers[known], said.rows["conntrack_id"][known], numbers[known])


def _survey_headers(groups: FlowGroups, headers: npt.NDArray[np.void]) -> npt.NDArray[np.int32]:
    """What the headers that messages show have in common with frames; returns the numbers of their address pairs."""
    # What the trace shows of an ICMP error ends before the ports: it takes the flow of a frame with the same key.
    wrong = headers[(headers["notes"] & NOTE_ERROR) != 0]
    groups.join(error_key(wrong), pair_of(wrong))
    numbers = groups.see(pair_of(headers), headers["time_ns"])
    groups.trace(content_key(headers), numbers, headers["time_ns"], traced=True)
    return numbers


def _share_entries(
    groups: FlowGroups,
    headers: npt.NDArray[np.void],
    conntrack_id: npt.NDArray[np.uint32],
    numbers: npt.NDArray[np.int32],
) -> None:
    """One packet with one conntrack id in one namespace, under different addresses: translated there (flows/ties.py).

    Row by row: its header, the id, and the number of its address pair.
    """
    key = headers["content"] ^ (headers["namespace"].astype(np.uint64) << np.uint64(32))
    groups.share((key ^ conntrack_id) * ODD, numbers)


def _chain_heads(heads: npt.NDArray[np.void], messages: KernelMessages) -> npt.NDArray[np.void]:
    """One event of each base chain."""
    both = np.concatenate([heads, messages.events[messages.events["header"] >= 0]])
    _, first = np.unique(chain_keys(both), return_index=True)
    return both[first]


def _join_alike(groups: FlowGroups, tunnels: Sequence["Lookup"], shown: npt.NDArray[np.uint64]) -> None:
    """Frames in tunnels with the same outer header, where the trace shows that: the one that is near in time says what
    a message is about (encapsulation.py)."""
    keys = np.concatenate([np.empty(0, np.uint64), *(piece.keys for piece in tunnels)])
    pairs = np.concatenate([np.empty(0, np.uint64), *(piece.pairs for piece in tunnels)])
    known = np.isin(keys, shown)
    pairs = pairs[known]
    _, first, which = np.unique(keys[known], return_index=True, return_inverse=True)
    groups.join(pairs, pairs[first][which.reshape(-1)])
