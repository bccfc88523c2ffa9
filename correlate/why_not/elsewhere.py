"""Packets that never came to the chain of a rule, and where their way parted from it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ..netfilter.numbers import NF_DROP, Hook
from ..netfilter.rules import Ruleset
from ..result.show import reason_of
from ..sightings import EVALUATION, FRAME
from .answers import answers_in_chain, conditions_of
from .conditions import ADDRESSES, CT_STATES, PORTS, Fact
from .evaluate import examine
from .groups import MOST_IDS, NO_EXAMPLE, Group, Kind, of_looks
from .looks import Looks, Mask, Rows, Scene
from .targets import Target, callers, moments_of
from .visits import evaluations_of_table, find_visits
from .words import chain_place, rule_place

_NEAR, _AWAY, _FAR = 0.75, 4.0, 6.0
"""Closeness of packets that have what the rule wants; of those that have not, and passed a chain that leads there; and
of those that did not do that either."""
_MOST_JUMPS: Final = 16
"""Within each other: the kernel's NFT_JUMP_STACK_SIZE."""
_ELSEWHERE: Final = {
    Hook.INPUT: "it was for the node itself, and went to INPUT",
    Hook.FORWARD: "it was forwarded, and passed FORWARD",
    Hook.OUTPUT: "the node itself sent it, from OUTPUT on",
}  # fmt: skip
_TELLING: Final = ADDRESSES | PORTS | {Fact.ICMP_TYPE}
"""What a packet has to agree in to be one that the rule is for."""
_NOT_OF_THE_WAY: Final = frozenset(
    {Fact.INPUT, Fact.OUTPUT, Fact.PORT_IN, Fact.PORT_OUT, Fact.MARK, Fact.CT_STATE, Fact.CT_STATUS}
)
"""What can still change, or is not there yet, where the packet was seen."""


@dataclass(frozen=True, slots=True)
class _Base:
    """A base chain from which jumps lead to the chain."""

    name: str
    hook: Hook
    is_nat: bool


def answers_elsewhere(scene: Scene, target: Target, reached: Mask, wanted: Mask) -> Iterator[Group]:
    """`reached`, `wanted`: per path, that it came into the chain; that it is asked for."""
    seen = _last_looks(scene)
    missing = np.zeros(wanted.size, np.bool_)
    missing[seen.packets] = True
    missing &= wanted & ~reached
    if not missing.any():
        return
    history = target.rulesets()
    ruleset = history[-1] if history else Ruleset()
    bases = _bases(scene, ruleset, target)
    names = {base.name for base in bases}
    seen = seen.of(np.flatnonzero(missing[seen.packets]))
    fits = _failing(target, seen) == 0
    for would in (True, False):
        some = np.zeros(wanted.size, np.bool_)
        some[seen.packets[fits == would]] = True
        for group, packets in _not_jumped(scene, target, ruleset, some, names):
            some[packets] = False
            group.closeness = _NEAR if would else _AWAY
            yield group
        for group in _other_ways(scene, target, seen.of(np.flatnonzero(some[seen.packets])), bases):
            group.closeness = _NEAR if would else _FAR
            yield group


def _last_looks(scene: Scene) -> Looks:
    """The last evaluation of every path that was traced in the namespace."""
    rows = np.flatnonzero(scene.part.evaluations.sightings["namespace"] == scene.namespace)
    rows = rows[scene.hop_of_evaluation[rows] >= 0]
    rows = rows[np.argsort(scene.hop_of_evaluation[rows])]
    packets = scene.part.hops["packet"][scene.hop_of_evaluation[rows]]
    last = np.flatnonzero(np.append(packets[1:] != packets[:-1], True)) if rows.size else np.empty(0, np.int64)
    nothing = np.full(last.size, -1, np.int64)
    return Looks(scene, rows[last], nothing, scene.part.evaluations.rows["first_event"][rows[last]])


