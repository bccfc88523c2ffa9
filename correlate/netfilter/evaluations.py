"""Trace events -> chain evaluations: one base chain, one packet, the rules that matched and the verdict.

The trace id alone does not tell packets apart: it repeats for later packets of a flow and changes in the middle of one.
Within a namespace, however, two packets never carry the same id at the same moment, for it is a hash over the address
of the skb. So an event without a header belongs to the last event before it with its id that has one, and nothing more
is concluded from the id: which evaluations make one packet is decided by their headers, like for captured frames
(packets/match.py).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.rows import filtered, joined
from ..arrays.grouping import group_ids, radix_order
from ..arrays.hashing import mix
from ..arrays.in_order import copy_in_order
from ..nodes.topology import Topology
from ..schema import EVALUATION, SIGHTING, TRACE_EVENT
from .messages import KernelMessages
from .numbers import (
    ABSENT,
    FAMILIES,
    NF_ACCEPT,
    NF_DROP,
    NF_QUEUE,
    NF_STOLEN,
    NF_VERDICT_MASK,
    NFT_TRACETYPE_POLICY,
    NFT_TRACETYPE_RULE,
    QUEUED,
    STOLEN,
    UNDECIDED,
    Hook,
)
from .rules import BaseChain, Ruleset

_STALE_NS: Final = 5_000_000_000
"""An event this much later than the last header with its id lost its own header: the capture had a gap."""
_PAUSE_NS: Final = 100_000_000
"""After so long, an event of iptables-legacy with the same id begins another evaluation."""

OWN_TABLE: Final = ("inet", "ttrace")
"""The tracing table: its empty last chains show the header after all translations; they are evidence, not hops of the
user's."""

LAST_PRIORITY: Final = 350
"""Of its last chains."""

_NAMED_HOOKS: Final = ("postrouting", "prerouting", "forward", "output", "input")
"""Hooks that chains are named after."""
_LEGACY_PRIORITY: Final = {
    ("raw", "prerouting"): -300,
    ("raw", "output"): -300,
    ("mangle", "*"): -150,
    ("nat", "prerouting"): -100,
    ("nat", "output"): -100,
    ("nat", "postrouting"): 100,
    ("nat", "input"): 100,
    ("filter", "*"): 0,
    ("security", "*"): 50,
}
"""enum nf_ip_hook_priorities of linux/netfilter_ipv4.h, for the tables of iptables-legacy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A base chain of one namespace."""

    namespace: int
    family: str
    table: str
    name: str
    legacy: bool
    base: BaseChain
    own: bool
    """True for the chains of ttrace's own table."""


@dataclass(slots=True, kw_only=True)
class Evaluations:
    """All chain evaluations of all files. Row i of `rows`, `sightings` belong together."""

    rows: npt.NDArray[np.void]
    """EVALUATION rows."""
    sightings: npt.NDArray[np.void]
    """SIGHTING rows: the header as the chain saw it; `place` is the number of capture points plus the chain's index."""
    events: npt.NDArray[np.void]
    """TRACE_EVENT rows, sorted so that each evaluation is a slice."""
    chains: list[Chain]
    names: dict[int, str]
    """Hash in the events to table or chain name."""
    orphans: int
    """Events whose header was lost with a gap in the trace."""


