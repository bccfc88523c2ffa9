"""Paths and hops as values, for those who show or export them."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from ..hops.rewrites import Evidence, Field
from ..netfilter.numbers import NF_VERDICT_MASK, NFT_GOTO, NFT_JUMP
from ..netfilter.rulebook import RewriteKind
from ..netfilter.rules import Rule
from ..netfilter.sources import source_of_kind
from ..nodes.topology import Namespace
from ..outcomes.kinds import OUTCOMES, Reason
from ..sightings import DROP, EVALUATION, FRAME, of_kind
from .columns import Columns
from .reasons import IcmpError, LastPlace, ReasonNote
from .values import ChainHop, Hop, InterfaceHop, KernelHop, Path, RewriteStep, RuleMatch, SequenceShift
from .words import DIRECTIONS, TRACE_VERDICTS, VERDICTS, encapsulation, endpoint, packet_info, protocol_name


def path_at(result: Columns, index: int) -> Path:
    """One path by its index, from 0."""
    ids = result.ids.paths
    rows = np.arange(result.first_hop[index], result.first_hop[index + 1])
    shown = rows[result.visible[rows]]
    head = result.sightings[result.head[index]]
    location = int(result.outcomes.location[index])
    return Path(
        id=int(ids[index]),
        connection=int(result.ids.connections[result.connection_of_path[index]]),
        protocol=protocol_name(int(head["protocol"]), int(head["ethertype"])),
        info=packet_info(head),
        outcome=OUTCOMES[result.outcomes.outcome[index]],
        reason=reason_of(result, index),
        confidence=float(result.confidence[index]),
        ambiguous=bool(result.packets.ambiguous[index]),
        goes_on_as=tuple(int(ids[piece]) for piece in result.segments.goes_on_as.get(index, ())),
        comes_from=tuple(int(ids[packet]) for packet in result.segments.comes_from.get(index, ())),
        rivals=tuple(int(ids[rival]) for rival in result.exchangeable.rivals(index)),
        forward=bool(result.forward_of_path[index]),
        delivered_to=location_name(result, location),
        sequence_shift=_sequence_shift(result, result.hops["sighting"][rows]),
        payload_rewritten=bool(np.isin(result.hops["sighting"][rows], result.shifts.rewritten).sum() > 1),
        hops=tuple(hop_of(result, int(result.hops["sighting"][row])) for row in shown),
        rewrites=tuple(
            _rewrite(result, result.rewrites[r], shown)
            for r in range(int(result.first_rewrite[index]), int(result.first_rewrite[index + 1]))
        ),
    )


def _sequence_shift(result: Columns, sightings: npt.NDArray[np.int64]) -> SequenceShift | None:
    found = result.shifts.of(sightings)
    if (found == found[0]).all():
        return None
    sequence, acknowledgment = (found[-1] - found[0]).tolist()
    return SequenceShift(sequence=sequence, acknowledgment=acknowledgment)


def location_name(result: Columns, location: int) -> str | None:
    """Where a packet was delivered, by its `location` in the Outcomes: container, namespace or node."""
    if location < 0:
        return None
    node, name = result.outcomes.locations[location]
    return node if name == "root" else name


def hop_of(result: Columns, sighting: int) -> Hop:
    """The hop that a sighting is, by its row in `sightings`."""
    return _HOP_OF_KIND.get(int(result.sightings["kind"][sighting]), _kernel_hop)(result, sighting)


def _interface_hop(result: Columns, sighting: int) -> InterfaceHop:
    seen = result.sightings[sighting]
    point = result.topology.points[seen["place"]]
    namespace = result.topology.namespaces[point.namespace]
    return InterfaceHop(
        node=point.node,
        netns=namespace.label,
        interface=point.interface,
        container=point.container,
        direction=DIRECTIONS[seen["direction"]],
        time_ns=int(result.times_ns[sighting]),
        source=endpoint(seen, "source"),
        destination=endpoint(seen, "destination"),
        order_known=not result.order_doubtful[sighting],
        ttl=int(seen["ttl"]),
        length=int(seen["length"]),
        encapsulation=encapsulation(result.outers[int(seen["outer"]) - 1]) if seen["outer"] else None,
        file=result.files[seen["file"]].path,
        frame=int(seen["frame"]),
    )


def _chain_hop(result: Columns, sighting: int) -> ChainHop:
    seen = result.sightings[sighting]
    row = result.evaluations.rows[sighting - of_kind(result.sightings, EVALUATION).start]
    chain = result.evaluations.chains[row["chain"]]
    namespace = result.topology.namespaces[chain.namespace]
    return ChainHop(
        node=namespace.node,
        netns=namespace.label,
        hook=chain.base.hook,
        family=chain.family,
        table=chain.table,
        chain=chain.name,
        priority=chain.base.priority,
        time_ns=_reference_time(result, namespace.node, int(seen["time_ns"])),
        source=endpoint(seen, "source"),
        destination=endpoint(seen, "destination"),
        rules=tuple(_matches(result, row)),
        verdict=VERDICTS[row["verdict"]],
        by_policy=bool(row["policy"]),
    )


def _matches(result: Columns, row: np.void) -> list[RuleMatch]:
    """The rules that matched, in order; an implicit return at the end of a chain is none."""
    matches = []
    for index in range(int(row["first_event"]), int(row["last_event"])):
        event = result.evaluations.events[index]
        number = int(result.book.of_event[index])
        if number < 0:
            continue
        rule = result.book.rules[number]
        code = int(event["verdict"])
        target = result.evaluations.names.get(int(event["jump"]), "")
        jump = {NFT_JUMP: f"jump {target}", NFT_GOTO: f"goto {target}"}.get(code)
        verdict = jump or TRACE_VERDICTS.get(code & NF_VERDICT_MASK if code > 0 else code, "unknown")
        matches.append(
            RuleMatch(
                chain=rule.chain, handle=rule.handle, number=rule.number, text=rule.text, verdict=verdict, rule=rule
            )
        )
    return matches


def _kernel_hop(result: Columns, sighting: int) -> KernelHop:
    seen = result.sightings[sighting]
    kind = int(seen["kind"])
    source = source_of_kind(kind)
    row = result.said_of_kind[kind].rows[sighting - of_kind(result.sightings, kind).start]
    namespace = result.topology.namespaces[seen["namespace"]]
    return KernelHop(
        kind=source.name,
        node=namespace.node,
        netns=namespace.label,
        time_ns=_reference_time(result, namespace.node, int(seen["time_ns"])),
        source=endpoint(seen, "source"),
        destination=endpoint(seen, "destination"),
        says=source.words(row, result.evaluations.names),
        verdict=VERDICTS[row["verdict"]],
        interface=_device(namespace, int(row["output_index"]) or int(row["input_index"])),
    )


def _device(namespace: Namespace, index: int) -> str | None:
    link = namespace.links.get(index)
    return link["name"] if link else None


_HOP_OF_KIND: Final[dict[int, Callable[[Columns, int], Hop]]] = {FRAME: _interface_hop, EVALUATION: _chain_hop}
"""By the kind of the sighting (sightings.py); what else the kernel says is a KernelHop."""


def _reference_time(result: Columns, node: str, time_ns: int) -> int:
    """A time of the node's clock, on the reference clock."""
    clock = next(clock for clock in result.clocks if clock.node == node)
    return clock.reference_ns(time_ns)


