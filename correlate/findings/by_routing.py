"""Packets that the routing of a namespace gave up: what its recorded rules, routes and settings say of them."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final, NamedTuple

import numpy as np

from ..netfilter.numbers import Hook
from ..nodes.namespace_facts import NamespaceFacts, Where
from ..nodes.routing import NO_ROUTE, ReversePath, RouteFound, lookup, reverse_path
from ..outcomes.kinds import Outcome, Reason
from ..result.words import address_text
from .facts import Facts, Rows
from .grouping import groups
from .kinds import Kind
from .seen import Extent, Seen
from .values import Evidence
from .words import frames_of, node_of, subject_of, where

_OPEN: Final = (Reason.BEHIND_HOOK, Reason.ICMP)
"""All of prerouting let it pass, and no later hook saw it; or it was given up with an ICMP error."""


class Cause(NamedTuple):
    """Why routing gives a packet up."""

    kind: Kind
    why: str
    evidence: tuple[Evidence, ...]
    sure: bool


class _Packet(NamedTuple):
    """What routing was asked, of the first packet of a group."""

    at: str
    facts: NamespaceFacts
    interface: str
    source: str
    destination: str


def given_up_by_routing(facts: Facts) -> Iterator[Seen]:
    """`martian`, `reverse_path`, `no_route`, `forwarding_off`: of packets that passed prerouting and came no further.

    Behind that hook the kernel looks the route up, and the way back (net/ipv4/ip_input.c, fib_frontend.c).
    """
    result, outcomes = facts.result, facts.result.outcomes
    gone = np.isin(outcomes.reason, _OPEN) & (outcomes.outcome != Outcome.DELIVERED) & facts.last_is_told & facts.own
    paths = np.flatnonzero(gone)
    said = facts.said_at(facts.last[paths])
    inside = said["hook"] == Hook.PREROUTING
    paths, said = paths[inside], said[inside]
    last = result.sightings.take(facts.last[paths])
    ends = [last[f"{end}_{half}"] for end in ("source", "destination") for half in ("high", "low")]
    for one in groups(facts, paths, last["namespace"], said["input_index"], *ends):
        sighting = int(facts.last[one[0]])
        cause = cause_of(facts, sighting, int(facts.said_at(facts.last[one[:1]])["input_index"][0]))
        if cause is not None:
            yield _seen(facts, one, cause)


def cause_of(facts: Facts, sighting: int, input_index: int) -> Cause | None:
    """Why routing gives up a packet as it was at this sighting, if it came in by that interface; None where what was
    recorded names nothing that forbids it."""
    cause = _cause_at(facts, sighting, input_index, at_stop=False)
    if cause is None:
        return None
    later = _cause_at(facts, sighting, input_index, at_stop=True)
    # Which of both held for the packet is not known where they differ.
    return cause._replace(sure=cause.sure and later is not None and later.why == cause.why)


def _cause_at(facts: Facts, sighting: int, input_index: int, *, at_stop: bool) -> Cause | None:
    """By what was recorded when the capture began, or when it ended."""
    packet = _asked(facts, sighting, input_index, at_stop=at_stop)
    return _cause(facts, packet) if packet is not None else None


def _asked(facts: Facts, sighting: int, index: int, *, at_stop: bool) -> _Packet | None:
    row = facts.result.sightings[sighting]
    namespace = facts.result.topology.namespaces[int(row["namespace"])]
    known = facts.result.surroundings.of(namespace.node, namespace.label, at_stop=at_stop)
    interface = known.interface(index)
    if interface is None or known.routes is None:
        return None
    source, destination = (
        address_text(int(row[f"{end}_high"]), int(row[f"{end}_low"])) for end in ("source", "destination")
    )
    return _Packet(where(namespace.node, namespace.label), known, interface, source, destination)


def _cause(facts: Facts, packet: _Packet) -> Cause | None:
    """The first of the kernel's questions that it fails, in their order."""
    if (martian := _martian(packet)) is not None:
        return martian
    back = reverse_path(packet.facts, packet.source, packet.interface, destination=packet.destination, mark=None)
    if back is not None and back.passes is False:
        return _reverse_path(facts, packet, back)
    found = lookup(packet.facts, packet.destination, source=packet.source, iif=packet.interface, mark=None)
    if found is None:
        return None
    if found.is_rejected:
        return _no_route(facts, packet, found)
    if found.type == "unicast" and _forwards(packet) == 0:
        version = ip_address(packet.destination).version
        setting = _forwarding(packet, version)
        why = f"{packet.at} does not forward: {setting} is 0, and {packet.destination} is not its own address"
        return Cause(Kind.FORWARDING_OFF, why, _settings(facts, packet, setting), found.sure)
    return None


