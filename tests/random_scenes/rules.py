"""Rules: what a chain does with a packet. rule_text.py says the same in the words of nft and iptables."""

from dataclasses import dataclass, field
from typing import Final

from .addresses import is_in
from .packets import Packet

ACCEPT, DROP, CONTINUE, RETURN = 1, 0, -1, -5
"""Verdicts as the trace tells them (NF_ACCEPT, NF_DROP, NFT_CONTINUE, NFT_RETURN); a jump is the chain's name."""
RAW, CONNTRACK, MANGLE, NAT_DESTINATION, FILTER, NAT_SOURCE = -300, -200, -150, -100, 0, 100
"""enum nf_ip_hook_priorities of linux/netfilter_ipv4.h."""
FIRST, LAST = -350, 350
"""Priorities of ttrace's own chains (capture/rules/tracing_table.py)."""
HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
OWN_TABLE = "ttrace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: what must be true of a packet, and what happens then."""

    handle: int
    action: str
    """accept, drop, reject, return, count, jump, masquerade, snat, dnat, redirect."""
    to: str = ""
    """Where a jump, a translation leads: chain, address, `address:port`, port."""
    protocol: int | None = None
    port: int | None = None
    """Of the destination."""
    source: str | None = None
    """A network."""
    destination: str | None = None
    iif: str | None = None
    """A device, or `!` and a device it must not be."""
    oif: str | None = None
    established: bool = False
    local: bool = False
    """The destination is an address of this namespace."""

    def matches(self, packet: Packet, passage: "Passage") -> bool:
        return (
            (self.protocol is None or packet.protocol == self.protocol)
            and (self.port is None or packet.destination_port == self.port)
            and (self.source is None or is_in(packet.source, self.source))
            and (self.destination is None or is_in(packet.destination, self.destination))
            and (self.iif is None or _is(passage.iif, self.iif))
            and (self.oif is None or _is(passage.oif, self.oif))
            and (not self.established or passage.established)
            and (not self.local or passage.local)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What a rule may ask beside the packet itself."""

    iif: str | None
    oif: str | None
    established: bool
    """Of an entry that has seen a reply, or an ICMP error about one."""
    local: bool


def _is(device: str | None, wanted: str) -> bool:
    return device != wanted[1:] if wanted.startswith("!") else device == wanted


@dataclass(eq=False, slots=True, kw_only=True)
class Chain:
    """A chain; a base chain has a hook."""

    family: str
    """ip, ip6 or inet."""
    table: str
    name: str
    hook: str | None = None
    priority: int = 0
    kind: str = "filter"
    policy: int = ACCEPT
    rules: list[Rule] = field(default_factory=list)

    def sees(self, packet: Packet) -> bool:
        return self.family == "inet" or self.family == ("ip" if packet.version == 4 else "ip6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One line of a trace: a rule that matched, or the end of a chain that no rule ended (handle 0)."""

    chain: str
    handle: int
    verdict: int | str
    number: int
    """Position in its chain, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a base chain did with a packet."""

    matches: tuple[Match, ...]
    verdict: int
    by_policy: bool
    rule: Rule | None
    """The one that ended it."""


@dataclass(eq=False, slots=True, kw_only=True)
class Rules:
    """The ruleset of a namespace."""

    style: str
    """`iptables`, `nft` or `legacy`."""
    chains: list[Chain] = field(default_factory=list)

    def at(self, hook: str, packet: Packet) -> list[Chain]:
        """The base chains of a hook, ttrace's own among them, in order."""
        wanted = [*self.chains, *OWN_CHAINS]
        found = [chain for chain in wanted if chain.hook == hook and chain.sees(packet)]
        return sorted(found, key=lambda chain: chain.priority)

    def chain(self, base: Chain, name: str) -> Chain:
        """Another chain of the same table."""
        return next(c for c in self.chains if (c.family, c.table, c.name) == (base.family, base.table, name))

    def evaluate(self, base: Chain, packet: Packet, passage: Passage) -> Evaluation:
        matches: list[Match] = []
        rule, verdict = self._run(base, base, packet, passage, matches)
        if rule is not None and verdict != RETURN:
            return Evaluation(matches=tuple(matches), verdict=verdict, by_policy=False, rule=rule)
        if verdict != RETURN:
            matches.append(Match(chain=base.name, handle=0, verdict=CONTINUE, number=len(base.rules) + 1))
        return Evaluation(matches=tuple(matches), verdict=base.policy, by_policy=True, rule=None)

    def _run(
        self, base: Chain, chain: Chain, packet: Packet, passage: Passage, matches: list[Match]
    ) -> tuple[Rule | None, int]:
        """The rule that ended it and its verdict; (None, CONTINUE) at the end of the chain."""
        for number, rule in enumerate(chain.rules, 1):
            if not rule.matches(packet, passage):
                continue
            told = {"count": CONTINUE, "drop": DROP, "reject": DROP, "return": RETURN}.get(rule.action, ACCEPT)
            verdict = rule.to if rule.action == "jump" else told
            matches.append(Match(chain=chain.name, handle=rule.handle, verdict=verdict, number=number))
            if rule.action == "jump":
                inner = self.chain(base, rule.to)
                ended, verdict = self._run(base, inner, packet, passage, matches)
                if ended is not None and verdict != RETURN:
                    return ended, verdict
                if ended is None:
                    matches.append(Match(chain=inner.name, handle=0, verdict=CONTINUE, number=len(inner.rules) + 1))
            elif rule.action != "count":
                return rule, told
        return None, CONTINUE


def _own_chains() -> list[Chain]:
    """ttrace's tracing table: it marks packets at the first place and shows their headers at the last."""
    mark = Rule(handle=8, action="accept")
    first = [
        Chain(family="inet", table=OWN_TABLE, name=f"{hook}_first", hook=hook, priority=FIRST, rules=[mark])
        for hook in ("prerouting", "output")
    ]
    last = [Chain(family="inet", table=OWN_TABLE, name=f"{hook}_last", hook=hook, priority=LAST) for hook in HOOKS]
    return first + last


OWN_CHAINS: Final = _own_chains()