def build_evaluations(
    messages: list[KernelMessages],
    topology: Topology,
    rulesets: dict[int, list[Ruleset]],
    heads: npt.NDArray[np.void] | None = None,
) -> Evaluations:
    """Group the events of all files into evaluations.

    `rulesets`: namespace index to its snapshots, earliest first; `heads`: events of other chains, which are numbered
    with those of the messages.
    """
    names: dict[int, str] = {}
    for one in messages:
        names.update(one.names)
    files = [one.events for one in messages]
    order = _by_trace_id(files)
    events = np.empty(order.size, TRACE_EVENT)
    opener, owned = np.zeros(order.size, np.bool_), np.zeros(order.size, np.bool_)
    copy_in_order(files, order, events)
    _count_headers_through(messages, order, events)
    _assign(events, opener, owned)
    orphans = int(owned.size - np.count_nonzero(owned))
    if orphans:
        events, opener, order = filtered(events, owned), opener[owned], order[owned]
    first = np.flatnonzero(opener)
    chains, chain_of = _number_chains(events, first, events[:0] if heads is None else heads, names, rulesets)
    rows = np.zeros(first.size, EVALUATION)
    _fill_rows(events, first, chain_of, _hooks(chains), rows)
    sightings = np.empty(first.size, SIGHTING)
    copy_in_order([one.headers for one in messages], events["header"][first], sightings)
    sightings["place"] = len(topology.points) + chain_of
    return Evaluations(rows=rows, sightings=sightings, events=events, chains=chains, names=names, orphans=orphans)


def _by_trace_id(files: list[npt.NDArray[np.void]]) -> npt.NDArray[np.int32]:
    """The order of the events of all files by namespace and trace id; `files`: TRACE_EVENT rows, counted through."""
    keys = [(one["namespace"].astype(np.uint64) << np.uint64(32)) | one["id"] for one in files]
    return radix_order(np.concatenate([np.empty(0, np.uint64), *keys]))


def _count_headers_through(
    messages: list[KernelMessages], order: npt.NDArray[np.int32], events: npt.NDArray[np.void]
) -> None:
    """The headers of all files are counted through, and events refer to them so (changed in place)."""
    begin = np.cumsum([one.events.size for one in messages])
    headers = np.cumsum([0, *(one.headers.size for one in messages)])
    for number in range(1, len(messages)):
        later = (order >= begin[number - 1]) & (order < begin[number]) & (events["header"] >= 0)
        events["header"][later] += headers[number]


@njit(cache=True, nogil=True)
def _assign(events, opener, owned):
    """Which events begin an evaluation: those with a header. And which belong to one; the header of the others was
    lost in a gap of the trace. `events`: by namespace and id."""
    head = -1  # the last opener with this id
    finished = -1  # the last event that left a chain
    for i in range(events.size):
        event = events[i]
        begins = i == 0 or events[i - 1].id != event.id or events[i - 1].namespace != event.namespace
        if begins:
            head = -1
        # iptables-legacy logs every rule with the header; an evaluation begins where the run begins or the last one
        # ended.
        if event.header >= 0:
            again = begins or events[i - 1].type == NFT_TRACETYPE_POLICY
            again = again or event.time_ns - events[i - 1].time_ns > _PAUSE_NS
            opener[i] = event.legacy == 0 or again
        if opener[i]:
            head = i
        if head < 0:
            continue
        of = events[head]
        if event.table != of.table or event.family != of.family or event.time_ns - of.time_ns >= _STALE_NS:
            continue
        # After a verdict the chain is left: what comes next with this id is another packet, whose header was lost.
        owned[i] = finished < head or opener[i] or event.legacy > 0
        if event.type == NFT_TRACETYPE_POLICY or (event.type == NFT_TRACETYPE_RULE and event.verdict >= 0):
            finished = i


@njit(cache=True, nogil=True)
def _fill_rows(events, first, chain, hooks, rows):
    """`chain`: of each row; `hooks`: see _hooks."""
    for k in range(first.size):
        row = rows[k]
        row.first_event = first[k]
        row.last_event = first[k + 1] if k + 1 < first.size else events.size
        row.chain = chain[k]
        head = events[first[k]]
        row.order = (np.int64(head.file) << 32) | np.int64(head.frame)
        row.hook, row.bridge, row.own = hooks[chain[k], 0], hooks[chain[k], 1], hooks[chain[k], 2]
        row.conntrack_id = head.conntrack_id
        row.conntrack_direction = head.conntrack_direction
        row.conntrack_status = head.conntrack_status
        row.input_index = head.input_index
        row.output_index = head.output_index
        # iptables-legacy has none: ours, which stands for it, is of the flow and not of the packet.
        row.trace_id = 0 if head.legacy else head.id
        last = events[row.last_event - 1]
        by_policy = last.type == NFT_TRACETYPE_POLICY
        row.policy = by_policy
        verdict = np.int64(last.policy) if by_policy and last.policy != ABSENT else np.int64(last.verdict)
        row.verdict = _verdict_of_chain(verdict)


