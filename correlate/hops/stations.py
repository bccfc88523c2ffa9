"""Where in its namespace each sighting is, on the way that every packet takes through one."""

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ...pcapng.blocks import Direction
from ..netfilter.numbers import Hook
from ..nodes.topology import Role, Topology
from ..sightings import frames, told


class Station(IntEnum):
    """Where in a namespace a sighting is, in the order in which a packet passes: frames at the devices, hooks between.

    The kernel's order: a frame is seen on ingress before the hooks and on egress behind them (net/core/dev.c); a bridge
    has hooks of its own around those of IP (net/bridge/br_netfilter_hooks.c).
    """

    PORT_IN = 0
    BRIDGE_PREROUTING = 5
    BRIDGED_PREROUTING = 10
    """With bridge-nf-call-iptables the ip prerouting hook runs on the bridge port, before the bridge device sees the
    packet."""
    BRIDGE_INPUT = 15
    DEVICE_IN = 20
    INGRESS = 25
    PREROUTING = 30
    BRIDGED_OUT = 35
    """A bridge device that sends a packet back into itself (_place_bridged_out)."""
    FORWARD = 40
    INPUT = 41
    """Behind forward only to be told from it: no packet passes both."""
    OUTPUT = 50
    POSTROUTING = 60
    EGRESS = 65
    DEVICE_OUT = 70
    BRIDGE_FORWARD = 75
    BRIDGE_POSTROUTING = 78
    PORT_OUT = 80
    DROPPED = 90
    """Wherever it was, it is the last of it there."""


_STATIONS: Final = {
    Hook.INGRESS: Station.INGRESS, Hook.PREROUTING: Station.PREROUTING, Hook.FORWARD: Station.FORWARD,
    Hook.INPUT: Station.INPUT, Hook.OUTPUT: Station.OUTPUT, Hook.POSTROUTING: Station.POSTROUTING,
    Hook.EGRESS: Station.EGRESS, Hook.DROPPED: Station.DROPPED,
}  # fmt: skip
_BRIDGE_STATIONS: Final = {
    Hook.PREROUTING: Station.BRIDGE_PREROUTING, Hook.INPUT: Station.BRIDGE_INPUT,
    Hook.FORWARD: Station.BRIDGE_FORWARD, Hook.OUTPUT: Station.BRIDGE_FORWARD,
    Hook.POSTROUTING: Station.BRIDGE_POSTROUTING,
}  # fmt: skip


def _by_number(stations: dict[Hook, Station]) -> list[int]:
    """The station of each number that a hook may have; in the middle where it is not known."""
    numbers = {int(hook): int(station) for hook, station in stations.items()}
    return [numbers.get(number, int(Station.FORWARD)) for number in range(256)]


_STATION_OF_HOOK: Final = np.array([_by_number(_STATIONS), _by_number(_BRIDGE_STATIONS)], np.int64)
"""By whether it is a hook of a bridge, and its number."""


def stations_of(
    sightings: npt.NDArray[np.void],
    packet: npt.NDArray[np.int64],
    said: npt.NDArray[np.void],
    topology: Topology,
) -> npt.NDArray[np.int64]:
    """Station of each sighting. Arguments as for `order_hops`."""
    behind = told(sightings)
    station = np.empty(sightings.size, np.int64)
    station[: behind.start] = _stations_of_frames(frames(sightings), topology)
    station[behind] = _stations_of_hooks(said, sightings["namespace"][behind], topology)
    _place_bridged_out(station, sightings, packet, said, topology)
    return station


def _stations_of_frames(observations: npt.NDArray[np.void], topology: Topology) -> npt.NDArray[np.int64]:
    table = np.zeros((len(topology.points) + 1, 4), np.int64)
    for point in topology.points:
        port = point.role == Role.PORT
        inbound, outbound = (Station.PORT_IN, Station.PORT_OUT) if port else (Station.DEVICE_IN, Station.DEVICE_OUT)
        table[point.index] = inbound
        table[point.index, Direction.OUT] = outbound
    station = np.empty(observations.size, np.int64)
    _look_up_stations(observations, table, station)
    return station


@njit(cache=True, nogil=True)
def _look_up_stations(observations, table, station):
    for i in range(observations.size):
        row = observations[i]
        station[i] = table[row.place, row.direction]


def _stations_of_hooks(
    said: npt.NDArray[np.void], namespace: npt.NDArray[np.uint16], topology: Topology
) -> npt.NDArray[np.int64]:
    """Per TOLD row, in this namespace."""
    if said.size == 0:
        return np.empty(0, np.int64)
    station = _STATION_OF_HOOK[said["bridge"], said["hook"]]
    bridges = {
        (n.index, index)
        for n in topology.namespaces
        if n.bridge_nf
        for index, link in n.links.items()
        if link.get("kind") == "bridge"
    }
    entered = (namespace.astype(np.int64) << 32) | said["input_index"]
    from_bridge = np.isin(entered, [(n << 32) | i for n, i in bridges])
    return np.where(from_bridge & (station == Station.PREROUTING), Station.BRIDGED_PREROUTING, station)


def _place_bridged_out(
    station: npt.NDArray[np.int64],
    sightings: npt.NDArray[np.void],
    packet: npt.NDArray[np.int64],
    said: npt.NDArray[np.void],
    topology: Topology,
) -> None:
    """With bridge-nf-call-iptables a packet whose DNAT leads back into its own bridge leaves by the bridge device
    before the forward hook.

    br_nf_pre_routing_finish_bridge sends it there: the device's `out` frame has the new destination and the old source.
    Without, it is routed, and leaves by the device behind all hooks, as anywhere.
    """
    behind = told(sightings)
    seen = frames(sightings)
    back = (station[behind] == Station.FORWARD) & (said["input_index"] == said["output_index"])
    back &= said["input_index"] > 0
    filtered = np.array([n.bridge_nf for n in topology.namespaces] or [False], np.bool_)
    back &= filtered[sightings["namespace"][behind]]
    if not back.any():
        return
    bridge = np.array([p.role == Role.BRIDGE for p in topology.points] or [False], np.bool_)
    namespace = sightings["namespace"].astype(np.int64)
    passage = (packet << 16) | namespace
    out = bridge[seen["place"]] & (station[: seen.size] == Station.DEVICE_OUT)
    out &= np.isin(passage[: seen.size], passage[behind][back])
    station[: seen.size][out] = Station.BRIDGED_OUT