def _martian(packet: _Packet) -> Cause | None:
    source, destination = ip_address(packet.source), ip_address(packet.destination)
    if source.version == 6:
        return None
    local = packet.facts.of_interface("route_localnet", packet.interface)
    for address, what in ((source, "from"), (destination, "to")):
        if address.is_loopback and packet.interface != "lo" and local == 0:
            why = (
                f"{packet.at} takes nothing {what} {address} that comes in by {packet.interface}: 127.0.0.0/8 stays on "
                f"lo while net.ipv4.conf.{packet.interface}.route_localnet is 0"
            )
            return Cause(Kind.MARTIAN, why, (), sure=True)
    if source.is_multicast or packet.source in ("0.0.0.0", "255.255.255.255"):
        return Cause(Kind.MARTIAN, f"{packet.at} takes nothing from {source}: that is nobody's address", (), sure=True)
    return None


def _reverse_path(facts: Facts, packet: _Packet, back: ReversePath) -> Cause:
    if back.is_own_address:
        why = (
            f"{packet.at} takes nothing from {packet.source} that comes in by {packet.interface}: that is an address "
            "of its own"
        )
        return Cause(Kind.MARTIAN, why, _route_evidence(facts, back.back), sure=True)
    way = f"the way back to {packet.source} is {back.back.device or 'not there'} ({back.back.text})"
    why = (
        f"{packet.at} throws away what comes in by {packet.interface} from {packet.source}: {back.setting} is "
        f"{back.mode} (rp_filter), and {way}"
    )
    evidence = _settings(facts, packet, back.setting) + _route_evidence(facts, back.back)
    return Cause(Kind.REVERSE_PATH, why, evidence, back.back.sure)


def _no_route(facts: Facts, packet: _Packet, found: RouteFound) -> Cause:
    through = f", as its {found.type} route says: {found.text}" if found.type != NO_ROUTE else ""
    why = f"{packet.at} has no route to {packet.destination} for what comes in by {packet.interface}{through}"
    return Cause(Kind.NO_ROUTE, why, _route_evidence(facts, found), found.sure)


def _forwarding(packet: _Packet, version: int) -> str:
    own = f"net.ipv4.conf.{packet.interface.replace('.', '/')}.forwarding"
    return own if version == 4 else "net.ipv6.conf.all.forwarding"


def _forwards(packet: _Packet) -> int | None:
    return packet.facts.sysctl(_forwarding(packet, ip_address(packet.destination).version))


def _seen(facts: Facts, paths: Rows, cause: Cause) -> Seen:
    def say(extent: Extent) -> str:
        return f"{cause.why}: {extent.counted} of {extent.flow}"

    return Seen(
        kind=cause.kind, key=(cause.why,), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[paths[0]]), node=node_of(facts, int(paths[0])),
        confidence=1.0 if cause.sure else _PROBABLY, evidence=cause.evidence + frames_of(facts, int(paths[0])),
    )  # fmt: skip


_PROBABLY: Final = 0.7


def _settings(facts: Facts, packet: _Packet, setting: str) -> tuple[Evidence, ...]:
    value = packet.facts.sysctls.get(setting)
    return (_evidence(facts, "sysctl", f"{setting} = {value}", packet.facts.where.get("sysctls"), None),)


def _route_evidence(facts: Facts, found: RouteFound) -> tuple[Evidence, ...]:
    line = found.route.line if found.route else found.rule.line if found.rule else None
    return (_evidence(facts, "route", found.text, found.where, line),)


def _evidence(facts: Facts, what: str, text: str, at: Where | None, line: int | None) -> Evidence:
    file = facts.result.files[at.file].path if at is not None else None
    return Evidence(what=what, text=text, file=file, frame=at.frame if at is not None else None, line=line)
