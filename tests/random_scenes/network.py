"""The way of a packet: out of a socket, across bridges, veths, routers, tunnels and wires, to where it ends."""

from dataclasses import dataclass, field, replace
from random import Random

from .happened import Story
from .hooks import HookRun, Hooks, same_network
from .packets import (
    ICMP,
    ICMPV6,
    PORT_UNREACHABLE,
    TCP,
    TIME_EXCEEDED,
    UDP,
    VXLAN_PORT,
    Packet,
    encoded,
    ethernet,
    frames,
    gre,
    ipip,
    vxlan,
)
from .rules import Rule
from .topology import Device, Space, World
from .travel import Notes, Travel
from .wires import Weather, cut, is_super_packet, put_together


@dataclass(eq=False, slots=True, kw_only=True)
class Network:
    """Lets packets travel through a world, and notes what happens."""

    world: World
    random: Random
    weather: Weather
    notes: Notes
    hooks: Hooks
    _held: list[tuple[Travel, Device]] = field(default_factory=list)
    """Segments that a card holds back, to put them together."""

    def send(
        self,
        space: Space,
        packet: Packet,
        time_us: float,
        *,
        connection: int,
        forward: bool,
        about: Travel | None = None,
        more: bool = False,
    ) -> Story:
        """A socket of `space` sends a packet. `about`: the one that an ICMP error is about; `more`: others follow at
        once, with which a card may put it together."""
        story = self.notes.story(packet, time_us, connection, forward, about=about.story if about else None)
        travel = Travel(story=story, time_us=time_us, packet=packet, partial=self.weather.offload)
        if about is not None and about.tracked is not None:
            travel.tracked = about.tracked[0], 1 - about.tracked[1]
        self._from_here(travel, space)
        while self._held and not more:
            held, self._held = self._held, []
            for arrived, target in put_together(held, self.notes):
                self._receive(arrived, target)
        return story

    # --- the IP layer ------------------------------------------------------------------------------------------------

    def _from_here(self, travel: Travel, space: Space) -> None:
        """Out of a socket, or out of a tunnel's device."""
        self.notes.wait(travel, space)
        way = space.way_to(travel.seen.destination)
        local = space.is_local(travel.seen.destination)
        if way is None:
            return travel.ends("lost", "no route", space)
        device = space.devices[0] if local else way[0]
        if not self._hook(travel, space, "output", oif=device):
            return None
        way = space.way_to(travel.seen.destination)  # DNAT may lead elsewhere
        local = space.is_local(travel.seen.destination)
        device, next_hop = (space.devices[0], "") if local else way or (device, "")
        if not self._hook(travel, space, "postrouting", oif=device):
            return None
        if local:
            self.notes.at(travel, device, "out")
            self.notes.at(travel, device, "in")
            return self._from_device(travel, device)
        return self._out(travel, device, next_hop)

    def _from_device(self, travel: Travel, device: Device, *, prerouted: bool = False) -> None:
        """Into the IP layer of a namespace."""
        space = device.space
        if not prerouted and not self._hook(travel, space, "prerouting", iif=device):
            return None
        packet = travel.seen
        if space.is_local(packet.destination):
            if not self._hook(travel, space, "input", iif=device):
                return None
            return self._deliver(travel, space)
        way = space.way_to(packet.destination) if space.is_root else None
        if way is None:
            return travel.ends("lost", "no route", space)
        if packet.ttl <= 1:
            travel.ends("dropped", "ttl", space)
            return self.complain(travel, space, TIME_EXCEEDED[packet.version], device.address(packet.version))
        travel.become(self._forwarded(packet, space))
        if not self._hook(travel, space, "forward", iif=device, oif=way[0]):
            return None
        if not self._hook(travel, space, "postrouting", iif=None, oif=way[0]):
            return None
        return self._out(travel, *way)

    def _forwarded(self, packet: Packet, space: Space) -> Packet:
        """Conntrack puts datagrams together, and IPv6 cuts them under another identification (ip6_fragment)."""
        new_id = packet.version == 6 and space.rules is not None and len(frames(packet)) > 1
        ip_id = self.random.randrange(1, 65536) if new_id else packet.ip_id
        return replace(packet, ttl=packet.ttl - 1, ip_id=ip_id)

    def _hook(
        self, travel: Travel, space: Space, hook: str, iif: Device | None = None, oif: Device | None = None
    ) -> bool:
        """Whether the packet passes a hook; where a rule rejects it, its sender is told."""
        passed = self.hooks.run(travel, HookRun(space=space, hook=hook, iif=iif, oif=oif))
        self.notes.is_there(travel, space)
        if isinstance(passed, Rule):
            packet = travel.seen
            own = iif.address(packet.version) if iif else None
            source = packet.destination if space.is_local(packet.destination) else own
            self.complain(travel, space, PORT_UNREACHABLE[packet.version], source)
            return False
        return passed

    def complain(self, travel: Travel, space: Space, icmp: tuple[int, int], source: str | None) -> None:
        """Send an ICMP error about a packet, unless it is one itself."""
        packet = travel.seen
        if packet.is_error or travel.outer is not None or source is None:
            return
        protocol = ICMP if packet.version == 4 else ICMPV6
        ip_id = self.random.randrange(1, 65536) if packet.version == 4 else 0
        error = Packet(
            protocol=protocol, source=source, destination=packet.source, icmp=icmp, about=packet, ip_id=ip_id
        )
        story = travel.story
        time_us = travel.time_us + self.random.uniform(5, 40)
        self.send(space, error, time_us, connection=story.connection, forward=not story.forward, about=travel)

    def _deliver(self, travel: Travel, space: Space) -> None:
        if travel.outer is None:
            travel.story.arrived = travel.packet
            return travel.ends("delivered", "", space)
        outer, travel.outer, travel.tracked = travel.outer, None, None
        kind = "vxlan" if outer.destination_port == VXLAN_PORT else "gre" if outer.protocol != 4 else "ipip"
        device = next(d for d in space.devices if d.tunnel is not None and d.tunnel.kind == kind)
        if device.master is not None:
            travel.next_hop = travel.packet.destination  # all of an overlay is one wire
            return self._into_bridge(travel, device)
        self.notes.at(travel, device, "in")
        return self._from_device(travel, device)

    # --- devices -----------------------------------------------------------------------------------------------------

    def _out(self, travel: Travel, device: Device, next_hop: str) -> None:
        """Out of a device, towards the next hop."""
        travel.next_hop = next_hop
        self.notes.at(travel, device, "out")
        if device.kind == "bridge":
            return self._out_of_bridge(travel, device, next_hop)
        travel.tracked = None  # a namespace's entry stays in it
        if device.tunnel is not None:
            return self._encapsulate(travel, device, next_hop)
        if device.peer is not None:
            return self._into_bridge(travel, device.peer)
        return self._across(travel, device, next_hop)

    def _into_bridge(self, travel: Travel, port: Device) -> None:
        """Into a port of a bridge: to the bridge itself, or on to another port."""
        self.notes.at(travel, port, "in")
        bridge, space = port.master, port.space
        to_bridge, sent_to = bridge.holds(travel.next_hop), travel.seen.destination
        if space.bridge_nf and not self._hook(travel, space, "prerouting", iif=bridge):
            return None
        destination = travel.seen.destination
        back = destination != sent_to and same_network(bridge, destination) and not space.is_local(destination)
        if to_bridge and not (back and space.bridge_nf):
            self.notes.at(travel, bridge, "in")
            return self._from_device(travel, bridge, prerouted=space.bridge_nf)
        if to_bridge:
            # br_nf_pre_routing_finish_bridge: DNAT led back into the bridge, which is shown the packet once more.
            travel.next_hop = destination
            self.notes.at(travel, bridge, "out")
        if space.bridge_nf:
            if not self._hook(travel, space, "forward", iif=bridge, oif=bridge):
                return None
            if not self._hook(travel, space, "postrouting", oif=bridge):
                return None
        return self._out_of_bridge(travel, bridge, travel.next_hop)

    def _out_of_bridge(self, travel: Travel, bridge: Device, next_hop: str) -> None:
        ports = [device for device in bridge.space.devices if device.master is bridge]
        port = next((p for p in ports if p.peer is not None and p.peer.holds(next_hop)), None)
        port = port or next((p for p in ports if p.tunnel is not None and next_hop in p.tunnel.remotes), None)
        travel.tracked = None
        if port is None:
            return travel.ends("lost", "no such host", bridge.space)
        self.notes.at(travel, port, "out")
        if port.tunnel is not None:
            return self._encapsulate(travel, port, next_hop)
        self.notes.at(travel, port.peer, "in")
        return self._from_device(travel, port.peer)

    def _encapsulate(self, travel: Travel, device: Device, next_hop: str) -> None:
        tunnel = device.tunnel
        if travel.outer is not None or next_hop not in tunnel.remotes:
            return travel.ends("lost", "no such host", device.space)
        ip_id = self.random.randrange(1, 65536)
        port = 40000 + travel.story.connection % 20000
        outer = Packet(protocol=UDP, source=tunnel.local, destination=tunnel.remotes[next_hop], ip_id=ip_id)
        travel.outer = replace(outer, source_port=port) if tunnel.kind == "vxlan" else outer
        travel.outer = self._around(travel, device)
        return self._from_here(travel, device.space)

    @staticmethod
    def _around(travel: Travel, device: Device) -> Packet:
        inner = encoded(travel.packet, partial=travel.partial)
        if device.tunnel.kind == "vxlan":
            return vxlan(travel.outer, ethernet(inner, device.mac, b"\2\x42\0\0\0\1"), device.tunnel.network)
        return (gre if device.tunnel.kind == "gre" else ipip)(travel.outer, inner)

    # --- wires -------------------------------------------------------------------------------------------------------

    def _across(self, travel: Travel, device: Device, next_hop: str) -> None:
        """Over the wire behind an uplink."""
        target = self.world.on_lan(device.lan, next_hop)
        if target is None:
            return travel.ends("lost", "no such host", f"wire {device.lan}")
        pieces = len(frames(travel.seen))
        is_lost = self.random.random() < self.weather.loss * pieces
        if is_lost and (pieces == 1 or self.random.random() < 0.3):
            return travel.ends("lost", "wire", f"wire {device.lan}")
        travel.time_us += self.weather.delay_us * self.random.uniform(0.7, 1.6 if self.weather.reorders else 0.9)
        travel.partial = False
        if is_lost:
            self.notes.at(travel, target, "in", missing=self.random.randrange(pieces))
            return travel.ends("lost", "a fragment", f"wire {device.lan}")
        if is_super_packet(travel) and self.weather.segments != "kept":
            for segment in cut(travel, target, self.weather, self.notes, self.random):
                self._receive(segment, target)
            return None
        if self.weather.merges and travel.packet.protocol == TCP and travel.packet.size and travel.outer is None:
            self._held.append((travel, target))
            return None
        return self._receive(travel, target)

    def _receive(self, travel: Travel, target: Device) -> None:
        travel.overtakes = self.weather.reorders
        self.notes.at(travel, target, "in")
        self._from_device(travel, target)