def _rewrite(result: Columns, row: np.void, shown: npt.NDArray[np.int64]) -> RewriteStep:
    before = result.sightings[result.hops["sighting"][row["before"]]]
    after = result.sightings[result.hops["sighting"][row["after"]]]
    field = Field(int(row["field"])).name.lower()
    # The translation happened in a namespace that saw it before and after; else behind the earlier hop.
    namespace = result.topology.namespaces[before["namespace"]]
    return RewriteStep(
        node=namespace.node,
        netns=namespace.label,
        after_hop=int(np.searchsorted(shown, row["before"], side="right")) - 1,
        before_hop=int(np.searchsorted(shown, row["after"], side="left")),
        field=field,
        old=endpoint(before, field),
        new=endpoint(after, field),
        kind=RewriteKind(int(row["kind"])).name.lower(),
        undo=bool(row["undo"]),
        evidence=Evidence(int(row["evidence"])).name.lower(),
        rule=_rule(result, int(row["rule"])),
        rule_changed=bool(row["rule_changed"]),
    )


def _rule(result: Columns, index: int) -> Rule | None:
    return result.book.rules[index] if index >= 0 else None


def reason_of(result: Columns, index: int) -> ReasonNote | None:
    """Why the packet of a path, by its index, was not delivered; None when it was."""
    code = Reason(int(result.outcomes.reason[index]))
    if code == Reason.NONE:
        return None
    return ReasonNote(
        code=code,
        last=_last_place(hop_of(result, _judged_sighting(result, index, code))),
        rule=_rule(result, int(result.outcomes.rule[index])),
        error=_icmp_error(result, int(result.outcomes.related[index])),
    )


def _judged_sighting(result: Columns, index: int, code: Reason) -> int:
    """The sighting that a reason is about: the last of the path, and of drops only where it is theirs."""
    rows = result.hops["sighting"][result.first_hop[index] : result.first_hop[index + 1]]
    is_drop = result.sightings["kind"][rows] == DROP
    wanted = rows[is_drop == (code == Reason.KERNEL_DROP)]
    return int((wanted if wanted.size else rows)[-1])


def _last_place(hop: Hop) -> LastPlace:
    if isinstance(hop, ChainHop):
        matched = hop.rules[-1].rule if hop.rules else None
        return LastPlace(
            node=hop.node, netns=hop.netns, hook=hop.hook, family=hop.family, table=hop.table, chain=hop.chain,
            matched=matched,
        )  # fmt: skip
    if isinstance(hop, KernelHop):
        return LastPlace(node=hop.node, netns=hop.netns, says=hop.says, device=hop.interface)
    return LastPlace(node=hop.node, netns=hop.netns, interface=hop.interface, direction=hop.direction)


def _icmp_error(result: Columns, index: int) -> IcmpError | None:
    """`index`: of the path that it is; -1 for none."""
    if index < 0:
        return None
    said = result.sightings[result.hops["sighting"][result.first_hop[index]]]
    return IcmpError(path=int(result.ids.paths[index]), says=packet_info(said))
