"""What two runs call the same: nodes, containers and namespaces by their names, and where these changed, by what is
left over on both sides."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from ..nodes.topology import Topology

_RANDOM_END: Final = re.compile(
    r"(?:[-_.](?:[0-9a-f]{6,}|[0-9a-z]{8,10}-[0-9a-z]{5}|[bcdfghjklmnpqrstvwxz2456789]{5}))$"
)
"""What an orchestrator appends: the pods `web-7d4b9c6f5-x2x8k` of one Deployment, `proxy-x2x8k` of a DaemonSet (whose
letters make no words: k8s.io/apimachinery/pkg/util/rand), container ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonNames:
    """Of one run: what its nodes and their containers are called in both."""

    nodes: dict[str, str]
    others: dict[str, str]
    """Containers and namespaces."""
    notes: tuple[str, ...] = ()
    """What was taken for the same though it is called otherwise."""

    def node(self, name: str) -> str:
        """A node."""
        return self.nodes.get(name, name)

    def other(self, name: str) -> str:
        """A container or namespace."""
        return self.others.get(name, name)


def common_names(good: Topology, bad: Topology) -> tuple[CommonNames, CommonNames]:
    """Those of the good run, and of the bad one: what is called otherwise gets the name that it has in the good one."""
    nodes = _paired(list(good.nodes), list(bad.nodes), in_order=True)
    others = _paired(_others(good), _others(bad), in_order=False)
    notes = tuple(f"{new} of the bad run is taken for {old}" for new, old in {**nodes, **others}.items())
    return CommonNames(nodes={}, others={}), CommonNames(nodes=nodes, others=others, notes=notes)


def known_names(topology: Topology, names: CommonNames) -> set[str]:
    """Nodes and containers of one run, as both runs call them."""
    owners = {name for held in topology.owners.values() for _, name in held if name != "root"}
    return {names.node(name) for name in topology.nodes} | {names.other(name) for name in owners}


def _others(topology: Topology) -> list[str]:
    """Containers and namespaces, but the roots."""
    labels = [space.label for space in topology.namespaces]
    owners = [name for held in topology.owners.values() for _, name in held]
    return [name for name in dict.fromkeys(labels + owners) if name != "root"]


def _paired(good: Sequence[str], bad: Sequence[str], *, in_order: bool) -> dict[str, str]:
    """Name in the bad run to that in the good one, of what has another: by what is left of a name without what all have
    in common (that of a project), or without a random end, where one has it on each side; then the last one of each, or
    (`in_order`) as many as there are."""
    old, new = [name for name in good if name not in bad], [name for name in bad if name not in good]
    found: dict[str, str] = {}
    for rests in (_without_what_all_have, _without_random_ends):
        found |= _by_rest(rests(old), rests(new))
        old, new = _left(old, found.values()), _left(new, found)
    if len(old) == len(new) and (in_order or len(new) == 1):
        found |= dict(zip(new, old, strict=True))
    return found


def _by_rest(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """Those that have the same rest, and no other of their run has it. Both: name to its rest."""
    counts = Counter(old.values()), Counter(new.values())
    alone = {rest: name for name, rest in old.items() if counts[0][rest] == 1}
    return {name: alone[rest] for name, rest in new.items() if counts[1][rest] == 1 and rest in alone}


def _without_what_all_have(names: Sequence[str]) -> dict[str, str]:
    if len(names) < 2:
        return {}
    prefix = _common_begin(names)
    suffix = _common_begin([name[prefix:][::-1] for name in names])
    return {name: name[prefix : len(name) - suffix] for name in names}


def _common_begin(names: Sequence[str]) -> int:
    """So many characters all begin with."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False)))


def _without_random_ends(names: Sequence[str]) -> dict[str, str]:
    return {name: _base(name) for name in names}


def _base(name: str) -> str:
    before = None
    while before != name:
        before, name = name, _RANDOM_END.sub("", name)
    return name


def _left(names: Iterable[str], found: Iterable[str]) -> list[str]:
    known = set(found)
    return [name for name in names if name not in known]
