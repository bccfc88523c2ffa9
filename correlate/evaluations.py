"""Trace events -> chain evaluations: one base chain, one packet, the rules that matched and the verdict.

The trace id alone does not tell packets apart: it repeats for later packets of a flow and changes in the middle of one.
Within a namespace, however, two packets never carry the same id at the same moment, for it is a hash over the address
of the skb. So an event without a header belongs to the last event before it with its id that has one, and nothing more
is concluded from the id: which evaluations make one packet is decided by their headers, like for captured frames
(match.py).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .netlink import KernelMessages
from .rules import FAMILIES, BaseChain, Ruleset
from .schema import EVALUATION, SIGHTING, TRACE_EVENT
from .topology import Topology

_STALE_NS: Final = 5_000_000_000
"""An event this much later than the last header with its id lost its own header: the capture had a gap."""

HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
"""NF_INET_* of linux/netfilter.h, in order."""

OWN_TABLE: Final = ("inet", "ttrace")
"""The tracing table: its empty last chains show the header after all translations; they are evidence, not hops of the
user's."""

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
    messages: list[KernelMessages], topology: Topology, rulesets: dict[int, list[Ruleset]]
) -> Evaluations:
    """Group the events of all files into evaluations. `rulesets`: namespace index to its snapshots, earliest first."""
    names: dict[int, str] = {}
    for one in messages:
        names.update(one.names)
    events, headers = _concatenate(messages)
    order = np.lexsort((np.arange(events.size), events["id"], events["namespace"]))
    events = events[order]
    opener = _openers(events)
    owned = _owned(events, opener)
    events, opener, order = events[owned], opener[owned], order[owned]
    first = np.flatnonzero(opener)
    chains, chain_of = _number_chains(events[first], names, rulesets)
    rows = _evaluation_rows(events, first, order)
    rows["chain"] = chain_of
    sightings = headers[events["header"][first]] if first.size else np.empty(0, SIGHTING)
    sightings["place"] = len(topology.points) + chain_of
    return Evaluations(
        rows=rows, sightings=sightings, events=events, chains=chains, names=names, orphans=int((~owned).sum())
    )


def _concatenate(messages: list[KernelMessages]) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    events = [np.empty(0, TRACE_EVENT)]
    headers = [np.empty(0, SIGHTING)]
    count = 0
    for one in messages:
        shifted = one.events.copy()
        shifted["header"][shifted["header"] >= 0] += count
        count += one.headers.size
        events.append(shifted)
        headers.append(one.headers)
    return np.concatenate(events), np.concatenate(headers)


def _starts_of_ids(events: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Which events are the first of their namespace and id."""
    start = np.ones(events.size, np.bool_)
    start[1:] = (events["id"][1:] != events["id"][:-1]) | (events["namespace"][1:] != events["namespace"][:-1])
    return start


def _openers(events: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Which events begin an evaluation: those with a header."""
    # iptables-legacy logs every rule with the header; an evaluation begins where the run begins or the last one ended.
    again = _starts_of_ids(events)
    again[1:] |= (events["type"][:-1] == 1) | (np.diff(events["time_ns"]) > 100_000_000)
    return (events["header"] >= 0) & ((events["legacy"] == 0) | again)


def _owned(events: npt.NDArray[np.void], opener: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which events belong to an evaluation; the header of the others was lost in a gap of the trace."""
    if events.size == 0:
        return np.empty(0, np.bool_)
    position = np.arange(events.size)
    group_start = np.maximum.accumulate(np.where(_starts_of_ids(events), position, 0))
    last_opener = np.maximum.accumulate(np.where(opener, position, -1))
    head = events[np.maximum(last_opener, 0)]
    mine = (
        (last_opener >= group_start)
        & (events["table"] == head["table"])
        & (events["family"] == head["family"])
        & (events["time_ns"] - head["time_ns"] < _STALE_NS)
    )
    # After a verdict the chain is left: what comes next with this id is another packet, whose header was lost.
    final = mine & ((events["type"] == 1) | ((events["type"] == 3) & (events["verdict"] >= 0)))
    finished = np.append(-1, np.maximum.accumulate(np.where(final, position, -1))[:-1])
    return mine & ((finished < last_opener) | opener | (events["legacy"] > 0))


def _evaluation_rows(
    events: npt.NDArray[np.void],
    first: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
) -> npt.NDArray[np.void]:
    rows = np.zeros(first.size, EVALUATION)
    if first.size == 0:
        return rows
    rows["first_event"] = first
    rows["last_event"] = np.append(first[1:], events.size)
    rows["order"] = order[first]
    head = events[first]
    rows["conntrack_id"] = head["conntrack_id"]
    rows["conntrack_direction"] = head["conntrack_direction"]
    rows["conntrack_status"] = head["conntrack_status"]
    rows["input_index"] = head["input_index"]
    rows["output_index"] = head["output_index"]
    rows["trace_id"] = head["id"]
    last = events[rows["last_event"] - 1]
    by_policy = last["type"] == 1
    rows["policy"] = by_policy
    verdict = np.where(by_policy & (last["policy"] != 255), last["policy"].astype(np.int32), last["verdict"])
    rows["verdict"] = np.where((verdict == 0) | (verdict == 1), verdict, 2)
    return rows


def _number_chains(
    heads: npt.NDArray[np.void], names: dict[int, str], rulesets: dict[int, list[Ruleset]]
) -> tuple[list[Chain], npt.NDArray[np.int64]]:
    """(chains, index of the chain of each head event)."""
    if heads.size == 0:
        return [], np.empty(0, np.int64)
    keys = heads[["namespace", "family", "table", "chain", "legacy", "hook"]]
    packed, inverse = np.unique(keys, return_inverse=True)
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
    return chains, inverse.reshape(-1)


def _base_chain(rulesets: list[Ruleset], family: str, table: str, name: str, hook: int) -> BaseChain:
    """The chain's hook and priority from a snapshot; without one, from its name."""
    for ruleset in rulesets:
        if (family, table, name) in ruleset.chains:
            return ruleset.chains[(family, table, name)]
    if hook < len(HOOKS):
        found = HOOKS[hook]
    else:
        lowered = name.lower()
        found = next(
            (h for h in ("postrouting", "prerouting", "forward", "output", "input") if h in lowered), "unknown"
        )
    priority = 0
    if (family, table) == OWN_TABLE:
        priority = 350 if name.endswith("last") else -350
    else:
        priority = _LEGACY_PRIORITY.get((table, found), _LEGACY_PRIORITY.get((table, "*"), 0))
    return BaseChain(kind="nat" if table == "nat" else "filter", hook=found, priority=priority, policy="accept")
