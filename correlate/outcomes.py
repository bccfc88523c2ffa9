"""Hops -> what became of each packet, and why.

"Not seen because the capture lost packets here" or "because nobody captured there" is never called a loss: it is
`unknown`.
"""

import ipaddress
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from ..pcapng.blocks import Direction
from .beyond import Beyond
from .evaluations import Evaluations
from .grouping import first_with
from .names import stays_on_link
from .order import STAGE_INPUT
from .rulebook import RuleBook
from .topology import Role, Topology

_FORWARD_STAGE: Final = 40
_OUT: Final = int(Direction.OUT)
_EDGE_NS: Final = 200_000_000
"""A packet last seen this close to the end of a capture may have gone on after it."""


class Outcome(StrEnum):
    """What became of a packet."""

    DELIVERED = "delivered"
    DROPPED = "dropped"
    LOST = "lost"
    UNKNOWN = "unknown"


class Reason(IntEnum):
    """Why a packet was not delivered, or how far that can be said."""

    NONE = 0
    RULE = 1
    """A rule dropped it."""
    POLICY = 2
    """The policy of a chain dropped it."""
    HOOK = 3
    """A hook accepted it, and it was not seen again in a namespace where it would have been."""
    INSIDE = 4
    """It came in and never went out again, with every way out captured."""
    WIRE = 5
    """It left for another captured node and did not come in there."""
    NOT_CAPTURED = 6
    """It went where nothing is captured."""
    CAPTURE_LOST = 7
    """The capture lost packets or messages where it would have been seen."""
    CAPTURE_ENDED = 8
    """A capture began later or ended before it could be seen there."""
    TTL = 9
    """Its time to live ran out where it would have been forwarded."""
    ARRIVED = 11
    """It came in at its destination, untraced and unanswered: whether a rule dropped it there is not known."""
    ICMP = 13
    """The node that gave it up said so in an ICMP error."""
    FILTERED = 12
    """A capture filter may have hidden it where it would have been next."""
    SEGMENTED = 10
    """It went on in other segments (GSO, GRO), which were delivered."""


REASON_KIND: Final = {
    Reason.RULE: "rule",
    Reason.POLICY: "policy",
    Reason.HOOK: "hook",
    Reason.INSIDE: "inside",
    Reason.WIRE: "wire",
    Reason.NOT_CAPTURED: "not-captured",
    Reason.CAPTURE_LOST: "capture-lost",
    Reason.CAPTURE_ENDED: "capture-ended",
    Reason.TTL: "ttl",
    Reason.SEGMENTED: "segmented",
    Reason.ARRIVED: "arrived",
    Reason.FILTERED: "filtered",
    Reason.ICMP: "icmp",
}
"""The `kind` of a reason in the JSON contract."""

OUTCOMES: Final = tuple(Outcome)
_DELIVERED, _DROPPED, _LOST, _UNKNOWN = range(4)


@dataclass(slots=True, kw_only=True)
class Outcomes:
    """Per packet: what became of it."""

    outcome: npt.NDArray[np.uint8]
    """Index into OUTCOMES."""
    reason: npt.NDArray[np.uint8]
    """Reason."""
    rule: npt.NDArray[np.int32]
    """Index into the rules of the RuleBook of the rule that dropped it, else -1."""
    related: npt.NDArray[np.int64]
    """Path (from 0) of the ICMP error about it, else -1."""
    location: npt.NDArray[np.int32]
    """Where it was delivered: index into `locations`, -1 unknown."""
    locations: list[tuple[str, str]]
    """(node, container name or namespace label)."""


