"""What conntrack calls INVALID: it belongs to no entry, so nothing translates it back, and rules drop it."""

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..arrays.grouping import hashed
from ..netfilter.evaluations import Chain
from ..nodes.topology import Role
from ..outcomes.kinds import Outcome, Reason
from ..result.reasons import rule_place
from ..result.show import reason_of
from ..result.words import entry_end
from ..schema import CONNTRACK_DESTROYED
from ..sightings import EVALUATION, of_kind
from .by_conntrack import first_in_last_namespace
from .by_rules import place_of_end
from .facts import Facts, Mask, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .words import entry_evidence, frames_of, node_of, rule_evidence, subject_of, where

_CONNTRACK_PRIORITY: Final = -200
"""NF_IP_PRI_CONNTRACK of linux/netfilter_ipv4.h: of what hooks before it see, conntrack says nothing yet."""
_LATE_NS: Final = 1_000_000_000
"""What conntrack says of an entry may be read so much later than the packet that made it passed."""
_STATES: Final = re.compile(r"(?:--(?:ct)?state|ct state) (!? ?(?:vmap )?)\{? ?([\w, :]+)", re.IGNORECASE)
"""What a rule asks of the state, in the words of iptables or nft."""


class _Why(IntEnum):
    """Why a packet belongs to no entry."""

    UNKNOWN = 0
    ENDED = 1
    UNFIT = 2
    NO_SYN = 3
    BRIDGED = 4
    CHECKSUM = 5


_WORDS: Final = {
    _Why.UNKNOWN: "no entry is known that it could belong to",
    _Why.ENDED: "its entry had ended before",
    _Why.UNFIT: "there is an entry, so its sequence numbers or flags do not fit what conntrack saw of the connection",
    _Why.NO_SYN: "no SYN of the connection came by here, so there is no entry: requests take another way",
    _Why.CHECKSUM: "its checksum is wrong, which conntrack looks at (net.netfilter.nf_conntrack_checksum)",
    _Why.BRIDGED: "its SYN was bridged and never came to conntrack, so there is no entry",
}


def conntrack_invalid(facts: Facts) -> Iterator[Seen]:
    """`conntrack_invalid`: a rule that drops what is INVALID dropped it, and somebody waited for it."""
    outcomes = facts.result.outcomes
    chosen = (outcomes.outcome == Outcome.DROPPED) & (outcomes.reason == Reason.RULE) & facts.own
    chosen &= ~facts.complete[facts.result.connection_of_path] & ~facts.on_link & ~facts.reset
    paths = np.flatnonzero(chosen)
    rules = outcomes.rule[paths]
    asking = [
        one for one in np.unique(rules).tolist() if one >= 0 and asks_for_invalid(facts.result.book.rules[one].text)
    ]
    paths = paths[np.isin(rules, asking)]
    why = _why(facts, paths)
    namespace = facts.result.sightings["namespace"][facts.last[paths]]
    server = facts.asked[facts.result.connection_of_path[paths]]
    for one in groups(facts, paths, namespace, outcomes.rule[paths], why, facts.forward[paths], server):
        yield _invalid(facts, one, _Why(int(why[np.searchsorted(paths, one[0])])))


def asks_for_invalid(rule: str) -> bool:
    """Whether it drops nothing but what is INVALID: a list with other states says of none which it was."""
    found = _STATES.search(rule)
    if found is None:
        return False
    how, states = found.group(1).strip().lower(), found.group(2).strip().lower()
    if how == "vmap":
        return [one.split(":")[0].strip() for one in states.split(",") if "drop" in one] == ["invalid"]
    return how == "" and states.split()[0] == "invalid"


def _invalid(facts: Facts, paths: Rows, why: _Why) -> Seen:
    first = int(paths[0])
    reason = reason_of(facts.result, first)
    rule = reason.rule if reason else None
    at, by = place_of_end(facts, first), rule_place(rule) if rule else "a rule"

    def say(extent: Extent) -> str:
        return (
            f"conntrack on {at} calls {extent.counted} of {extent.flow} INVALID, and {by} drops what is: {_WORDS[why]}"
        )

    return Seen(
        kind=Kind.CONNTRACK_INVALID, key=(at, by, int(why), bool(facts.forward[first]), _server(facts, first)), say=say,
        paths=paths, subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]), node=node_of(facts, first),
        rule=rule, evidence=(*frames_of(facts, first), *rule_evidence(facts, first, rule)),
    )  # fmt: skip


