"""Which role each connection has: who asks whom for which service, in columns, with a loop over what differs alone."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ..arrays.grouping import group_ids, hashed
from ..nodes.topology import Role
from ..protocols import WITH_PORTS
from ..result.correlation import Correlation
from ..result.words import protocol_name
from ..schema import NOTE_ERROR
from ..sightings import FRAME
from .common_names import CommonNames
from .ends import Ends, Who

_KEY: Final = (
    "protocol", "ethertype", "source_high", "source_low", "destination_high", "destination_low", "destination_port",
)  # fmt: skip


class RoleKey(NamedTuple):
    """What connections of two runs have in common, where they are the same."""

    protocol: str
    client: str
    """Container or node, else the address."""
    server: str
    """As the client asks for it: before any translation."""
    port: int | None
    client_network: str
    """Container or node, else the network of the address."""
    server_network: str


@dataclass(frozen=True, slots=True)
class Grouped:
    """The connections of one part by their roles."""

    keys: list[RoleKey]
    shown: list[set[tuple[str, str]]]
    """Of each: what its clients and servers are called in this run."""
    of_connection: npt.NDArray[np.int64]
    """Index into `keys`; -1 where nothing but what links say among themselves, or ICMP errors, is known of it."""


def group_connections(result: Correlation, ends: Ends, names: CommonNames) -> Grouped:
    """By the first packet of each connection, from client to server where there is one."""
    paths, turned = _first_paths(result)
    rows = result.sightings.take(result.head[paths])
    _turn(rows, turned)
    ports = np.isin(rows["protocol"], WITH_PORTS)
    rows["destination_port"][~ports] = 0
    asks_at = _client_places(result, rows, turned)
    which, first = group_ids(hashed(*(rows[name] for name in _KEY), asks_at))
    clients = _clients_at_places(result, names)
    keys: dict[RoleKey, int] = {}
    shown: list[set[tuple[str, str]]] = []
    of_group = np.empty(first.size, np.int64)
    for number, row in enumerate(first.tolist()):
        key, called = _key(rows[row], ends, clients.get(int(asks_at[row])))
        of_group[number] = keys.setdefault(key, len(keys))
        if len(keys) > len(shown):
            shown.append(set())
        shown[of_group[number]].add(called)
    found = np.full(result.connections.count, -1, np.int64)
    found[result.connection_of_path[paths]] = of_group[which]
    return Grouped(list(keys), shown, found)


def _first_paths(result: Correlation) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(the first path of each connection that has one to tell of, whether it goes from server to client)."""
    own = (result.sightings["notes"][result.head] & NOTE_ERROR) == 0
    own &= ~result.chatter
    found = np.full(result.connections.count, -1, np.int64)
    for way in (~result.forward_of_path, result.forward_of_path):  # the client's, where there are any, at last
        rows = np.flatnonzero(own & way)
        rows = rows[np.argsort(-result.times_ns[result.head[rows]], kind="stable")]
        found[result.connection_of_path[rows]] = rows
    paths = found[found >= 0]
    return paths, ~result.forward_of_path[paths]


def _turn(rows: npt.NDArray[np.void], turned: npt.NDArray[np.bool_]) -> None:
    """Exchange the ends of these rows (in place)."""
    for part in ("high", "low", "port"):
        source, destination = f"source_{part}", f"destination_{part}"
        kept = rows[source][turned]
        rows[source][turned] = rows[destination][turned]
        rows[destination][turned] = kept


def _client_places(
    result: Correlation, rows: npt.NDArray[np.void], turned: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Where the client's packet came from, if that place says who the client is: overlapping networks have the same
    addresses. -1 elsewhere."""
    points = result.topology.points
    tells_in = np.array([p.container is not None and p.role == Role.PORT for p in points] or [False])
    tells_out = np.array([p.container is not None and p.role == Role.DEVICE for p in points] or [False])
    place = np.where(rows["kind"] == FRAME, rows["place"], 0).astype(np.int64)
    tells = (tells_in[place] & (rows["direction"] == Direction.IN)) | (
        tells_out[place] & (rows["direction"] == Direction.OUT)
    )
    return np.where(tells & (rows["kind"] == FRAME) & ~turned, place, -1)


def _clients_at_places(result: Correlation, names: CommonNames) -> dict[int, str]:
    return {p.index: names.other(p.container) for p in result.topology.points if p.container is not None}


def _key(row: np.void, ends: Ends, container: str | None) -> tuple[RoleKey, tuple[str, str]]:
    """(role, what its client and its server are called); `container`: whose interface the client's packet came from."""
    protocol = protocol_name(int(row["protocol"]), int(row["ethertype"]))
    client, server = (ends.who(int(row[f"{end}_high"]), int(row[f"{end}_low"])) for end in ("source", "destination"))
    if container is not None:
        known = container in ends.known
        client = Who(container if known else client.exactly, container if known else client.network, container)
    port = int(row["destination_port"]) if row["protocol"] in WITH_PORTS else None
    key = RoleKey(protocol, client.exactly, server.exactly, port, client.network, server.network)
    return key, (client.shown, server.shown)
