"""Ruleset snapshots -> the words of each rule, by the handle or number that trace events name.

For chains written with iptables, nft's own listing has the handles but not the parameters of matches and targets, and
iptables-save has the text but not the handles: the two are paired by position within each chain.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, TypeVar

from ..nodes.namespace_facts import Where
from ..nodes.snapshots import NodeSnapshots
from ..nodes.topology import Topology

Key = TypeVar("Key")
Value = TypeVar("Value")
_HANDLE: Final = re.compile(r"\s*# handle (\d+)$")
_COUNTERS: Final = re.compile(r"^\[\d+:\d+\]\s+")
_SET: Final = re.compile(r"^\t(?:set|map) (\S+) \{.*?^\t\}$", re.MULTILINE | re.DOTALL)
_NFT_COUNTER: Final = re.compile(r"\bcounter packets \d+ bytes \d+ ?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, in the words of the tool that shows it."""

    family: str
    table: str
    chain: str
    handle: int
    """nft's handle; 0 for a rule of iptables-legacy, which has none."""
    number: int
    """Position in its chain, from 1, as `iptables -L --line-numbers` counts; 0 where no snapshot shows it."""
    text: str
    """A line of iptables-save (`-A POSTROUTING …`) or of nft's listing; "" when it is not known."""
    changed: bool = False
    """True where it has no text because it was changed meanwhile: which words it had at that time is not known."""
    line: int | None = field(default=None, compare=False)
    """Its line in the text of the snapshot that has its words, from 1: of nft's listing or, of `-A …`, of
    iptables-save. It moves with others, so it makes no other rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseChain:
    """A chain that hangs in a hook."""

    kind: str
    """filter, nat or route."""
    hook: str
    """prerouting, input, forward, output, postrouting, ingress or egress."""
    priority: int
    policy: str


@dataclass(slots=True, kw_only=True)
class Ruleset:
    """The rules of one namespace at one moment."""

    rules: dict[tuple[str, str, str, int], Rule] = field(default_factory=dict)
    """(family, table, chain, handle) to rule."""
    legacy: dict[tuple[str, str, str, int], Rule] = field(default_factory=dict)
    """(family, table, chain, number) to rule, of iptables-legacy."""
    chains: dict[tuple[str, str, str], BaseChain] = field(default_factory=dict)
    """(family, table, chain) of each base chain."""
    legacy_policies: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(family, table, chain) to `accept` or `drop`, of iptables-legacy."""
    sets: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(family, table, name) of each set and map with a name, as nft lists it."""
    generation: int | None = None
    time_ns: int = 0
    """When the snapshot was taken, by the clock of the node."""
    consistent: bool = True
    """Whether nothing changed while it was taken."""
    at: Where | None = None
    """The snapshot."""


def parse_ruleset(data: dict[str, Any], time_ns: int = 0, at: Where | None = None) -> Ruleset:
    """A Ruleset from the data of a `ruleset` snapshot (docs/file-format.md) taken at `time_ns`, which stands `at`."""
    ruleset = Ruleset(time_ns=time_ns, at=at)
    ruleset.generation = data.get("generation")
    ruleset.consistent = data.get("consistent") is not False
    listing = data.get("json")
    for entry in (listing or {}).get("nftables", []):
        chain = entry.get("chain")
        if chain and chain.get("hook"):
            ruleset.chains[(chain["family"], chain["table"], chain["name"])] = BaseChain(
                kind=chain.get("type") or "filter",
                hook=chain["hook"],
                priority=chain.get("prio") or 0,
                policy=chain.get("policy") or "accept",
            )
    listed = _parse_nft(data.get("nft") or "")
    ruleset.sets = _parse_sets(data.get("nft") or "")
    for family, key in (("ip", "ip"), ("ip6", "ip6")):
        saved = _parse_save((data.get("iptables") or {}).get(key) or "")
        for (table, chain_name), lines in saved.items():
            rows = listed.get((family, table, chain_name))
            if rows is not None and len(rows) == len(lines):
                listed[(family, table, chain_name)] = [
                    (handle, *saved_as) for (handle, _, _), saved_as in zip(rows, lines, strict=True)
                ]
        legacy = (data.get("legacy") or {}).get(key) or ""
        policies = {(family, *chain): policy for chain, policy in _parse_policies(legacy).items()}
        ruleset.legacy_policies.update(policies)
        for (table, chain_name), lines in _parse_save(legacy).items():
            for number, (text, line) in enumerate(lines, 1):
                ruleset.legacy[(family, table, chain_name, number)] = Rule(
                    family=family, table=table, chain=chain_name, handle=0, number=number, text=text, line=line
                )
    for (family, table, chain_name), rows in listed.items():
        for number, (handle, text, line) in enumerate(rows, 1):
            ruleset.rules[(family, table, chain_name, handle)] = Rule(
                family=family, table=table, chain=chain_name, handle=handle, number=number, text=text, line=line
            )
    return ruleset


def _parse_nft(text: str) -> dict[tuple[str, str, str], list[tuple[int, str, int]]]:
    """(family, table, chain) to its (handle, text, line) rows, from `nft -a list ruleset`."""
    found: dict[tuple[str, str, str], list[tuple[int, str, int]]] = {}
    family = table = ""
    rows: list[tuple[int, str, int]] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if line.startswith("table ") and len(words) >= 3:
            family, table, rows = words[1], words[2], None
        elif line.startswith("\tchain ") and len(words) >= 2:
            rows = found.setdefault((family, table, words[1]), [])
        elif line.startswith("\t}") or (line.startswith("\t") and not line.startswith("\t\t")):
            rows = None
        elif rows is not None and (match := _HANDLE.search(line)):
            rule = _NFT_COUNTER.sub("", line[: match.start()].strip())
            rows.append((int(match.group(1)), rule.strip(), number))
    return found


def _parse_sets(text: str) -> dict[tuple[str, str, str], str]:
    """(family, table, name) to the lines of each set and map, from `nft -a list ruleset`; they are read when asked for
    (why_not/nft_sets.py)."""
    found: dict[tuple[str, str, str], str] = {}
    for block in _SET.finditer(text):
        table = text.rfind("\ntable ", 0, block.start())
        words = text[table + 1 : block.start()].split(None, 3)
        if len(words) > 2 and words[0] == "table":
            found[(words[1], words[2], block[1])] = block[0]
    return found


def _parse_save(text: str) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """(table, chain) to the `-A …` lines of iptables-save, without counters, each with its number; chains without rules
    are there too."""
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    table = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = _COUNTERS.sub("", raw.strip())
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and len(line.split()[0]) > 1:
            found.setdefault((table, line[1:].split()[0]), [])
        elif line.startswith("-A ") and len(line.split()) > 2:
            found.setdefault((table, line.split()[1]), []).append((line, number))
    return found


def _parse_policies(text: str) -> dict[tuple[str, str], str]:
    """(table, chain) to the policy of the built-in chains of iptables-save: `:FORWARD DROP [0:0]`."""
    found: dict[tuple[str, str], str] = {}
    table = ""
    for raw in text.splitlines():
        words = raw.split()
        if raw.startswith("*"):
            table = raw[1:].strip()
        elif raw.startswith(":") and len(words) > 1 and words[1] != "-":
            found[(table, words[0][1:])] = words[1].lower()
    return found


def parse_rulesets(topology: Topology, snapshots: NodeSnapshots) -> dict[int, list[Ruleset]]:
    """Namespace index to its snapshots of rules, earliest first. What did not change between two of them is held
    once."""
    found = {
        namespace.index: [
            parse_ruleset(data, time_ns, Where(*at, time_ns))
            for (time_ns, data), at in zip(
                snapshots.rulesets.get((namespace.node, namespace.label), []),
                snapshots.rulesets_at.get((namespace.node, namespace.label), []),
                strict=True,
            )
        ]
        for namespace in topology.namespaces
    }
    for of_namespace in found.values():
        for earlier, later in pairwise(of_namespace):
            later.rules = _sharing(earlier.rules, later.rules)
            later.legacy = _sharing(earlier.legacy, later.legacy)
            later.chains = _sharing(earlier.chains, later.chains)
            later.sets = _sharing(earlier.sets, later.sets)
    return found


def _sharing(earlier: dict[Key, Value], later: dict[Key, Value]) -> dict[Key, Value]:
    """`later`, with the very keys and values of `earlier` where they are equal."""
    keys = {key: key for key in earlier}
    return {keys.get(key, key): earlier[key] if earlier.get(key) == value else value for key, value in later.items()}
