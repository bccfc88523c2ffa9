"""Hops -> what became of each packet, and why.

"Not seen because the capture lost packets here" or "because nobody captured there" is never called a loss: it is
`unknown`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.blocks import Direction
from ..decode.link_scope import stays_on_link
from ..hops.order import Station
from ..netfilter.evaluations import Evaluations
from ..netfilter.rulebook import RuleBook
from ..nodes.topology import Role, Topology
from .coverage import Coverage
from .kinds import DELIVERED, DROPPED, LOST, UNKNOWN, Outcomes, Reason
from .last_hops import LastHops, Ports, gather, owner_key_of
from .next_node import Beyond

_OUT: Final = int(Direction.OUT)
_EDGE_NS: Final = 200_000_000
"""A packet last seen this close to the end of a capture may have gone on after it."""


def judge(
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    times_ns: npt.NDArray[np.int64],
    evaluations: Evaluations,
    book: RuleBook,
    topology: Topology,
    coverage: Coverage,
    beyond: Beyond,
) -> Outcomes:
    """Decide the outcome of every packet from its last hop. Arguments as for `order_hops` and `find_rewrites`."""
    ends = (
        np.flatnonzero(np.append(hops["packet"][1:] != hops["packet"][:-1], True))
        if hops.size
        else np.empty(0, np.int64)
    )
    observed = sightings.size - evaluations.rows.size
    last = hops["sighting"][ends]
    final = LastHops(
        sightings[last],
        times_ns[last],
        hops["station"][ends],
        last - observed,
        hops["packet"][ends],
        topology,
        evaluations,
    )
    result = Outcomes(
        outcome=np.full(ends.size, UNKNOWN, np.uint8),
        reason=np.full(ends.size, Reason.NOT_CAPTURED, np.uint8),
        rule=np.full(ends.size, -1, np.int32),
        related=np.full(ends.size, -1, np.int64),
        location=np.full(ends.size, -1, np.int32),
        locations=final.locations,
    )
    open_ = _judge_drops(result, final, evaluations, book)
    open_ = _judge_passed(result, final, hops, sightings, observed, open_)
    open_ = _judge_deliveries(result, final, open_)
    open_ = _judge_time_to_live(result, final, open_)
    lost, reason, suspect = _judge_losses(final, open_, beyond)
    result.outcome[lost] = LOST
    result.reason[lost] = reason[lost]
    _doubt(result, lost, suspect, final, coverage, topology)
    return result


def _judge_drops(result: Outcomes, final: LastHops, evaluations: Evaluations, book: RuleBook) -> npt.NDArray[np.bool_]:
    """Packets whose last hop is a chain that said drop; returns who is still open."""
    if evaluations.rows.size == 0:
        return np.ones(final.rows.size, np.bool_)
    rows = evaluations.rows[final.evaluation]
    dropped = final.is_evaluation & (rows["verdict"] == 0)
    result.outcome[dropped] = DROPPED
    result.reason[dropped] = np.where(rows["policy"][dropped] == 1, Reason.POLICY, Reason.RULE)
    rule = book.of_event[rows["last_event"] - 1]
    result.rule[dropped] = np.where(rows["policy"][dropped] == 1, -1, rule[dropped])
    return ~dropped


def _judge_passed(
    result: Outcomes,
    final: LastHops,
    hops: npt.NDArray[np.void],
    sightings: npt.NDArray[np.void],
    observed: int,
    open_: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Packets that any hop shows at the container which has their address; a bridge may have flooded copies
    elsewhere."""
    if max(*final.far_of_point, *final.container_of_namespace, -1, -1) < 0:
        return open_
    far, inside = (np.array(of or [-1], np.int64) for of in (final.far_of_point, final.container_of_namespace))
    port = np.array(final.role_of_point or [-1], np.int64) == Role.PORT
    location = np.full(final.rows.size, -1, np.int64)
    _find_arrivals(hops, sightings, observed, np.where(port, far, -1), inside, np.sort(final.owner_keys), location)
    delivered = open_ & (location >= 0)
    result.outcome[delivered] = DELIVERED
    result.reason[delivered] = Reason.NONE
    result.location[delivered] = location[delivered]
    return open_ & ~delivered


@njit(cache=True, nogil=True)
def _find_arrivals(hops, sightings, observed, behind, inside, owners, location):
    """Location of the last frame of each path that is at the container which has its destination address.

    `behind`: per capture point, the location that a packet gets to which goes out there; `inside`: per namespace, its
    own; -1 for none. `owners`: sorted keys of addresses and locations.
    """
    path = -1
    for k in range(hops.size):
        path += k == 0 or hops[k].packet != hops[k - 1].packet
        if hops[k].sighting >= observed:
            continue
        row = sightings[hops[k].sighting]
        here = behind[row.place] if row.direction == _OUT else inside[row.namespace]
        if here < 0:
            continue
        key = owner_key_of(row.destination_high, row.destination_low, here)
        at = np.searchsorted(owners, key)
        if at < owners.size and owners[at] == key:
            location[path] = here