def _bases(scene: Scene, ruleset: Ruleset, target: Target) -> list[_Base]:
    """The base chains from which jumps lead to the chain, itself if it is one."""
    names, open_ = {target.chain}, [target]
    while open_ and len(names) < _MOST_JUMPS * _MOST_JUMPS:
        for rule in callers(ruleset, open_.pop()):
            if rule.chain not in names:
                names.add(rule.chain)
                open_.append(replace(target, chain=rule.chain))
    found = {}
    for chain in scene.part.evaluations.chains:
        same = (chain.family, chain.table, chain.legacy) == (target.family, target.table, target.legacy)
        if chain.namespace == scene.namespace and same and chain.name in names:
            found[chain.name] = _Base(chain.name, Hook.named(chain.base.hook), chain.base.kind == "nat")
    for (family, table, name), base in ruleset.chains.items():
        if (family, table) == target.key[:2] and name in names:
            found.setdefault(name, _Base(name, Hook.named(base.hook), base.kind == "nat"))
    return list(found.values())


def _not_jumped(
    scene: Scene, target: Target, ruleset: Ruleset, missing: Mask, bases: set[str], depth: int = 0
) -> Iterator[tuple[Group, Rows]]:
    """Packets that passed a base chain, and were not sent on to the chain from there: why the rule that jumps did not
    match. (group, its paths)."""
    if depth > _MOST_JUMPS:
        return
    rows = evaluations_of_table(scene, target.family, target.table, legacy=target.legacy)
    chains = np.array([chain.name in bases for chain in scene.part.evaluations.chains] or [False])
    rows = rows[chains[scene.part.evaluations.rows["chain"][rows]]]
    packet = scene.part.hops["packet"][scene.hop_of_evaluation[rows]]
    rows = rows[missing[packet]]
    told = np.zeros(missing.size, np.bool_)
    for rule in callers(ruleset, target) if rows.size else ():
        caller = replace(
            target, chain=rule.chain, number=rule.number if target.legacy else None,
            handle=None if target.legacy else rule.handle,
        )  # fmt: skip
        visits = find_visits(scene, caller, rows)
        came = visits.looks.packets
        fresh = np.flatnonzero(~told[came])
        if fresh.size:
            for group in answers_in_chain(visits.of(fresh)):
                if group.kind != Kind.MATCHED:
                    yield _on_the_way(group, target), came[fresh]
            told[came] = True
        above = missing & ~told
        for group, packets in _not_jumped(scene, caller, ruleset, above, bases, depth + 1):
            told[packets] = True
            yield _on_the_way(group, target), packets


def _on_the_way(group: Group, target: Target) -> Group:
    """What is said of the rule that jumps, for the one behind the jump."""
    if group.kind != Kind.ELSEWHERE:
        jump = f"{rule_place(group.rule)} jumps there, and " if group.rule else ""
        group.head = f"never came to {chain_place(*target.key)}: {jump}{group.head}"
        group.cause = group.cause or group.rule
        group.kind = Kind.ELSEWHERE
    group.rule = None
    return group


def _other_ways(scene: Scene, target: Target, looks: Looks, bases: list[_Base]) -> Iterator[Group]:
    """Packets that passed no base chain from which one could come to the chain."""
    part = scene.part
    table = part.evaluations.rows
    hooks = _hooks_of_paths(scene)[looks.packets]
    event = table["last_event"][looks.rows] - 1
    keys = np.stack(
        [hooks, table["chain"][looks.rows].astype(np.int64), table["verdict"][looks.rows].astype(np.int64),
         np.where(table["verdict"][looks.rows] == NF_DROP, part.book.of_event[event], -1),
         looks.sightings["ip_version"].astype(np.int64), _is_first(looks).astype(np.int64),
         part.outcomes.reason[looks.packets].astype(np.int64)], axis=1,
    )  # fmt: skip
    unique, which = np.unique(keys, axis=0, return_inverse=True)
    for number, key in enumerate(unique.tolist()):
        rows = np.flatnonzero(which.reshape(-1) == number)
        head = f"never came to {chain_place(*target.key)}: {_why(looks, int(rows[0]), key, target, bases)}"
        group = Group(kind=Kind.ELSEWHERE, head=head, closeness=_FAR, rule=None, example=NO_EXAMPLE)
        yield of_looks(looks, rows, event[rows], group)


def _failing(target: Target, looks: Looks) -> Rows:
    """How many conditions of the rule that do not depend on the way each packet fails where it was last seen; 1 where
    there is nothing to tell by."""
    thens, when = moments_of(target, looks.heads["time_ns"])
    fails = np.ones(looks.rows.size, np.int64)
    for number, then in enumerate(thens):
        some = np.flatnonzero(when == number)
        if then.rule is None or not then.rule.text or some.size == 0:
            continue
        asked = [
            one for one in conditions_of(then.rule, then) if not one.unknown and not _NOT_OF_THE_WAY & {*one.facts}
        ]  # fmt: skip
        # That a packet is of TCP alone says little.
        if any(_TELLING & {*one.facts} for one in asked):
            examined = examine(looks.of(some), asked)
            unsure = np.array([None in said for said in examined.said], np.bool_)[examined.group]
            fails[some] = np.where(unsure, np.maximum(examined.failing, 1), examined.failing)
    return fails


