"""The world of a scene: nodes, their network namespaces and devices, and how they are wired."""

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from .addresses import host_of, is_in, network_of, prefix_of, version_of

if TYPE_CHECKING:
    from .conntrack import Conntrack
    from .rules import Rules

OUTSIDE = "outside"
"""The host behind the uplinks, on which nothing is ever captured."""
OUTSIDE_ADDRESSES = ("203.0.113.1", "203.0.113.9", "2001:db8:f::1")
UNROUTED = "203.0.113.66"
"""An address on the outside that nobody has."""
EVERYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(eq=False, slots=True, kw_only=True)
class Device:
    """A network interface."""

    name: str
    index: int
    space: "Space"
    kind: str | None = None
    """What the kernel calls it; None for hardware."""
    addresses: list[str] = field(default_factory=list)
    """With their prefixes: `10.0.0.1/24`."""
    master: "Device | None" = None
    """The bridge it is a port of."""
    peer: "Device | None" = None
    """The other end of a veth pair."""
    lan: int | None = None
    """The wire that an uplink hangs on."""
    tunnel: "Tunnel | None" = None

    @property
    def mac(self) -> bytes:
        return bytes(
            [2, 0x42, len(self.space.label), ord(self.space.host.name[0]), ord(self.space.label[-1]), self.index]
        )

    def holds(self, address: str) -> bool:
        return any(host_of(own) == address for own in self.addresses)

    def address(self, version: int) -> str | None:
        """Its first address of an IP version."""
        return next((host_of(a) for a in self.addresses if version_of(a) == version), None)


@dataclass(slots=True, kw_only=True)
class Tunnel:
    """What a tunnel device puts around a packet."""

    kind: str
    """`vxlan`, `gre` or `ipip`."""
    local: str
    remotes: dict[str, str]
    """Next hop inside the tunnel to the address of the node that has it."""
    network: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    to: str
    """A network."""
    device: Device
    gateway: str | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class Space:
    """A network namespace: the root of a host, or a container."""

    host: "Host"
    label: str
    devices: list[Device] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    bridge_nf: bool = False
    """net.bridge.bridge-nf-call-iptables."""
    rules: "Rules | None" = None
    conntrack: "Conntrack | None" = None
    """Where there are rules, there is conntrack."""

    @property
    def is_root(self) -> bool:
        return self.label == "root"

    def __str__(self) -> str:
        return f"{self.host.name}/{self.label}"

    def device(self, name: str) -> Device | None:
        return next((device for device in self.devices if device.name == name), None)

    def add(self, name: str, *addresses: str, **facts: object) -> Device:
        device = Device(name=name, index=len(self.devices) + 1, space=self, addresses=list(addresses), **facts)
        self.devices.append(device)
        self.routes += [Route(network_of(address), device) for address in addresses]
        return device

    def route_by(self, device: Device, gateway: str, *networks: str) -> None:
        self.routes += [Route(network, device, gateway) for network in networks]

    def is_local(self, address: str) -> bool:
        return any(device.holds(address) for device in self.devices)

    def way_to(self, address: str) -> tuple[Device, str] | None:
        """Device and next hop towards an address, by the longest prefix; None where there is no route."""
        fitting = [route for route in self.routes if is_in(address, route.to)]
        if not fitting:
            return None
        route = max(fitting, key=lambda r: prefix_of(r.to))
        return route.device, route.gateway or address

    def address(self, version: int) -> str | None:
        """The first address of its first device that has one, lo aside."""
        return next((a for d in self.devices if d.name != "lo" and (a := d.address(version))), None)


@dataclass(eq=False, slots=True, kw_only=True)
class Host:
    """A node, or the outside."""

    name: str
    spaces: list[Space] = field(default_factory=list)
    """The root first."""

    @property
    def root(self) -> Space:
        return self.spaces[0]

    @property
    def containers(self) -> list[Space]:
        return self.spaces[1:]


@dataclass(eq=False, slots=True, kw_only=True)
class World:
    """All hosts, the outside last."""

    hosts: list[Host]
    same_subnets: bool
    """Every node's containers have the same IPv4 addresses, as Docker gives them."""

    @property
    def nodes(self) -> list[Host]:
        return self.hosts[:-1]

    @property
    def outside(self) -> Space:
        return self.hosts[-1].root

    def on_lan(self, lan: int, address: str) -> Device | None:
        """The device on a wire that has an address."""
        uplinks = (d for host in self.hosts for d in host.root.devices if d.lan == lan)
        return next((device for device in uplinks if device.holds(address)), None)


def build_world(random: Random) -> World:
    """One to four nodes in a row or on one wire, with up to three containers each, and maybe tunnels between them."""
    count = random.choice([1, 2, 2, 2, 3, 3, 4])
    in_a_row = count >= 3 and random.random() < 0.6
    world = World(hosts=[], same_subnets=random.random() < 0.4)
    for number in range(count):
        lans = [0] if not in_a_row or number == 0 else [0, 1] if number == 1 else [1]
        world.hosts.append(_node(world, random, number, lans))
    world.hosts.append(_outside(1 if in_a_row else 0))
    _route(world)
    if count > 1 and random.random() < 0.35:
        _overlay(world, random)
    if count > 1 and not world.same_subnets and random.random() < 0.5:
        _tunnel(world, random)
    return world


def lan_address(lan: int, number: int, version: int = 4) -> str:
    if version == 6:
        return f"2001:db8:{lan + 1}::{number:x}"
    return f"{('192.0.2', '198.51.100')[lan]}.{number}"


