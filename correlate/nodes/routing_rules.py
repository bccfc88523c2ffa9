"""Whether a packet meets a routing rule (fib_rule_match of net/core/fib_rules.c, fib4_rule_match, fib6_rule_match)."""

from collections.abc import Iterator

from .namespace_facts import NamespaceFacts, RoutingRule
from .routing_tables import BITS, Packet, network_of


def matches(facts: NamespaceFacts, rule: RoutingRule, packet: Packet) -> bool | None:
    """None where that is not known."""
    said = list(_conditions(facts, rule, packet))
    met = False if False in said else None if None in said else True
    return not met if rule.invert and met is not None else met


def _conditions(facts: NamespaceFacts, rule: RoutingRule, packet: Packet) -> Iterator[bool | None]:
    if rule.iif is not None:
        yield _is_device(facts, rule.iif, packet.iif)
    if rule.oif is not None:
        yield packet.oif is not None and _is_device(facts, rule.oif, packet.oif)
    if rule.mark is not None:
        yield None if packet.mark is None else (packet.mark ^ rule.mark) & rule.mask == 0
    if rule.destination_prefix:
        yield _is_in(packet.destination, rule.destination, rule.destination_prefix, packet.version)
    if rule.source_prefix:
        if packet.source is not None:
            yield _is_in(packet.source, rule.source, rule.source_prefix, packet.version)
        else:
            yield False if packet.source_known else None
    if rule.tos:
        yield None if packet.tos is None else packet.tos == rule.tos
    if rule.protocol is not None:
        yield None if packet.protocol is None else packet.protocol == rule.protocol
    for ports, port in ((rule.source_ports, packet.source_port), (rule.destination_ports, packet.destination_port)):
        if ports is not None:
            yield None if port is None else ports[0] <= port <= ports[1]
    for one in rule.more:
        # Only what belongs to a VRF can meet it.
        yield None if one != "l3mdev" or _is_in_vrf(facts, packet) else False


def _is_device(facts: NamespaceFacts, wanted: str, device: str) -> bool | None:
    if wanted == device:
        return None if _vrf_of(facts, device) else True
    return None if _vrf_of(facts, device) == wanted else False


def _is_in_vrf(facts: NamespaceFacts, packet: Packet) -> bool:
    return any(_vrf_of(facts, device) for device in (packet.iif, packet.oif) if device is not None)


def _vrf_of(facts: NamespaceFacts, device: str) -> str | None:
    """The VRF that an interface belongs to, or is: kernels differ in which of them a rule means."""
    link = facts.links.get(facts.index_of(device) or 0)
    master = facts.links.get(link.master or 0) if link else None
    return next((one.name for one in (link, master) if one is not None and one.kind == "vrf"), None)


def _is_in(address: int, network: str | None, prefix: int, version: int) -> bool | None:
    if not 0 <= prefix <= BITS[version] or network is None:
        return None
    wanted = network_of(network, prefix, version)
    return None if wanted is None else wanted == address >> (BITS[version] - prefix)