@dataclass(slots=True, kw_only=True)
class Coverage:
    """When and how completely each namespace was captured, on the reference clock."""

    start_ns: dict[str, int]
    """Per node."""
    end_ns: dict[str, int]
    gaps: dict[int, list[tuple[int, int]]]
    """Namespace index to the intervals in which its captures lost something."""
    files: dict[int, list[tuple[int, int]]]
    """Capture point to the (start, end) of the files that hold it."""


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
    final = _Final(
        sightings[last],
        times_ns[last],
        hops["stage"][ends],
        last - observed,
        hops["packet"][ends],
        topology,
        evaluations,
    )
    result = Outcomes(
        outcome=np.full(ends.size, _UNKNOWN, np.uint8),
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
    result.outcome[lost] = _LOST
    result.reason[lost] = reason[lost]
    _doubt(result, lost, suspect, final, coverage, topology)
    return result


class _Final:
    """The last sighting of each packet, with the facts that the judgement needs, as columns."""

    def __init__(
        self,
        rows: npt.NDArray[np.void],
        times_ns: npt.NDArray[np.int64],
        stage: npt.NDArray[np.int64],
        evaluation: npt.NDArray[np.int64],
        packets: npt.NDArray[np.int64],
        topology: Topology,
        evaluations: Evaluations,
    ) -> None:
        self.packets = packets
        self.rows, self.times_ns, self.stage = rows, times_ns, stage
        self.is_evaluation = evaluation >= 0
        self.evaluation = np.maximum(evaluation, 0)
        self.namespace = rows["namespace"].astype(np.int64)
        self.topology, self.evaluations = topology, evaluations
        points = topology.points
        place = np.where(self.is_evaluation, 0, rows["place"])
        self.role = _gather([int(p.role) for p in points], place)
        self.is_out = ~self.is_evaluation & (rows["direction"] == Direction.OUT)
        self.locations = _locations(topology)
        index = {location: i for i, location in enumerate(self.locations)}
        own = [index[(n.node, n.label)] for n in topology.namespaces]
        self.namespace_location = _gather(own, self.namespace)
        self.container_of_namespace = [-1 if n.label == "root" else own[i] for i, n in enumerate(topology.namespaces)]
        self.far_of_point = [index.get((p.node, p.container), -1) if p.container else -1 for p in points]
        self.role_of_point = [int(p.role) for p in points]
        self.far_location = np.where(self.is_evaluation, -1, _gather(self.far_of_point, place))
        hardware = [int(p.role == Role.PORT and topology.is_uplink(p)) for p in points]
        self.is_hardware = ~self.is_evaluation & (_gather(hardware, place) == 1)
        self.ports = np.where(self.is_evaluation, _Ports.NONE, _gather(_ports_captured(topology), place))
        self.owner_keys = _owner_table(topology, index)
        self.is_root = _gather([int(n.label == "root") for n in topology.namespaces], self.namespace) == 1
        self.known = _gather([int(n.known) for n in topology.namespaces], self.namespace) == 1

    def owned_by(self, location: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """The destination address belongs to the location (per row; -1 to none)."""
        return self.owns(self.rows, location)

    def owns(self, rows: npt.NDArray[np.void], location: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """The same for any rows."""
        key = _owner_key(rows["destination_high"], rows["destination_low"], location)
        return (first_with(self.owner_keys, key) >= 0) & (location >= 0)

    def owner_on_node(self, which: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The location on its own node that has the destination address, -1 when none, of some of the rows."""
        found = np.full(which.size, -1, np.int64)
        nodes = [n.node for n in self.topology.namespaces]
        for node in set(nodes):
            here = np.isin(self.namespace[which], [n for n, name in enumerate(nodes) if name == node])
            places = np.array([i for i, (name, _) in enumerate(self.locations) if name == node], np.int64)
            rows = self.rows[which[here]]
            addresses, inverse = np.unique(rows[["destination_high", "destination_low"]], return_inverse=True)
            owner = np.full(addresses.size, -1, np.int64)
            for place in places:
                key = _owner_key(
                    addresses["destination_high"], addresses["destination_low"], np.full(owner.size, place)
                )
                owner[(owner < 0) & np.isin(key, self.owner_keys)] = place
            found[here] = owner[inverse.reshape(-1)]
        return found


class _Ports(IntEnum):
    """How many of a bridge's ports are captured."""

    NONE = 0
    SOME = 1
    ALL = 2


def _ports_captured(topology: Topology) -> list[int]:
    """Per capture point, of the bridge that it is."""
    found = []
    for point in topology.points:
        links = topology.namespaces[point.namespace].links
        ports = {i for i, link in links.items() if link.get("master") == point.interface_index and link.get("up")}
        captured = {p.interface_index for p in topology.points if p.namespace == point.namespace}
        some = bool(ports & captured)
        found.append(int(_Ports.ALL if some and ports <= captured else _Ports.SOME if some else _Ports.NONE))
    return found


def _gather(values: list[int], index: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    return np.array(values or [0], np.int64)[index]


def _locations(topology: Topology) -> list[tuple[str, str]]:
    found = [(n.node, n.label) for n in topology.namespaces]
    found += [owner for owners in topology.owners.values() for owner in owners]
    found += [(p.node, p.container) for p in topology.points if p.container]
    return list(dict.fromkeys(found))


def _owner_key(
    high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], location: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    found = np.empty(high.size, np.uint64)
    _owner_keys(high, low, location, found)
    return found


@njit(cache=True, nogil=True)
def _owner_key_of(high, low, location):
    mixed = (high * np.uint64(0x9E3779B97F4A7C15)) ^ (low * np.uint64(0xBF58476D1CE4E5B9))
    return (mixed * np.uint64(0x94D049BB133111EB)) ^ np.uint64(location)


@njit(cache=True, nogil=True)
def _owner_keys(high, low, location, found):
    for i in range(high.size):
        found[i] = _owner_key_of(high[i], low[i], location[i])


def _owner_table(topology: Topology, index: dict[tuple[str, str], int]) -> npt.NDArray[np.uint64]:
    high, low, location = [], [], []
    for address, owners in topology.owners.items():
        number = int(ipaddress.ip_address(address))
        if "." in address:
            number |= 0xFFFF << 32
        for owner in owners:
            high.append(number >> 64)
            low.append(number & (2**64 - 1))
            location.append(index[owner])
    where = np.array(location, np.int64)
    return _owner_key(np.array(high, np.uint64), np.array(low, np.uint64), where)


def _judge_drops(result: Outcomes, final: _Final, evaluations: Evaluations, book: RuleBook) -> npt.NDArray[np.bool_]:
    """Packets whose last hop is a chain that said drop; returns who is still open."""
    if evaluations.rows.size == 0:
        return np.ones(final.rows.size, np.bool_)
    rows = evaluations.rows[final.evaluation]
    dropped = final.is_evaluation & (rows["verdict"] == 0)
    result.outcome[dropped] = _DROPPED
    result.reason[dropped] = np.where(rows["policy"][dropped] == 1, Reason.POLICY, Reason.RULE)
    rule = book.of_event[rows["last_event"] - 1]
    result.rule[dropped] = np.where(rows["policy"][dropped] == 1, -1, rule[dropped])
    return ~dropped


def _judge_passed(
    result: Outcomes,
    final: _Final,
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
    result.outcome[delivered] = _DELIVERED
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
        key = _owner_key_of(row.destination_high, row.destination_low, here)
        at = np.searchsorted(owners, key)
        if at < owners.size and owners[at] == key:
            location[path] = here


def _judge_deliveries(result: Outcomes, final: _Final, open_: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    rows = final.rows
    is_in = ~final.is_evaluation & ~final.is_out
    here = np.full(rows.size, -1, np.int64)
    # Into a socket of this namespace: the input hook let it pass, or it came in and the address is ours.
    local = (final.is_evaluation & (final.stage == STAGE_INPUT)) | (is_in & final.owned_by(final.namespace_location))
    here[local] = final.namespace_location[local]
    # Out of a veth whose far end nobody describes: what is behind it, has it.
    to_somebody = final.is_out & (final.role == Role.PORT) & (final.far_location < 0) & ~final.is_hardware
    loopback = ~final.is_evaluation & (final.role == Role.LOOPBACK)
    delivered = open_ & (local | to_somebody | stays_on_link(rows) | loopback)
    # Out of a bridge none of whose ports is captured: as far as can be seen, it has arrived.
    bridge = open_ & ~delivered & final.is_out & (final.role == Role.BRIDGE) & (final.ports == _Ports.NONE)
    delivered |= bridge
    result.outcome[delivered] = _DELIVERED
    result.reason[delivered] = Reason.NONE
    result.location[delivered] = here[delivered]
    behind = np.flatnonzero(bridge)
    result.location[behind] = final.owner_on_node(behind)
    return open_ & ~delivered


def _judge_time_to_live(result: Outcomes, final: _Final, open_: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A packet that came in with TTL 1 and is not for here is dropped instead of forwarded (RFC 1812, 5.3.1)."""
    rows = final.rows
    came_in = final.known | (rows["direction"] == Direction.IN)
    arrived = (final.stage < _FORWARD_STAGE) & ~final.is_out & came_in & (rows["ip_version"] > 0)
    expired = open_ & arrived & final.is_root & (rows["ttl"] <= 1)
    result.outcome[expired] = _DROPPED
    result.reason[expired] = Reason.TTL
    return open_ & ~expired


def _judge_losses(
    final: _Final, open_: npt.NDArray[np.bool_], beyond: Beyond
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
    inside |= open_ & final.is_out & (final.role == Role.BRIDGE) & (final.ports == _Ports.ALL)
    lost |= inside
    reason[inside] = Reason.INSIDE
    leaving = open_ & final.is_out & ((final.role == Role.DEVICE) | final.is_hardware)
    following = np.where(final.is_root, beyond.find(rows, final.namespace), beyond.root_of(final.namespace))
    wire = leaving & (following >= 0)
    lost |= wire
    reason[wire] = Reason.WIRE
    suspect[wire] = following[wire]
    return lost, reason, suspect


def _all_ways_out_captured(final: _Final) -> npt.NDArray[np.bool_]:
    """Every interface that is up in the namespace, lo aside, is a capture point."""
    complete = []
    for namespace in final.topology.namespaces:
        captured = {p.interface_index for p in final.topology.points if p.namespace == namespace.index}
        up = {i for i, link in namespace.links.items() if link.get("up") and link["name"] != "lo"}
        complete.append(int(bool(up) and up <= captured))
    return _gather(complete, final.namespace) == 1


def _doubt(
    result: Outcomes,
    lost: npt.NDArray[np.bool_],
    suspect: npt.NDArray[np.int64],
    final: _Final,
    coverage: Coverage,
    topology: Topology,
) -> None:
    """Turn `lost` into `unknown` where the capture itself may be the cause."""
    for namespace in topology.namespaces:
        here = lost & (suspect == namespace.index)
        if not here.any():
            continue
        if any(p.filter for p in topology.points if p.namespace == namespace.index):
            result.outcome[here] = _UNKNOWN
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
        result.outcome[outside | gap] = _UNKNOWN
        result.reason[outside] = Reason.CAPTURE_ENDED
        result.reason[gap] = Reason.CAPTURE_LOST
