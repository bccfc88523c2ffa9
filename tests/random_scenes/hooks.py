"""Netfilter of a namespace: the chains of a hook, conntrack and its translations, in the order of their priorities."""

from dataclasses import dataclass
from random import Random

from .addresses import is_in, network_of
from .conntrack import OTHER_END, SEEN_REPLY, Conntrack, Entry, is_translated, translated
from .happened import ConntrackEvent, Happened, InChain, Rewrite
from .packets import ICMP, ICMPV6, Packet
from .rules import CONNTRACK, DROP, LAST, NAT_DESTINATION, NAT_SOURCE, Chain, Passage, Rule
from .topology import Device, Space
from .travel import Travel

TRANSLATED_AT = {
    "prerouting": ("destination", NAT_DESTINATION),
    "output": ("destination", NAT_DESTINATION),
    "input": ("source", NAT_SOURCE),
    "postrouting": ("source", NAT_SOURCE),
}
"""Which end of a packet a hook translates, and behind which priority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRun:
    """One passage of a hook."""

    space: Space
    hook: str
    iif: Device | None = None
    oif: Device | None = None

    @property
    def translated_end(self) -> str:
        """The end of the packet that may be translated here; empty for none."""
        return TRANSLATED_AT.get(self.hook, ("", 0))[0]

    def passage(self, packet: Packet, tracked: tuple[Entry, int] | None) -> Passage:
        """What its rules may ask."""
        return Passage(
            iif=self.iif.name if self.iif else None,
            oif=self.oif.name if self.oif else None,
            established=tracked is not None and (bool(tracked[0].status & SEEN_REPLY) or packet.is_error),
            local=self.space.is_local(packet.destination),
        )


@dataclass(eq=False, slots=True, kw_only=True)
class Hooks:
    """Runs packets through the hooks of any namespace."""

    happened: Happened
    random: Random

    def run(self, travel: Travel, here: HookRun) -> Rule | bool:
        """True: it goes on. Else its story has ended: False, or the rule when that wants an ICMP error to be sent."""
        if here.space.rules is None:
            return True
        travel.time_us += self.random.uniform(0.5, 3)
        _, translates_at = TRANSLATED_AT.get(here.hook, ("", LAST + 1))
        asked = False
        for chain in here.space.rules.at(here.hook, travel.seen):
            if chain.priority > CONNTRACK:
                self._track(travel, here)
            if chain.priority > translates_at and not asked:
                self._translate(travel, here)
                asked = True
            if chain.kind == "nat" and not _decides(travel, here):
                continue
            passed = self._evaluate(travel, here, chain)
            if passed is not True:
                return passed
        self._track(travel, here)
        if not asked:
            self._translate(travel, here)
        if here.hook in ("input", "postrouting"):
            self._confirm(travel, here.space)
        return True

    def _evaluate(self, travel: Travel, here: HookRun, chain: Chain) -> Rule | bool:
        packet, tracked, space = travel.seen, travel.tracked, here.space
        evaluation = space.rules.evaluate(chain, packet, here.passage(packet, tracked))
        rule = evaluation.rule
        if chain.kind == "nat" and rule is not None:
            self._bind(travel, here, chain, rule)
        known = tracked is not None and chain.priority > CONNTRACK
        travel.time_us += self.random.uniform(0.1, 0.6)
        travel.story.points.append(InChain(
            space=space, chain=chain, time_us=travel.time_us, packet=travel.packet, outer=travel.outer,
            evaluation=evaluation, iif=here.iif, oif=here.oif,
            conntrack=(tracked[0].number, tracked[1], tracked[0].status) if known else None,
        ))  # fmt: skip
        if evaluation.verdict != DROP:
            return True
        name = (chain.family, chain.table, evaluation.matches[-1].chain, rule.handle) if rule else None
        travel.ends("dropped", "rule" if rule else "policy", space, name)
        if tracked is not None and not tracked[0].confirmed:
            space.conntrack.forget(tracked[0])
        return rule if rule is not None and rule.action == "reject" else False

    def _track(self, travel: Travel, here: HookRun) -> None:
        if travel.tracked is not None or here.hook not in ("prerouting", "output"):
            return
        travel.tracked = here.space.conntrack.track(travel.seen)
        if travel.tracked is None:
            return
        entry, direction = travel.tracked
        if direction == 1 and not entry.status & SEEN_REPLY and not travel.seen.is_error:
            entry.status |= SEEN_REPLY
            self._tell(travel, here.space, "update", entry)

    def _confirm(self, travel: Travel, space: Space) -> None:
        if travel.tracked is not None and not travel.tracked[0].confirmed:
            space.conntrack.confirm(travel.tracked[0])
            self._tell(travel, space, "new", travel.tracked[0])

    def _tell(self, travel: Travel, space: Space, what: str, entry: Entry) -> None:
        event = ConntrackEvent(
            space=space, time_us=travel.time_us, what=what, entry=entry, reply=entry.reply, status=entry.status
        )
        self.happened.conntrack.append(event)

    def _bind(self, travel: Travel, here: HookRun, chain: Chain, rule: Rule) -> None:
        """What a rule of a nat chain makes of the connection."""
        entry = travel.tracked[0]
        packet = travel.seen
        address, port = packet.destination, packet.destination_port
        if rule.action == "dnat":
            address, _, text = rule.to.rpartition(":") if rule.to.count(":") == 1 else (rule.to, "", "")
            port = int(text) if text else port
        elif rule.action == "redirect":
            address = here.iif.address(packet.version) if here.iif else {4: "127.0.0.1", 6: "::1"}[packet.version]
            port = int(rule.to)
        elif rule.action in ("masquerade", "snat"):
            address = rule.to or here.oif.address(packet.version)
            port = _free_port(here.space.conntrack, entry, address, packet.source_port, self.random)
        else:
            return
        where = next(c for c in here.space.rules.chains if rule in c.rules and c.table == chain.table)
        end = here.translated_end
        entry.makers[end] = rule.action, (chain.family, chain.table, where.name, rule.handle)
        entry.translate(end, address, port)

    @staticmethod
    def _translate(travel: Travel, here: HookRun) -> None:
        """Do to the packet what is bound."""
        end = here.translated_end
        if travel.tracked is None or not end:
            return
        entry, direction = travel.tracked
        if direction == 0:
            entry.bound.add(end)
        if not is_translated(entry, direction, end):
            return
        before, after = travel.seen, translated(travel.seen, entry, direction, end)
        travel.become(after)
        old, new = ((getattr(p, end), getattr(p, f"{end}_port")) for p in (before, after))
        if old == new:
            return
        made = end if direction == 0 else OTHER_END[end]
        kind, rule = entry.makers[made]
        travel.story.rewrites.append(Rewrite(
            space=here.space, end=end, old=old, new=new, kind=kind, undo=direction == 1, rule=rule,
            position=len(travel.story.points),
        ))  # fmt: skip


def _decides(travel: Travel, here: HookRun) -> bool:
    """nat chains see the first packet of a connection only."""
    if travel.tracked is None or travel.seen.is_error:
        return False
    entry, direction = travel.tracked
    return direction == 0 and not entry.confirmed and here.translated_end not in entry.bound


def _free_port(conntrack: Conntrack, entry: Entry, address: str, port: int, random: Random) -> int:
    """The same source port, unless the way back of another connection would be the same."""
    protocol, source, source_port, _, _ = entry.reply
    while True:
        from_port = port if protocol in (ICMP, ICMPV6) else source_port
        if conntrack.is_free((protocol, source, from_port, address, port)):
            return port
        port = random.randrange(1024, 65536)


def same_network(device: Device, address: str) -> bool:
    """Whether an address is on the wire behind a device."""
    return any(is_in(address, network_of(own)) for own in device.addresses)
