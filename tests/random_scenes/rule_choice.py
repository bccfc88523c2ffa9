"""Which rules the nodes of a scene have, and which services can be called because of them."""

from dataclasses import dataclass
from itertools import count
from random import Random

from .addresses import host_of, network_of, version_of
from .conntrack import Conntrack
from .packets import ICMP, TCP, UDP
from .rules import ACCEPT, DROP, FILTER, MANGLE, NAT_DESTINATION, NAT_SOURCE, RAW, Chain, Rule, Rules
from .topology import OUTSIDE_ADDRESSES, UNROUTED, Device, Host, Space, World

PUBLISHED, INSIDE, PROXIED, PROXY, CLOSED, FORBIDDEN = 8080, 80, 81, 3128, 9, 9001
"""Ports: that a node publishes, of the container behind it, that a node redirects and where to, nobody's, dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a client can call."""

    address: str
    port: int
    where: Space | None
    """Where it is meant to arrive; None for nobody."""
    overlay: bool = False
    """Only from containers that are on the overlay too."""
    tunnel: bool = False
    """Other nodes may reach it through a tunnel."""

    @property
    def version(self) -> int:
        return version_of(self.address)


def choose_rules(world: World, random: Random) -> None:
    """Give most nodes rules, and here and there a container."""
    for host in world.nodes:
        style = random.choice(["iptables", "iptables", "nft", "nft", "legacy", "none"])
        bridge = host.root.device("docker0")
        if style == "none" and bridge is not None and world.same_subnets:
            style = "iptables"  # without MASQUERADE nobody would find the way back
        if style != "none":
            host.root.rules = _node_rules(world, host, bridge, style, random)
        for space in host.containers:
            if random.random() < 0.15:
                space.rules = _container_rules(random)
    for host in world.hosts:
        for space in host.spaces:
            if space.rules is not None:
                space.conntrack = Conntrack(random=random)


def services(world: World, random: Random) -> list[Service]:
    """All that can be called from anywhere, the published ports first."""
    found = []
    for host in world.nodes:
        address, address6 = host.root.address(4) or "", host.root.address(6) or ""
        if host.root.rules is not None:
            for rule in (r for c in host.root.rules.chains for r in c.rules if r.action == "dnat"):
                target = next(s for s in host.containers if s.is_local(rule.to.rpartition(":")[0]))
                found.append(Service(address=address, port=rule.port or 0, where=target))
            if any(r.action == "redirect" for c in host.root.rules.chains for r in c.rules):
                found.append(Service(address=address, port=PROXIED, where=host.root))
        for one in (address, address6):
            found.append(Service(address=one, port=INSIDE, where=host.root))
            found.append(Service(address=one, port=random.choice([CLOSED, FORBIDDEN]), where=host.root))
        for space in host.containers:
            for own in (a for d in space.devices for a in d.addresses if d.name != "lo"):
                one = host_of(own)
                if ":" in one or not world.same_subnets or one.startswith("10.50."):
                    overlay = one.startswith("10.50.")
                    tunnel = overlay or (version_of(one) == 4 and host.root.device("tun0") is not None)
                    found.append(Service(address=one, port=INSIDE, where=space, overlay=overlay, tunnel=tunnel))
    found += [Service(address=one, port=443, where=world.outside) for one in OUTSIDE_ADDRESSES]
    return [*found, Service(address=UNROUTED, port=443, where=None)]


def _node_rules(world: World, host: Host, bridge: Device | None, style: str, random: Random) -> Rules:
    handles = count(10)
    nat = _nat_chains(world, host, bridge, handles, random)
    filters = _filter_chains(bridge, style, handles, random)
    odd = []
    if random.random() < 0.3:
        drop = Rule(handle=next(handles), action="drop", protocol=UDP, port=FORBIDDEN)
        odd.append(Chain(family="ip", table="raw", name="PREROUTING", hook="prerouting", priority=RAW, rules=[drop]))
    if random.random() < 0.3:
        counted = Rule(handle=next(handles), action="count", protocol=random.choice([TCP, UDP, ICMP]))
        chain = Chain(family="ip", table="mangle", name="FORWARD", hook="forward", priority=MANGLE, rules=[counted])
        odd.append(chain)
    return Rules(style=style, chains=[*nat, *filters, *odd])