def _uplink(space: Space, name: str, lan: int, number: int) -> Device:
    addresses = f"{lan_address(lan, number)}/24", f"{lan_address(lan, number, 6)}/64"
    return space.add(name, *addresses, lan=lan)


def _node(world: World, random: Random, number: int, lans: list[int]) -> Host:
    host = Host(name="abcd"[number])
    root = Space(host=host, label="root", bridge_nf=random.random() < 0.5)
    host.spaces.append(root)
    root.add("lo", "127.0.0.1/8", "::1/128", kind="loopback")
    for position, lan in enumerate(lans):
        _uplink(root, f"eth{position}", lan, 10 + number)
    containers = random.choice([0, 1, 1, 2, 3])
    if containers:
        subnet = 17 if world.same_subnets else 17 + number
        bridge = root.add("docker0", f"172.{subnet}.0.1/16", f"fd00:{number + 1}::1/64", kind="bridge")
        for which in range(containers):
            _container(host, bridge, which)
    return host


def _container(host: Host, bridge: Device, which: int) -> None:
    space = Space(host=host, label=f"web{which + 1}")
    host.spaces.append(space)
    space.add("lo", "127.0.0.1/8", "::1/128", kind="loopback")
    first, first6 = (host_of(address).removesuffix("1") for address in bridge.addresses)
    addresses = f"{first}{2 + which}/16", f"{first6}{2 + which}/64"
    inside = space.add("eth0", *addresses, kind="veth")
    inside.peer = host.root.add(f"veth{which + 1}", kind="veth", master=bridge, peer=inside)
    for address, everywhere in zip(bridge.addresses, EVERYWHERE, strict=True):
        space.route_by(inside, host_of(address), everywhere)


def _outside(lan: int) -> Host:
    host = Host(name=OUTSIDE)
    root = Space(host=host, label="root")
    host.spaces.append(root)
    root.add("lo", *(f"{a}/{128 if ':' in a else 32}" for a in OUTSIDE_ADDRESSES), kind="loopback")
    _uplink(root, "eth0", lan, 254)
    return host


def _route(world: World) -> None:
    """Everybody's default route leads to the outside; across the router in a row of nodes; where subnets differ, there
    are routes to them."""
    for host in world.hosts:
        mine = {device.lan for device in host.root.devices if device.lan is not None}
        if host is not world.hosts[-1]:
            for network in EVERYWHERE:
                _towards(world, host, world.outside, mine, network)
        for other in world.hosts:
            if other is host:
                continue
            bridge = other.root.device("docker0")
            for address in bridge.addresses if bridge else []:
                if ":" in address or not world.same_subnets:
                    _towards(world, host, other.root, mine, network_of(address))
            if not mine & _lans(other.root):
                for lan in _lans(other.root):
                    for version in (4, 6):
                        network = network_of(f"{lan_address(lan, 1, version)}/{24 if version == 4 else 64}")
                        _towards(world, host, other.root, mine, network)


def _lans(space: Space) -> set[int]:
    return {device.lan for device in space.devices if device.lan is not None}


def _towards(world: World, host: Host, target: Space, mine: set[int], network: str) -> None:
    """A route by the target itself, or by the router that is on both wires."""
    shared = mine & _lans(target)
    via = target if shared else next(h.root for h in world.hosts if len(_lans(h.root)) == 2)
    lan = min(shared or mine)
    device = next(d for d in host.root.devices if d.lan == lan)
    gateway = next(d for d in via.devices if d.lan == lan)
    host.root.route_by(device, gateway.address(version_of(network)) or "", network)


def _overlay(world: World, random: Random) -> None:
    """A VXLAN over all nodes that have containers: each container gets a second interface."""
    members = [host for host in world.nodes if host.containers]
    if len(members) < 2:
        return
    network, number = random.choice([42, 4097]), 0
    remotes: dict[str, str] = {}
    for host in members:
        bridge = host.root.add("br-ov", kind="bridge")
        local = host.root.devices[1].address(4) or ""
        tunnel = Tunnel(kind="vxlan", local=local, remotes=remotes, network=network)
        host.root.add("vxlan0", kind="vxlan", master=bridge, tunnel=tunnel)
        for which, space in enumerate(host.containers):
            number += 1
            inside = space.add("eth1", f"10.50.0.{number}/24", kind="veth")
            inside.peer = host.root.add(f"vethov{which + 1}", kind="veth", master=bridge, peer=inside)
            remotes[f"10.50.0.{number}"] = local


def _tunnel(world: World, random: Random) -> None:
    """GRE or IPIP between the first and the last node; what goes to each other's containers goes through it."""
    ends = world.nodes[0], world.nodes[-1]
    kind = random.choice(["gre", "ipip"])
    for which, (host, other) in enumerate((ends, ends[::-1])):
        near, far = f"10.60.0.{1 + which}", f"10.60.0.{2 - which}"
        remote = other.root.devices[1].address(4) or ""
        local = host.root.devices[1].address(4) or ""
        tunnel = Tunnel(kind=kind, local=local, remotes={far: remote})
        device = host.root.add("tun0", f"{near}/30", kind=kind, tunnel=tunnel)
        bridge = other.root.device("docker0")
        if bridge:
            network = network_of(bridge.addresses[0])
            host.root.routes = [r for r in host.root.routes if r.to != network]
            host.root.route_by(device, far, network)
