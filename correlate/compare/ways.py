"""The way of one packet as two runs can compare it: its steps by the names that both runs have."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from ..netfilter.evaluations import OWN_TABLE
from ..nodes.topology import Topology
from ..outcomes.kinds import Reason
from ..result.values import ChainHop, Hop, InterfaceHop, KernelHop, Path, RewriteStep, RuleMatch
from .common_names import CommonNames
from .ends import Ends
from .points import Place
from .rule_words import Words

_SAY_NOTHING: Final = frozenset(
    {
        Reason.NOT_CAPTURED, Reason.CAPTURE_LOST, Reason.CAPTURE_ENDED, Reason.FILTERED, Reason.MAYBE_MISSED,
        Reason.EQUAL_ELSEWHERE, Reason.ANSWERED, Reason.ACKNOWLEDGED, Reason.SEGMENTED, Reason.ARRIVED, Reason.PROXIED,
    }
)  # fmt: skip
"""Ends of what was seen of a packet, and not of the packet: two ways do not part there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSeen:
    """A rule that matched, or the policy."""

    chain: str
    words: str
    """By which rules are compared; empty where they are not known."""
    verdict: str
    text: str
    """As it is shown."""

    def fits(self, other: "RuleSeen") -> bool:
        """They may be the same."""
        known = bool(self.words and other.words)
        return (self.chain, self.verdict) == (other.chain, other.verdict) and (not known or self.words == other.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A capture point, a base chain, a rewrite, or what else the kernel said."""

    kind: str
    """`point`, `chain`, `rewrite` or `kernel`."""
    key: tuple[str, ...]
    """Equal for the same step in both runs."""
    place: str
    """In words."""
    space: tuple[str, str]
    """(node, namespace), as both runs call them."""
    rules: tuple[RuleSeen, ...] = ()
    """Of a chain."""
    is_whole: bool = True
    """The trace of the chain goes to its end."""
    is_nat: bool = False
    """A chain that sees the first packet of a connection only."""
    text: str = ""
    """Of a rewrite, or of what the kernel said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way of packets, with what became of them."""

    steps: tuple[Step, ...]
    outcome: str
    end: tuple[str, ...] | None
    """Equal where packets ended alike; None where that is not known."""
    end_text: str
    """What became of them: `are dropped: …`."""
    failed: bool
    """It was dropped, lost, refused or not answered."""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for the same steps."""
        return tuple((step.key, step.rules) for step in self.steps)


class WayReader:
    """Makes ways of the paths of one run."""

    def __init__(
        self,
        topology: Topology,
        names: CommonNames,
        ends: Ends,
        places: list[Place],
        words: Words,
        hidden: AbstractSet[Place],
    ) -> None:
        """`hidden`: places that only this run captured."""
        self._names, self._ends, self._words, self._hidden = names, ends, words, hidden
        self.nat_chains: AbstractSet[tuple[str, ...]] = frozenset()
        """(node, namespace, family, table, chain) of the chains that see the first packet of a connection only."""
        self._places = {
            (point.node, topology.namespaces[point.namespace].label, point.interface): place
            for point, place in zip(topology.points, places, strict=True)
        }

    def way_of(self, path: Path) -> Way:
        """The way of one path."""
        steps: list[Step] = []
        for index, hop in enumerate(path.hops):
            if not self._is_hidden(hop):
                steps.append(self._step(hop))
            steps += [self._rewrite(one, path) for one in path.rewrites if one.after_hop == index]
        end, text, failed = self._end(path)
        return Way(steps=tuple(steps), outcome=path.outcome, end=end, end_text=text, failed=failed)

    def _is_hidden(self, hop: Hop) -> bool:
        """Only this run can show it: it tells nothing of two ways."""
        if isinstance(hop, InterfaceHop):
            return self._places.get((hop.node, hop.netns, hop.interface)) in self._hidden
        return isinstance(hop, ChainHop) and (hop.family, hop.table) == OWN_TABLE

    def _space(self, node: str, netns: str) -> tuple[str, str]:
        return self._names.node(node), self._names.other(netns)

    def _step(self, hop: Hop) -> Step:
        space = self._space(hop.node, hop.netns)
        at = _space_words(space)
        if isinstance(hop, InterfaceHop):
            node, netns, interface = self._places.get((hop.node, hop.netns, hop.interface), (*space, hop.interface))
            side = f" {hop.direction}" if hop.direction != "unknown" else ""
            tunnel = f" in {hop.encapsulation.kind}" if hop.encapsulation is not None else ""
            place = f"{at} {interface}{side}{tunnel}"
            return Step(kind="point", key=(node, netns, interface, side, tunnel), place=place, space=space)
        if isinstance(hop, KernelHop):
            return Step(
                kind="kernel", key=(*space, hop.kind, hop.verdict), place=f"{at} {hop.kind}", space=space, text=hop.says
            )
        return self._chain(hop, space)

    def _chain(self, hop: ChainHop, space: tuple[str, str]) -> Step:
        rules = [self._rule(match) for match in hop.rules]
        if hop.by_policy:
            policy = f"policy {hop.verdict}"
            rules.append(RuleSeen(chain=hop.chain, words=policy, verdict=hop.verdict, text=f"{hop.chain} {policy}"))
        return Step(
            kind="chain", key=(*space, hop.hook, hop.family, hop.table, hop.chain), space=space, rules=tuple(rules),
            place=f"{hop.hook} of {_space_words(space)} ({hop.family} {hop.table})",
            is_nat=(hop.node, hop.netns, hop.family, hop.table, hop.chain) in self.nat_chains,
            is_whole=hop.verdict != "unknown",
        )  # fmt: skip

    def _rule(self, match: RuleMatch) -> RuleSeen:
        where = f"{match.chain} rule {match.number}" if match.number else f"{match.chain} handle {match.handle}"
        said = f"`{match.text}`" if match.text else f"{where}, whose words are not known"
        return RuleSeen(
            chain=self._words(match.chain), words=self._words(match.text), verdict=self._words(match.verdict),
            text=f"{said} {match.verdict}",
        )  # fmt: skip

    def _rewrite(self, one: RewriteStep, path: Path) -> Step:
        space = self._space(one.node, one.netns)
        keeps_port = (one.field == "destination") == path.forward
        address, port = _split(one.new)
        name = self._ends.name(address) or address
        key = ("rewrite", *space, one.field, name, port if keeps_port else "")
        what = one.kind if one.kind != "unknown" else "translation"
        return Step(
            kind="rewrite", key=key, place=_space_words(space), space=space,
            text=f"{one.field} {one.old} => {one.new} ({f'undoes {what}' if one.undo else what})",
        )  # fmt: skip

    def _end(self, path: Path) -> tuple[tuple[str, ...] | None, str, bool]:
        reason = path.reason
        if reason is not None and reason.code in _SAY_NOTHING:
            return None, f"end there: {reason.text}", False
        if reason is None:
            delivered = f"are delivered to {path.delivered_to}" if path.delivered_to else f"are {path.outcome}"
            return (path.outcome,), delivered, path.outcome in ("dropped", "lost")
        gone = path.outcome in ("dropped", "lost")
        # Whether the kernel said that it dropped it, or nothing saw it again, depends on what was recorded.
        kind = "gone" if gone else reason.kind
        ended = f"are {path.outcome}" if gone else "end there"
        return (kind, *self._space(reason.last.node, reason.last.netns)), f"{ended}: {reason.text}", True


def _space_words(space: tuple[str, str]) -> str:
    node, netns = space
    return node if netns == "root" else netns


def _split(end: str) -> tuple[str, str]:
    """(address, port) of an endpoint; without a port, an empty one."""
    if end.startswith("["):
        address, _, port = end[1:].partition("]")
        return address, port.lstrip(":")
    if end.count(":") == 1:
        address, _, port = end.partition(":")
        return address, port
    return end, ""


def meaningful(steps: tuple[Step, ...]) -> Iterator[Step]:
    """What stands in a list of places that both runs passed."""
    return (step for step in steps if step.kind in ("point", "chain"))