def _nat_chains(world: World, host: Host, bridge: Device | None, handles: "count[int]", random: Random) -> list[Chain]:
    def base(name: str, priority: int) -> Chain:
        return Chain(family="ip", table="nat", name=name, hook=name.lower(), priority=priority, kind="nat")

    before, output = base("PREROUTING", NAT_DESTINATION), base("OUTPUT", NAT_DESTINATION)
    behind = base("POSTROUTING", NAT_SOURCE)
    found = [before, output, behind]
    if bridge is not None:
        docker = Chain(family="ip", table="nat", name="DOCKER")
        found.append(docker)
        hairpin = random.random() < 0.4
        if not hairpin:
            docker.rules.append(Rule(handle=next(handles), action="return", iif="docker0"))
        for which, space in enumerate(host.containers):
            if random.random() < 0.8:
                to = f"{space.devices[1].address(4)}:{INSIDE}"
                protocol = random.choice([TCP, UDP, None])
                port = PUBLISHED + which
                wanted = [TCP, UDP] if protocol is None else [protocol]
                docker.rules += [
                    Rule(handle=next(handles), action="dnat", to=to, protocol=p, port=port) for p in wanted
                ]
        for chain in (before, output):
            chain.rules.append(Rule(handle=next(handles), action="jump", to="DOCKER", local=True))
        subnet = network_of(bridge.addresses[0])
        if world.same_subnets or random.random() < 0.7:
            source = {"action": "masquerade"}
            if random.random() < 0.25:
                source = {"action": "snat", "to": host.root.devices[1].address(4)}
            behind.rules.append(Rule(handle=next(handles), source=subnet, oif="!docker0", **source))
        if hairpin:
            behind.rules.append(
                Rule(handle=next(handles), action="masquerade", source=subnet, destination=subnet, oif="docker0")
            )
    if random.random() < 0.25:
        before.rules.append(
            Rule(handle=next(handles), action="redirect", to=str(PROXY), protocol=TCP, port=PROXIED, iif="!docker0")
        )
    return found


def _filter_chains(bridge: Device | None, style: str, handles: "count[int]", random: Random) -> list[Chain]:
    family, table = ("inet", "firewall") if style == "nft" else ("ip", "filter")
    found = []
    for name in ("INPUT", "FORWARD", "OUTPUT"):
        chain = Chain(family=family, table=table, name=name, hook=name.lower(), priority=FILTER)
        found.append(chain)
        for refusal in _refusals(random):
            chain.rules.append(Rule(handle=next(handles), **refusal))
    strict = random.random() < 0.3
    if strict:
        chain = found[random.choice([0, 1])]
        chain.policy = DROP
        chain.rules.append(Rule(handle=next(handles), action="accept", established=True))
        for port in (INSIDE, 443, PROXY):
            chain.rules.append(Rule(handle=next(handles), action="accept", port=port, protocol=TCP))
    if bridge is not None and random.random() < 0.6:
        user = Chain(family=family, table=table, name="DOCKER-USER")
        if random.random() < 0.5:
            user.rules.append(Rule(handle=next(handles), action="return"))
        found[1].rules.insert(0, Rule(handle=next(handles), action="jump", to="DOCKER-USER"))
        found.append(user)
    if random.random() < 0.5:
        found[1].rules.append(Rule(handle=next(handles), action="accept"))
    if style != "nft" and random.random() < 0.5:
        found.append(Chain(family="ip6", table="filter", name="FORWARD", hook="forward", priority=FILTER))
    return found


def _refusals(random: Random) -> list[dict[str, object]]:
    """What a chain drops or rejects."""
    kinds = [
        {"protocol": TCP, "port": FORBIDDEN},
        {"protocol": UDP, "port": FORBIDDEN},
        {"destination": "203.0.113.9/32"},
        {"protocol": ICMP},
    ]
    weights = [3, 3, 2, 1]
    chosen = random.choices(kinds, weights, k=random.choice([0, 0, 1, 2]))
    return [{"action": random.choice(["drop", "reject"]), **kind} for kind in chosen]


def _container_rules(random: Random) -> Rules:
    drop = Rule(handle=4, action=random.choice(["drop", "accept"]), protocol=random.choice([TCP, UDP, ICMP]))
    chain = Chain(
        family="inet", table="guard", name="input", hook="input", priority=FILTER, policy=ACCEPT, rules=[drop]
    )
    return Rules(style="nft", chains=[chain])