def _hooks_of_paths(scene: Scene) -> npt.NDArray[np.int64]:
    """Per path the hooks of the namespace that its trace shows, as bits."""
    part = scene.part
    rows = part.evaluations.rows
    here = (part.evaluations.sightings["namespace"] == scene.namespace) & (scene.hop_of_evaluation >= 0)
    here &= (rows["bridge"] == 0) & (rows["hook"] < Hook.INGRESS)
    which = np.flatnonzero(here)
    found = np.zeros(part.packets.count, np.int64)
    packet = part.hops["packet"][scene.hop_of_evaluation[which]]
    np.bitwise_or.at(found, packet, np.int64(1) << rows["hook"][which].astype(np.int64))
    return found


def _is_first(looks: Looks) -> Mask:
    """Whether conntrack calls the packet new, or says nothing."""
    state = looks.heads["conntrack_state"]
    found: Mask = (state == 0) | (state == CT_STATES["new"])
    return found


def _why(looks: Looks, at: int, key: list[int], target: Target, bases: list[_Base]) -> str:
    """Where its way parted, for one of equal packets. `key`: as in _other_ways."""
    part = looks.part
    hooks, chain_number, verdict, book, version, first, _ = key
    chain = part.evaluations.chains[chain_number]
    if verdict == NF_DROP:
        if book >= 0:
            rule = part.book.rules[book]
            return f"{rule_place(rule)} had dropped it before: {rule.text or 'its words are not known'}"
        return f"the policy of {chain_place(chain.family, chain.table, chain.name)} had dropped it before"
    if {"ip": 4, "ip6": 6}.get(target.family, version) != version:
        return f"it was {'IPv6' if version == 6 else 'IPv4'}, which tables of the family {target.family} do not see"
    passed = [base for base in bases if hooks >> int(base.hook) & 1]
    if passed and passed[0].is_nat and not first:
        return "only the first packet of a connection passes nat chains, and this was none"
    if not bases:
        return "no base chain leads to it"
    if not passed:
        other = next((words for hook, words in _ELSEWHERE.items() if hooks >> int(hook) & 1), None)
        if other:
            return other
    reason = reason_of(part, int(looks.packets[at]))
    place = chain_place(chain.family, chain.table, chain.name)
    where = chain.base.hook.upper() if chain.own else place
    return reason.text if reason else f"the last that the trace shows of it there is {where}"


def untraced(scene: Scene, wanted: Mask) -> Group | None:
    """Packets that were captured in the namespace, and of which its trace says nothing."""
    part = scene.part
    sighting = part.hops["sighting"]
    here = part.sightings["namespace"][sighting] == scene.namespace
    kind, packet = part.sightings["kind"][sighting], part.hops["packet"]
    seen, traced = np.zeros(wanted.size, np.bool_), np.zeros(wanted.size, np.bool_)
    seen[packet[here & (kind == FRAME)]] = True
    traced[packet[here & (kind == EVALUATION)]] = True
    paths = np.flatnonzero(seen & ~traced & wanted & ~part.chatter)
    if paths.size == 0:
        return None
    frames = np.flatnonzero(here & (kind == FRAME) & (packet == paths[0]))
    shown = part.sightings[sighting[frames[0]]]
    connections = np.unique(part.connection_of_path[paths])
    return Group(
        kind=Kind.UNTRACED, head="seen there and not traced: nothing is known of the chains that they passed",
        closeness=9, rule=None, packets=int(paths.size), connection_count=int(connections.size),
        paths=set(part.ids.paths[paths[:MOST_IDS]].tolist()),
        connections=set(part.ids.connections[connections[:MOST_IDS]].tolist()),
        example=replace(
            NO_EXAMPLE, path=int(part.ids.paths[paths[0]]), file=part.files[int(shown["file"])].path,
            frame=int(shown["frame"]), time_ns=int(part.times_ns[sighting[frames[0]]]),
        ),
    )  # fmt: skip
