"""Which processes a connection is between, where the capture recorded whose the sockets are."""

import numpy as np

from ..nodes.listening import connected_owners, listening
from ..nodes.namespace_facts import NamespaceFacts, Owner
from ..nodes.topology import Namespace
from .columns import Columns
from .values import Process
from .words import address_text, protocol_name


def process_at(result: Columns, row: np.void, end: str, *, may_listen: bool) -> Process | None:
    """The process at one end (`source` or `destination`) of what a SIGHTING row shows, if that was seen in the
    namespace that has the address. `may_listen`: a socket that is connected to nobody may be the one."""
    if not known_processes(result, int(row["namespace"])):
        return None
    namespace = result.topology.namespaces[int(row["namespace"])]
    moments = _moments(result, namespace)
    peer = "destination" if end == "source" else "source"
    own, other = (
        (address_text(int(row[f"{one}_high"]), int(row[f"{one}_low"])), int(row[f"{one}_port"])) for one in (end, peer)
    )
    if own[0] not in namespace.addresses:
        return None
    protocol = protocol_name(int(row["protocol"]), int(row["ethertype"]))
    for known in moments:
        if (owner := connected_owners(known).get((protocol, *own, *other))) is not None:
            return _process(owner, namespace.container)
    if not may_listen:
        return None
    owner = _listener(moments, protocol, *own)
    return _process(owner, namespace.container) if owner is not None else None


def known_processes(result: Columns, namespace: int) -> bool:
    """Whether anything was recorded of the sockets of a namespace, by its index."""
    moments = _moments(result, result.topology.namespaces[namespace])
    return any(known.listeners or known.connections for known in moments)


def _moments(result: Columns, namespace: Namespace) -> list[NamespaceFacts]:
    """Its facts when the capture began and when it ended."""
    return [result.surroundings.of(namespace.node, namespace.label, at_stop=at_stop) for at_stop in (False, True)]


def _listener(moments: list[NamespaceFacts], protocol: str, address: str, port: int) -> Owner | None:
    """Of the socket that waits there, unless it is another one at the end than when the capture began."""
    found = [is_known.here for known in moments if (is_known := listening(known, protocol, address, port)) is not None]
    inodes = [{one.inode for one in here} for here in found]
    if not found or not set.intersection(*inodes):
        return None
    same = set.intersection(*inodes)
    return next((one.owner for here in found for one in here if one.inode in same and one.owner is not None), None)


def _process(owner: Owner, container: str | None) -> Process:
    return Process(pid=owner.pid, name=owner.process, container=owner.container or container)
