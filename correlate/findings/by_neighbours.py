"""Addresses that nobody on a link answers for.

A switch shows the broadcast questions of everybody and hides the answers, so that an answer was not seen proves
nothing by itself. It does where the asker itself was captured, or where something is seen that waited for the answer.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from ..protocols import ETHERTYPE_ARP
from ..result.show_connections import owner_of
from ..result.words import address_text
from .common import Role, Unresolved
from .facts import Facts, Rows
from .kinds import MOST_OF_A_KIND, Kind
from .seen import Extent, Seen, many
from .subject import Ends
from .words import frame_evidence, subject_of, where

_SCANNED: Final = 8
"""Who asks for more addresses than this, and has no answer, looks for what there is."""


def neighbour_unresolved(facts: Facts) -> Iterator[Seen]:
    """`neighbour_unresolved`. Some of it may be in this part; what is said is the same in each."""
    told: dict[tuple[str, str], list[Unresolved]] = {}
    for one in facts.common.unresolved:
        told.setdefault((_at(facts, one), _asker(one)), []).append(one)
    for (at, asker), found in told.items():
        if len(found) > _SCANNED:
            paths = _local(facts, np.concatenate([_about(one) for one in found]))
            if paths.size:
                yield _scan(facts, at, asker, found, paths)
            continue
        for one in found[:MOST_OF_A_KIND]:
            paths = _local(facts, _about(one))
            if paths.size:
                yield _seen(facts, one, paths)


def _about(one: Unresolved) -> Rows:
    """Ids of the packets that it is about: the questions themselves where nothing is seen that waited."""
    return one.question.paths if one.role is None else one.about["path"]


def _local(facts: Facts, ids: Rows) -> Rows:
    paths = facts.local(np.unique(ids))
    return paths[np.argsort(facts.begin_ns[paths], kind="stable")]


def _at(facts: Facts, one: Unresolved) -> str:
    point = facts.result.topology.points[int(one.question.frames["place"][0])]
    return f"{where(point.node, facts.result.topology.namespaces[point.namespace].label)} {point.interface}"


def _asker(one: Unresolved) -> str:
    frame = one.question.frames[0]
    return address_text(int(frame["source_high"]), int(frame["source_low"]))


def _address(one: Unresolved) -> str:
    """Who was asked for; of an IPv6 address only the end is known, unless something was sent there."""
    frame = one.question.frames[0]
    if frame["ethertype"] == ETHERTYPE_ARP:
        return address_text(int(frame["destination_high"]), int(frame["destination_low"]))
    last = int(one.question.target & 0xFFFFFFFF)
    if one.role == Role.WAITS and int(one.about["last_low"][0]) & 0xFFFFFFFF == last:
        return address_text(int(one.about["last_high"][0]), int(one.about["last_low"][0]))
    return f"the IPv6 address that ends in {last >> 16:x}:{last & 0xFFFF:x}"


def _seen(facts: Facts, one: Unresolved, paths: Rows) -> Seen:
    topology, question, frame = facts.result.topology, one.question, one.question.frames[0]
    at, address = _at(facts, one), _address(one)
    asks = Ends.of(question.frames[:1], "source").text(topology)
    by = "ARP" if frame["ethertype"] == ETHERTYPE_ARP else "neighbour discovery"
    told = f", and ICMP host unreachable said so ({many(one.errors, 'time')})" if one.errors else ""
    was = "was" if one.about.size == 1 else "were"
    waited = many(one.about.size, "packet")

    def say(extent: Extent) -> str:
        needed = {
            None: "",
            Role.WAITS: f"; {waited} of {extent.flow} waited for it",
            Role.HAS_NO_ANSWER: f"; so {extent.flow} has no answer",
            Role.GIVEN_UP: f"; meanwhile {waited} of {extent.flow} {was} given up with ICMP host unreachable",
        }[one.role]
        return f"nobody answers {by} for {address} on {at}: {asks} asked {question.paths.size:,} times{needed}{told}"

    evidence = [frame_evidence(facts, frame)] + [frame_evidence(facts, row) for row in one.about["seen"][:1]]
    return Seen(
        kind=Kind.NEIGHBOUR_UNRESOLVED, key=(at, _asker(one), address), say=say, paths=paths,
        subject=subject_of(facts, paths), node=topology.points[int(frame["place"])].node,
        time_ns=int(question.times_ns[0]), confidence=_sure(facts, one, address), evidence=tuple(evidence),
    )  # fmt: skip


_SURE: Final = {Role.WAITS: 1.0, Role.HAS_NO_ANSWER: 0.9, Role.GIVEN_UP: 0.7}
"""By what shows that it matters."""
_SURE_OF_KNOWN, _SURE_OF_NOBODY = 0.9, 0.7
"""Where nothing shows that but that it was asked for: of an address that is known to be somebody's, and of one that may
never have been."""


def _sure(facts: Facts, one: Unresolved, address: str) -> float:
    if one.role is not None:
        return _SURE[one.role]
    topology = facts.result.topology
    space = topology.namespaces[topology.points[int(one.question.frames["place"][0])].namespace]
    routes = facts.result.surroundings.of(space.node, space.label).routes or ()
    is_gateway = any(hop.gateway == address for route in routes for hop in route.hops)
    return _SURE_OF_KNOWN if is_gateway or owner_of(topology, address) else _SURE_OF_NOBODY


def _scan(facts: Facts, at: str, asker: str, found: Sequence[Unresolved], paths: Rows) -> Seen:
    """Somebody looks which addresses there are."""
    first = min(found, key=lambda one: int(one.question.times_ns[0])).question
    count = len(found)

    def say(_extent: Extent) -> str:
        return f"{asker} asks on {at} for {count:,} addresses that nobody answers for, as a scan does"

    return Seen(
        kind=Kind.NEIGHBOUR_UNRESOLVED, key=(at, asker), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(first.times_ns[0]), node=facts.result.topology.points[int(first.frames["place"][0])].node,
        harmless=True, evidence=(frame_evidence(facts, first.frames[0]),),
    )  # fmt: skip