def _judge_deliveries(result: Outcomes, final: LastHops, open_: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    rows = final.rows
    is_in = ~final.is_evaluation & ~final.is_out
    here = np.full(rows.size, -1, np.int64)
    # Into a socket of this namespace: the input hook let it pass, or it came in and the address is ours.
    local = (final.is_evaluation & (final.stage == Station.INPUT)) | (is_in & final.owned_by(final.namespace_location))
    here[local] = final.namespace_location[local]
    # Out of a veth whose far end nobody describes: what is behind it, has it.
    to_somebody = final.is_out & (final.role == Role.PORT) & (final.far_location < 0) & ~final.is_hardware
    loopback = ~final.is_evaluation & (final.role == Role.LOOPBACK)
    delivered = open_ & (local | to_somebody | stays_on_link(rows) | loopback)
    # Out of a bridge none of whose ports is captured: as far as can be seen, it has arrived.
    bridge = open_ & ~delivered & final.is_out & (final.role == Role.BRIDGE) & (final.ports == Ports.NONE)
    delivered |= bridge
    result.outcome[delivered] = DELIVERED
    result.reason[delivered] = Reason.NONE
    result.location[delivered] = here[delivered]
    behind = np.flatnonzero(bridge)
    result.location[behind] = final.owner_on_node(behind)
    return open_ & ~delivered


def _judge_time_to_live(result: Outcomes, final: LastHops, open_: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A packet that came in with TTL 1 and is not for here is dropped instead of forwarded (RFC 1812, 5.3.1)."""
    rows = final.rows
    came_in = final.known | (rows["direction"] == Direction.IN)
    arrived = (final.stage < Station.FORWARD) & ~final.is_out & came_in & (rows["ip_version"] > 0)
    expired = open_ & arrived & final.is_root & (rows["ttl"] <= 1)
    result.outcome[expired] = DROPPED
    result.reason[expired] = Reason.TTL
    return open_ & ~expired


def _judge_losses(
    final: LastHops, open_: npt.NDArray[np.bool_], beyond: Beyond
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """(lost, Reason, namespace that should have seen it next) of the packets that were neither dropped nor
    delivered."""
    rows = final.rows
    reason = np.full(rows.size, Reason.NOT_CAPTURED, np.uint8)
    suspect = final.namespace.copy()
    captured = np.array([(p.namespace << 32) | p.interface_index for p in final.topology.points], np.int64)
    lost = np.zeros(rows.size, np.bool_)
    if final.evaluations.rows.size:
        output = final.evaluations.rows["output_index"][final.evaluation].astype(np.int64)
        leaves_here = np.isin((final.namespace << 32) | output, captured)
        hook = open_ & final.is_evaluation & ((output == 0) | leaves_here)
        lost |= hook
        reason[hook] = Reason.HOOK
    inside = open_ & ~final.is_evaluation & ~final.is_out & final.known & _all_ways_out_captured(final)
    inside |= open_ & final.is_out & (final.role == Role.BRIDGE) & (final.ports == Ports.ALL)
    lost |= inside
    reason[inside] = Reason.INSIDE
    leaving = open_ & final.is_out & ((final.role == Role.DEVICE) | final.is_hardware)
    following = np.where(final.is_root, beyond.find(rows, final.namespace), beyond.root_of(final.namespace))
    wire = leaving & (following >= 0)
    lost |= wire
    reason[wire] = Reason.WIRE
    suspect[wire] = following[wire]
    return lost, reason, suspect


def _all_ways_out_captured(final: LastHops) -> npt.NDArray[np.bool_]:
    """Every interface that is up in the namespace, lo aside, is a capture point."""
    complete = []
    for namespace in final.topology.namespaces:
        captured = {p.interface_index for p in final.topology.points if p.namespace == namespace.index}
        up = {i for i, link in namespace.links.items() if link.get("up") and link["name"] != "lo"}
        complete.append(int(bool(up) and up <= captured))
    return gather(complete, final.namespace) == 1


def _doubt(
    result: Outcomes,
    lost: npt.NDArray[np.bool_],
    suspect: npt.NDArray[np.int64],
    final: LastHops,
    coverage: Coverage,
    topology: Topology,
) -> None:
    """Turn `lost` into `unknown` where the capture itself may be the cause."""
    for namespace in topology.namespaces:
        here = lost & (suspect == namespace.index)
        if not here.any():
            continue
        if any(p.filter for p in topology.points if p.namespace == namespace.index):
            result.outcome[here] = UNKNOWN
            result.reason[here] = Reason.FILTERED
            continue
        end = coverage.end_ns.get(namespace.node)
        start = coverage.start_ns.get(namespace.node)
        outside = np.zeros(here.size, np.bool_)
        if end is not None and start is not None:
            outside = here & ((final.times_ns > end - _EDGE_NS) | (final.times_ns < start))
        gap = np.zeros(here.size, np.bool_)
        for begin, finish in coverage.gaps.get(namespace.index, []):
            gap |= here & (final.times_ns >= begin - _EDGE_NS) & (final.times_ns <= finish + _EDGE_NS)
        result.outcome[outside | gap] = UNKNOWN
        result.reason[outside] = Reason.CAPTURE_ENDED
        result.reason[gap] = Reason.CAPTURE_LOST