def _server(facts: Facts, path: int) -> int:
    """The address of the server, as a number: one finding for each."""
    return int(facts.asked[facts.result.connection_of_path[path]])


def _why(facts: Facts, paths: Rows) -> Rows:
    """_Why of each path, in the namespace where it was last seen."""
    result = facts.result
    found = np.full(paths.size, _Why.UNKNOWN, np.int64)
    if paths.size == 0:
        return found
    namespace, seen = result.sightings["namespace"][facts.last[paths]], result.sightings
    rows, _ = facts.conntrack
    times_ns = np.tile(rows["time_ns"], 2)
    known = np.concatenate([hashed(rows[way], rows["namespace"]) for way in ("original", "reply")])
    asked = hashed(seen["flow"][first_in_last_namespace(facts)[paths]], namespace)
    row = _last_before(known, times_ns, asked, seen["time_ns"][facts.last[paths]])
    ended = (
        rows["event"][row % max(rows.size, 1)] == CONNTRACK_DESTROYED if rows.size else np.zeros(paths.size, np.bool_)
    )
    found[row >= 0] = np.where(ended[row >= 0], _Why.ENDED, _Why.UNFIT)
    by_frames, by_chains = _began(facts, paths, namespace)
    # Of a later segment the SYN may have come before the capture began.
    without = (row < 0) & facts.syn_ack[paths]
    found[without & ~by_frames & ~by_chains] = _Why.NO_SYN
    found[without & by_frames & ~by_chains] = _Why.BRIDGED
    found[np.isin(result.ids.paths[paths], facts.common.broken["path"])] = _Why.CHECKSUM
    return found


def _began(facts: Facts, paths: Rows, namespace: npt.NDArray[np.integer]) -> tuple[Mask, Mask]:
    """Per path: a SYN of its connection was seen in this namespace, by frames and by chains."""
    result, seen = facts.result, facts.result.sightings
    hop = np.flatnonzero(facts.syn[result.hops["packet"]])
    sighting = result.hops["sighting"][hop]
    began = hashed(result.connection_of_path[result.hops["packet"][hop]], seen["namespace"][sighting])
    wanted, told = hashed(result.connection_of_path[paths], namespace), seen["kind"][sighting] == EVALUATION
    return np.isin(wanted, began[~told]), np.isin(wanted, began[told])


def _last_before(
    known: npt.NDArray[np.uint64], known_ns: Rows, wanted: npt.NDArray[np.uint64], wanted_ns: Rows
) -> Rows:
    """Per wanted key: the last known row with it that is not later; -1 where there is none."""
    key, time_ns = np.concatenate([known, wanted]), np.concatenate([known_ns, wanted_ns])
    is_wanted = np.arange(key.size) >= known.size
    order = np.lexsort((is_wanted, time_ns, key))
    last = np.maximum.accumulate(np.where(is_wanted[order], -1, np.arange(order.size)))
    found = np.full(key.size, -1, np.int64)
    found[order[last >= 0]] = order[last[last >= 0]]
    found = found[known.size :]
    return np.where((found >= 0) & (key[found] == wanted), found, -1)


def is_invalid(facts: Facts, paths: Rows) -> Mask:
    """Per path: in the namespace where it was last seen, chains behind conntrack saw it, and the kernel named no entry
    or state in any. It names both where there is one (nf_tables_trace.c, Linux 6.14), so it has to do so of others."""
    result = facts.result
    evaluations, hops, seen = result.evaluations, result.hops, result.sightings
    behind = np.array([_is_behind_conntrack(one) for one in evaluations.chains] or [False], np.bool_)
    events, first_event = evaluations.events, evaluations.rows["first_event"]
    wanted = np.zeros(facts.own.size, np.bool_)
    wanted[paths] = True
    row = np.flatnonzero(wanted[hops["packet"]] & (seen["kind"][hops["sighting"]] == EVALUATION))
    path, sighting = hops["packet"][row].astype(np.int64), hops["sighting"][row]
    at = sighting - of_kind(seen, EVALUATION).start
    namespace = seen["namespace"][sighting]
    here = (namespace == seen["namespace"][facts.last[path]]) & facts.names_states[namespace]
    here &= behind[evaluations.rows["chain"][at]] & (events["legacy"][first_event[at]] == 0)
    nothing, something = np.zeros(facts.own.size, np.bool_), np.zeros(facts.own.size, np.bool_)
    known = events["conntrack_state"][first_event[at]] > 0
    nothing[path[here & ~known]] = True
    something[path[here & known]] = True
    return (nothing & ~something)[paths]


