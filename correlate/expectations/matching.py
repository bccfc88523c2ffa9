"""Which connections of a part an expectation is about."""

import ipaddress

import numpy as np
import numpy.typing as npt

from ..decode.flow_columns import MAPPED
from ..nodes.topology import Topology
from ..protocols import WITH_PORTS
from ..result.correlation import Correlation
from ..result.words import PROTOCOLS
from ..schema import NOTE_ERROR
from .grammar import End, Expectation, Network

Mask = npt.NDArray[np.bool_]


def about(result: Correlation, expectation: Expectation) -> Mask:
    """Per connection: its packets from client to server wore a source, and a destination, that fit, at any point."""
    return (
        _of_protocol(result, expectation.protocol)
        & _worn(result, expectation.source, "source")
        & _worn(result, expectation.destination, "destination")
    )


def near(result: Correlation, expectation: Expectation) -> Mask:
    """Per connection: the protocol and one of its ends fit; where none does, any connection is as near."""
    ends = _worn(result, expectation.source, "source") | _worn(result, expectation.destination, "destination")
    found = _of_protocol(result, expectation.protocol) & ends
    return found if found.any() else np.ones(result.connections.count, np.bool_)


def addresses_of(topology: Topology, name: str) -> list[str]:
    """Those of a container, namespace or node."""
    return [
        address
        for address, owners in topology.owners.items()
        if any(name == called or (called == "root" and name == node) for node, called in owners)
    ]


def _of_protocol(result: Correlation, protocol: str | None) -> Mask:
    if protocol is None:
        return np.ones(result.connections.count, np.bool_)
    seen = result.sightings
    number = next(number for number, name in PROTOCOLS.items() if name == protocol)
    return _any(result, (seen["ip_version"] > 0) & (seen["protocol"] == number))


def _worn(result: Correlation, end: End, side: str) -> Mask:
    if end == End():
        return np.ones(result.connections.count, np.bool_)
    seen = result.sightings
    fits = result.connections.forward & ((seen["notes"] & NOTE_ERROR) == 0)
    if end.port is not None:
        fits &= np.isin(seen["protocol"], WITH_PORTS) & (seen[f"{side}_port"] == end.port)
    if end.network is not None:
        fits &= _inside(seen, side, end.network)
    if end.name is not None:
        of_name = np.zeros(seen.size, np.bool_)
        for address in addresses_of(result.topology, end.name):
            of_name |= _inside(seen, side, ipaddress.ip_network(address))
        fits &= of_name
    return _any(result, fits)


def _inside(seen: npt.NDArray[np.void], side: str, network: Network) -> Mask:
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4:
        first, last = first | int(MAPPED), last | int(MAPPED)
    high, low = seen[f"{side}_high"], seen[f"{side}_low"]
    above = (high > first >> 64) | ((high == first >> 64) & (low >= first & (2**64 - 1)))
    below = (high < last >> 64) | ((high == last >> 64) & (low <= last & (2**64 - 1)))
    inside: Mask = above & below & (seen["ip_version"] == network.version)
    return inside


def _any(result: Correlation, fits: Mask) -> Mask:
    chosen = np.zeros(result.connections.count, np.bool_)
    chosen[result.connections.connection[fits]] = True
    return chosen
