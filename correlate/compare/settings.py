"""What the captures recorded of the same namespaces otherwise: routes, routing rules, settings, links."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..nodes.namespace_facts import NamespaceFacts, Route
from ..nodes.route_words import route_text, rule_text
from ..nodes.surroundings import Surroundings
from ..nodes.topology import Topology
from .common_names import CommonNames
from .points import space_of
from .rule_words import Words

_BY_THEMSELVES: Final = ("local", "broadcast", "multicast", "anycast")
"""Types of routes that the kernel makes of addresses."""

_COUNTERS: Final = ("net.netfilter.nf_conntrack_count",)
"""Nobody has set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOtherwise:
    """One thing that one run has and the other has not, or otherwise."""

    what: str
    """`route`, `routing rule`, `sysctl` or `link`."""
    place: str
    """Node, or namespace on a node."""
    good: str | None
    """None where the good run has none."""
    bad: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """What surrounds the packets of one run."""

    topology: Topology
    surroundings: Surroundings
    names: CommonNames
    words: Words


def recorded_otherwise(good: Settings, bad: Settings) -> list[RecordedOtherwise]:
    """Of the namespaces that both runs have, as they were when the captures began."""
    spaces = {space_of(good.names, space): space for space in good.topology.namespaces}
    found: list[RecordedOtherwise] = []
    for space in bad.topology.namespaces:
        same = spaces.get(space_of(bad.names, space))
        if same is None:
            continue
        node, netns = space_of(bad.names, space)
        place = node if netns == "root" else f"{netns} on {node}"
        old = _facts(good, good.surroundings.of(same.node, same.label))
        new = _facts(bad, bad.surroundings.of(space.node, space.label))
        for what in old.keys() & new.keys():
            found += _apart(what, place, old[what], new[what])
    return sorted(found, key=lambda one: (one.what, one.place, one.bad or "", one.good or ""))


def _facts(run: Settings, facts: NamespaceFacts) -> dict[str, dict[str, str]]:
    """What is recorded: kind of it to name, by which two runs compare it, to its text."""
    found: dict[str, dict[str, str]] = {}
    if facts.routes is not None:
        texts = [route_text(route, facts.interface) for route in facts.routes if _is_made(route)]
        found["route"] = {run.words(text): text for text in texts}
    if facts.rules is not None:
        found["routing rule"] = {text: text for text in map(rule_text, facts.rules)}
    if facts.sysctls:
        settings = {name: value for name, value in facts.sysctls.items() if name not in _COUNTERS}
        found["sysctl"] = {run.words(name): f"{name} = {value}" for name, value in settings.items()}
    if facts.links:
        links = facts.links.values()
        found["link"] = {
            run.words(link.name): f"{link.name} with MTU {link.mtu}" + (", down" if link.up is False else "")
            for link in links
            if link.mtu
        }
    return found


def _is_made(route: Route) -> bool:
    """Somebody made it: it does not follow from an address alone."""
    far = route.destination or ""
    return route.type not in _BY_THEMSELVES and not far.lower().startswith(("fe80", "ff"))


def _apart(what: str, place: str, old: dict[str, str], new: dict[str, str]) -> Iterator[RecordedOtherwise]:
    by_name = what in ("sysctl", "link")
    for key in old.keys() | new.keys():
        good, bad = old.get(key), new.get(key)
        if by_name and (good is None or bad is None or good.partition(" ")[2] == bad.partition(" ")[2]):
            continue  # a setting or interface of one run alone comes and goes with what it is of
        if not by_name and good is not None and bad is not None:
            continue
        yield RecordedOtherwise(what=what, place=place, good=good, bad=bad)