def _is_behind_conntrack(chain: Chain) -> bool:
    if chain.family not in ("ip", "ip6", "inet"):
        return False
    return chain.base.hook not in ("prerouting", "output") or chain.base.priority > _CONNTRACK_PRIORITY


def reply_not_translated(facts: Facts) -> Iterator[Seen]:
    """`reply_not_translated`: it leaves the namespace that translated what it answers, and still has the address that
    only those behind the translation know."""
    result = facts.result
    rows, _ = facts.conntrack
    translates = (rows["reply"] != rows["restored"]) & ~_same_source(rows)
    if not translates.any():
        return
    seen, frame = result.sightings, facts.last_frame
    paths = np.flatnonzero(facts.own & ~facts.forward & (frame >= 0) & ~facts.complete[result.connection_of_path])
    leaves = seen["direction"][frame[paths]] == Direction.OUT
    outside = np.array([point.role != Role.LOOPBACK for point in result.topology.points] or [False], np.bool_)
    paths = paths[leaves & outside[seen["place"][frame[paths]]]]
    # The same ports may have been translated before: what holds is the entry that was made last.
    known, wanted = (
        hashed(rows["reply"], rows["namespace"]), hashed(seen["flow"][frame[paths]], seen["namespace"][frame[paths]]),
    )  # fmt: skip
    entry = _last_before(known, rows["time_ns"], wanted, seen["time_ns"][frame[paths]] + _LATE_NS)
    found = entry >= 0
    found[found] = translates[entry[found]]
    paths, entry = paths[found], entry[found]
    bridged = ~_seen_by_chains(facts, paths) & facts.traced[seen["namespace"][frame[paths]]]
    invalid = is_invalid(facts, paths)
    for one in groups(facts, paths, entry, seen["place"][frame[paths]], bridged, invalid):
        at = int(np.searchsorted(paths, one[0]))
        yield _untranslated(
            facts, one, rows[int(entry[at])], is_bridged=bool(bridged[at]), is_invalid=bool(invalid[at])
        )


def _same_source(entries: npt.NDArray[np.void]) -> Mask:
    """Per entry: a reply has the address from which it is sent on the other side, too."""
    parts = [
        entries[f"reply_source_{one}"] == entries[f"original_destination_{one}"] for one in ("high", "low", "port")
    ]
    return np.logical_and.reduce(parts)


def _seen_by_chains(facts: Facts, paths: Rows) -> Mask:
    """Per path: a chain saw it in the namespace where it was last seen in a frame."""
    result = facts.result
    hop = np.flatnonzero(result.sightings["kind"][result.hops["sighting"]] == EVALUATION)
    path, sighting = result.hops["packet"][hop], result.hops["sighting"][hop]
    here = result.sightings["namespace"][sighting] == result.sightings["namespace"][facts.last_frame[path]]
    found = np.zeros(facts.own.size, np.bool_)
    found[path[here]] = True
    return found[paths]


def _untranslated(facts: Facts, paths: Rows, entry: np.void, *, is_bridged: bool, is_invalid: bool) -> Seen:
    topology, first = facts.result.topology, int(paths[0])
    frame = facts.result.sightings[int(facts.last_frame[first])]
    point = topology.points[int(frame["place"])]
    at = where(point.node, topology.namespaces[point.namespace].label)
    asked = entry_end(entry, "original_destination")
    why = "; conntrack calls it INVALID, and of that nothing is translated" if is_invalid else ""
    if is_bridged and point.role == Role.PORT:
        why = "; it was bridged, past the rules that translate it"

    def say(extent: Extent) -> str:
        return (
            f"{at} sends {extent.counted} of {extent.flow} on by {point.interface} as it is, though {asked} was asked: "
            f"the answer is not translated back{why}"
        )

    answered = entry_end(entry, "reply_source")
    evidence = entry_evidence(facts, entry, f"entry {entry['id']}: {asked} is answered from {answered}")
    return Seen(
        kind=Kind.REPLY_NOT_TRANSLATED, key=(at, point.interface, asked, why), say=say, paths=paths,
        subject=subject_of(facts, paths), time_ns=int(facts.begin_ns[first]), node=point.node,
        evidence=(evidence, *frames_of(facts, first)),
    )  # fmt: skip
