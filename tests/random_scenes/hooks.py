"""Netfilter of one namespace: the chains of a hook, conntrack and its translations, in the order of their priorities."""

from dataclasses import dataclass
from random import Random

from .addresses import is_in, network_of
from .conntrack import SEEN_REPLY, Conntrack, Entry, is_translated, translated
from .happened import ConntrackEvent, End, Happened, InChain, Rewrite, Story
from .packets import ICMP, ICMPV6, Packet
from .rules import CONNTRACK, DROP, NAT_DESTINATION, NAT_SOURCE, Chain, Passage, Rule
from .topology import Device, Space

TRANSLATED_AT = {
    "prerouting": ("destination", NAT_DESTINATION),
    "output": ("destination", NAT_DESTINATION),
    "input": ("source", NAT_SOURCE),
    "postrouting": ("source", NAT_SOURCE),
}
"""Which end of a packet a hook translates, and behind which priority."""


@dataclass(eq=False, slots=True, kw_only=True)
class Travel:
    """A packet under way."""

    story: Story
    time_us: float
    packet: Packet
    outer: Packet | None = None
    """The datagram around it, while it is in a tunnel."""
    partial: bool = False
    tracked: tuple[Entry, int] | None = None
    """Its conntrack entry in the namespace it is in, and its direction there."""
    next_hop: str = ""
    overtakes: bool = False
    """It came over a wire that changes the order of packets."""

    @property
    def seen(self) -> Packet:
        """What the IP layer handles: in a tunnel, the datagram around it."""
        return self.outer or self.packet

    def become(self, packet: Packet) -> None:
        if self.outer is None:
            self.packet = packet
        else:
            self.outer = packet

    def ends(self, outcome: str, reason: str, place: object, rule: tuple[str, str, str, int] | None = None) -> None:
        self.story.end = End(outcome=outcome, reason=reason, place=str(place), rule=rule, time_us=self.time_us)


@dataclass(eq=False, slots=True, kw_only=True)
class Hooks:
    """Runs packets through the hooks of any namespace."""

    happened: Happened
    random: Random

    def pass_(
        self, travel: Travel, space: Space, hook: str, iif: Device | None = None, oif: Device | None = None
    ) -> Rule | bool:
        """True: it goes on. Else its story has ended: False, or the rule when that wants an ICMP error to be sent."""
        if space.rules is None:
            return True
        travel.time_us += self.random.uniform(0.5, 3)
        end, at = TRANSLATED_AT.get(hook, ("", 10**6))
        asked = False
        for chain in space.rules.at(hook, travel.seen):
            if chain.priority > CONNTRACK:
                self._track(travel, space, hook)
            if chain.priority > at and not asked:
                self._translate(travel, space, end)
                asked = True
            if chain.kind == "nat" and not self._decides(travel, end):
                continue
            rule = self._evaluate(travel, space, chain, iif, oif, end)
            if rule is not True:
                return rule
        self._track(travel, space, hook)
        if end and not asked:
            self._translate(travel, space, end)
        if hook in ("input", "postrouting"):
            self._confirm(travel, space)
        return True

    def _evaluate(
        self, travel: Travel, space: Space, chain: Chain, iif: Device | None, oif: Device | None, end: str
    ) -> Rule | bool:
        packet, tracked = travel.seen, travel.tracked
        passage = Passage(
            iif=iif.name if iif else None, oif=oif.name if oif else None,
            established=tracked is not None and (bool(tracked[0].status & SEEN_REPLY) or packet.is_error),
            local=space.is_local(packet.destination),
        )  # fmt: skip
        evaluation = space.rules.evaluate(chain, packet, passage)
        if chain.kind == "nat" and evaluation.rule is not None:
            self._bind(travel, space, chain, evaluation.rule, end, iif, oif)
        known = tracked is not None and chain.priority > CONNTRACK
        travel.time_us += self.random.uniform(0.1, 0.6)
        travel.story.points.append(InChain(
            space=space, chain=chain, time_us=travel.time_us, packet=travel.packet, outer=travel.outer,
            evaluation=evaluation, iif=iif, oif=oif,
            conntrack=(tracked[0].number, tracked[1], tracked[0].status) if known else None,
        ))  # fmt: skip
        if evaluation.verdict != DROP:
            return True
        rule = evaluation.rule
        name = (chain.family, chain.table, evaluation.matches[-1].chain, rule.handle) if rule else None
        travel.ends("dropped", "rule" if rule else "policy", space, name)
        if tracked is not None and not tracked[0].confirmed:
            space.conntrack.forget(tracked[0])
        return rule if rule is not None and rule.action == "reject" else False

    def _track(self, travel: Travel, space: Space, hook: str) -> None:
        if travel.tracked is not None or hook not in ("prerouting", "output"):
            return
        travel.tracked = space.conntrack.track(travel.seen)
        if travel.tracked is None:
            return
        entry, direction = travel.tracked
        if direction == 1 and not entry.status & SEEN_REPLY and not travel.seen.is_error:
            entry.status |= SEEN_REPLY
            self._tell(travel, space, "update", entry)

    def _confirm(self, travel: Travel, space: Space) -> None:
        if travel.tracked is not None and not travel.tracked[0].confirmed:
            space.conntrack.confirm(travel.tracked[0])
            self._tell(travel, space, "new", travel.tracked[0])

    def _tell(self, travel: Travel, space: Space, what: str, entry: Entry) -> None:
        event = ConntrackEvent(
            space=space, time_us=travel.time_us, what=what, entry=entry, reply=entry.reply, status=entry.status
        )
        self.happened.conntrack.append(event)

    def _decides(self, travel: Travel, end: str) -> bool:
        """nat chains see the first packet of a connection only."""
        if travel.tracked is None or travel.seen.is_error:
            return False
        entry, direction = travel.tracked
        return direction == 0 and not entry.confirmed and end not in entry.bound

    def _bind(
        self, travel: Travel, space: Space, chain: Chain, rule: Rule, end: str, iif: Device | None, oif: Device | None
    ) -> None:
        entry = travel.tracked[0]
        packet = travel.seen
        address, port = packet.destination, packet.destination_port
        if rule.action == "dnat":
            address, _, text = rule.to.rpartition(":") if rule.to.count(":") == 1 else (rule.to, "", "")
            port = int(text) if text else port
        elif rule.action == "redirect":
            address = iif.address(packet.version) if iif else {4: "127.0.0.1", 6: "::1"}[packet.version]
            port = int(rule.to)
        elif rule.action in ("masquerade", "snat"):
            address = rule.to or oif.address(packet.version)
            port = _free_port(space.conntrack, entry, address, packet.source_port, self.random)
        else:
            return
        where = next(c for c in space.rules.chains if rule in c.rules and c.table == chain.table)
        entry.makers[end] = rule.action, (chain.family, chain.table, where.name, rule.handle)
        entry.translate(end, address, port)

    def _translate(self, travel: Travel, space: Space, end: str) -> None:
        if travel.tracked is None:
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
        made = end if direction == 0 else {"source": "destination", "destination": "source"}[end]
        kind, rule = entry.makers[made]
        travel.story.rewrites.append(Rewrite(
            space=space, end=end, old=old, new=new, kind=kind, undo=direction == 1, rule=rule,
            position=len(travel.story.points),
        ))  # fmt: skip


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