@njit(cache=True, inline="always")
def _verdict_of_chain(code):
    """The verdict of TOLD from a code of the kernel; UNDECIDED for what only moves on within the chain."""
    if code in (NF_DROP, NF_ACCEPT):
        return code
    if code >= 0 and code & NF_VERDICT_MASK == NF_QUEUE:
        return np.int64(QUEUED)
    if code >= 0 and code & NF_VERDICT_MASK == NF_STOLEN:
        return np.int64(STOLEN)
    return np.int64(UNDECIDED)


def _hooks(chains: list[Chain]) -> npt.NDArray[np.uint8]:
    """Per chain: hook, bridge and own as TOLD has them."""
    rows = [(int(Hook.named(chain.base.hook)), int(chain.family == "bridge"), int(chain.own)) for chain in chains]
    return np.array(rows or [(0, 0, 0)], np.uint8)


def chain_keys(events: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Which base chain each event with a header is of."""
    return events[["namespace", "family", "table", "chain", "legacy", "hook"]]


def _number_chains(
    events: npt.NDArray[np.void],
    first: npt.NDArray[np.int64],
    others: npt.NDArray[np.void],
    names: dict[int, str],
    rulesets: dict[int, list[Ruleset]],
) -> tuple[list[Chain], npt.NDArray[np.int64]]:
    """(chains, index of the chain of each of the first events); `others`: events of chains to be numbered as well."""
    key = np.empty(first.size, np.uint64)
    _hash_chains(events, first, key)
    which, example = group_ids(key)
    # Few, so the rest is done in the order of their columns.
    heads = joined(TRACE_EVENT, (others, events.take(first[example])))
    packed, inverse = np.unique(chain_keys(heads), return_inverse=True)
    chain_of = inverse.reshape(-1)[others.size :][which]
    chains = []
    for namespace, family_number, table_hash, chain_hash, legacy, hook in packed.tolist():
        family = FAMILIES.get(family_number, str(family_number))
        table, name = names.get(table_hash, "?"), names.get(chain_hash, "?")
        base = _base_chain(rulesets.get(namespace, []), family, table, name, hook)
        chains.append(
            Chain(
                namespace=namespace, family=family, table=table, name=name, legacy=bool(legacy), base=base,
                own=(family, table) == OWN_TABLE,
            )
        )  # fmt: skip
    return chains, chain_of


@njit(cache=True, nogil=True)
def _hash_chains(events, first, key):
    for k in range(first.size):
        event = events[first[k]]
        state = mix(event.table, (np.uint64(event.namespace) << np.uint64(8)) | np.uint64(event.family))
        key[k] = mix(mix(state, event.chain), (np.uint64(event.legacy) << np.uint64(8)) | np.uint64(event.hook))


def _base_chain(rulesets: list[Ruleset], family: str, table: str, name: str, hook: int) -> BaseChain:
    """The chain's hook and priority from a snapshot; without one, from its name."""
    for ruleset in rulesets:
        if (family, table, name) in ruleset.chains:
            return ruleset.chains[(family, table, name)]
    if hook <= Hook.POSTROUTING:
        found = Hook(hook).name.lower()
    else:
        lowered = name.lower()
        found = next((h for h in _NAMED_HOOKS if h in lowered), "unknown")
    priority = 0
    if (family, table) == OWN_TABLE:
        priority = LAST_PRIORITY if name.endswith("last") else -199 if name.startswith("freeze") else -350
    else:
        priority = _LEGACY_PRIORITY.get((table, found), _LEGACY_PRIORITY.get((table, "*"), 0))
    return BaseChain(kind="nat" if table == "nat" else "filter", hook=found, priority=priority, policy="accept")
