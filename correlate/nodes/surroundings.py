"""What surrounds the packets on each node: routing, neighbours, settings, as its snapshots tell."""

from collections.abc import Iterable
from typing import Any, Final

from .counted_drops import CountedDrops, counted_drops
from .growth import growth
from .namespace_facts import (
    Connected,
    LinkSettings,
    Listener,
    NamespaceFacts,
    Neighbour,
    Owner,
    Route,
    RouteHop,
    RoutingRule,
    Where,
)
from .snapshots import Key, NodeSnapshots
from .topology import Topology

_VERSIONS: Final = {2: 4, 10: 6}
"""AF_INET and AF_INET6 of Linux, as netlink gives them."""
_KINDS: Final = (
    "routes",
    "route_rules",
    "neighbours",
    "links",
    "addresses",
    "sysctls",
    "listeners",
    "connections",
    "counters",
)


Told = dict[str, dict[str, tuple[Where, Any]]]
"""Kind of snapshot to moment (`start`, `stop`) to where it stands, and its data."""


class Surroundings:
    """The facts of all namespaces, made when somebody asks for them: most runs need few."""

    def __init__(
        self,
        told: dict[tuple[str, str | None], Told] | None = None,
        dropped: dict[int, tuple[CountedDrops, ...]] | None = None,
    ) -> None:
        self._told = told or {}
        self.dropped = dropped or {}
        """By number of the file: packets that the kernel dropped on that node, for the files that counted them."""
        self._made: dict[tuple[str, str | None, bool], NamespaceFacts] = {}

    def of(self, node: str, label: str | None, *, at_stop: bool = False) -> NamespaceFacts:
        """The facts of one namespace (None: of the whole node) as they were when the capture began, or ended; of what
        is told of one of both alone, those. Without any where nothing is known."""
        key = node, label, at_stop
        if key not in self._made:
            moments = ("stop", "start") if at_stop else ("start", "stop")
            self._made[key] = _facts(node, label, self._told.get((node, label), {}), moments)
        return self._made[key]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Surroundings) and (self._told, self.dropped) == (other._told, other.dropped)

    __hash__ = None  # type: ignore[assignment]


def find_surroundings(snapshots: NodeSnapshots, topology: Topology) -> Surroundings:
    """Of all namespaces of the topology."""
    names: list[tuple[str, str | None]] = [(namespace.node, namespace.label) for namespace in topology.namespaces]
    names += [(node, None) for node in topology.nodes]
    return Surroundings({name: told for name in names if (told := _told(snapshots, *name))}, drops_of_files(snapshots))


def drops_of_files(snapshots: NodeSnapshots) -> dict[int, tuple[CountedDrops, ...]]:
    """By number of the file: drops that were counted, for the files that tell how many there were when they ended."""
    return {
        file: counted_drops(growth([said]) or {})
        for (_, label), files in snapshots.counted.items()
        for file, said in files.items()
        if label is None and all(said.get(moment, {}).get("drops") is not None for moment in ("start", "stop"))
    }


def facts_of(snapshots: NodeSnapshots, node: str, label: str | None) -> NamespaceFacts:
    """Of one namespace when the capture began."""
    return Surroundings({(node, label): _told(snapshots, node, label)}).of(node, label)


def _told(snapshots: NodeSnapshots, node: str, label: str | None) -> Told:
    found: Told = {}
    for kind in _KINDS:
        for moment in ("start", "stop"):
            if (key := (node, Key(label, kind, moment))) in snapshots.latest:
                before, data = found.setdefault(kind, {}), snapshots.latest[key]
                # What is the same is sent once.
                same = "start" in before and before["start"][1] == data
                before[moment] = Where(*snapshots.where[key]), before["start"][1] if same else data
    if (grown := growth(snapshots.counted.get((node, label), {}).values())) is not None:
        found["growth"] = {"stop": (found["counters"]["stop"][0], grown)}
    return found


def _facts(node: str, label: str | None, told: Told, moments: tuple[str, str]) -> NamespaceFacts:
    chosen = {kind: next(said[moment] for moment in moments if moment in said) for kind, said in told.items()}
    data = {kind: rows for kind, (_, rows) in chosen.items()}
    where = {kind: place for kind, (place, _) in chosen.items() if kind != "growth"}
    return NamespaceFacts(
        node=node, label=label,
        routes=_list(_route, data.get("routes")), rules=_list(_rule, data.get("route_rules")),
        neighbours=_list(_neighbour, data.get("neighbours")),
        links={link.index: link for link in _list(_link, data.get("links")) or ()},
        addresses=tuple((row["index"], row["address"]) for row in data.get("addresses") or ()),
        listeners=_list(_listener, data.get("listeners")), connections=_list(_connected, data.get("connections")),
        counters=data.get("growth"),
        sysctls={name: str(value) for name, value in (data.get("sysctls") or {}).items()},
        where=where,
    )  # fmt: skip


def _list(make: Any, rows: Iterable[dict[str, Any]] | None) -> tuple[Any, ...] | None:  # noqa: ANN401
    if rows is None:
        return None
    made = (make(row, line) for line, row in enumerate(rows, 1))
    return tuple(one for one in made if one is not None)


def _route(row: dict[str, Any], line: int) -> Route | None:
    if row["family"] not in _VERSIONS:
        return None
    hops = tuple(map(_hop, row.get("hops") or ()))
    if not hops and (row.get("index") is not None or row.get("gateway") is not None):
        hops = (_hop(row),)
    return Route(
        family=_VERSIONS[row["family"]], destination=row.get("destination"), prefix=row["prefix"], table=row["table"],
        type=row["type"], hops=hops, metric=row.get("metric") or 0, preferred_source=row.get("preferred_source"),
        scope=row.get("scope"), protocol=row.get("protocol"), tos=row.get("tos") or 0, source=row.get("from"),
        source_prefix=row.get("from_prefix") or 0, nexthop=row.get("nexthop"), mtu=row.get("mtu"),
        preference=row.get("preference"), encapsulation=row.get("encapsulation"), line=line,
    )  # fmt: skip


def _hop(row: dict[str, Any]) -> RouteHop:
    return RouteHop(
        gateway=row.get("gateway"), index=row.get("index"), flags=tuple(row.get("flags") or ()),
        weight=row.get("weight") or 1,
    )  # fmt: skip


def _rule(row: dict[str, Any], line: int) -> RoutingRule | None:
    if row["family"] not in _VERSIONS:
        return None
    return RoutingRule(
        family=_VERSIONS[row["family"]], priority=row["priority"], action=row["action"], table=row.get("table"),
        goto=row.get("goto"), source=row.get("from"), source_prefix=row.get("from_prefix") or 0,
        destination=row.get("to"), destination_prefix=row.get("to_prefix") or 0, iif=row.get("iif"),
        oif=row.get("oif"), mark=row.get("mark"), mask=0xFFFFFFFF if row.get("mask") is None else row["mask"],
        invert=bool(row.get("invert")), suppress_prefix_length=row.get("suppress_prefix_length"),
        protocol=row.get("protocol"), source_ports=_pair(row.get("source_ports")),
        destination_ports=_pair(row.get("destination_ports")), tos=row.get("tos") or 0, more=_more(row), line=line,
    )  # fmt: skip


def _pair(numbers: list[int] | None) -> tuple[int, int] | None:
    return (numbers[0], numbers[1]) if numbers else None


def _more(row: dict[str, Any]) -> tuple[str, ...]:
    """What a rule asks for that nothing in a capture shows."""
    names = {
        "tunnel_id": "tun_id", "dscp": "dscp", "dscp_mask": "dscp mask", "source_port_mask": "sport mask",
        "destination_port_mask": "dport mask", "suppress_group": "suppress_ifgroup",
    }  # fmt: skip
    found = [f"{word} {row[name]}" for name, word in names.items() if row.get(name) is not None]
    if row.get("uid_range"):
        found.append("uidrange {}-{}".format(*row["uid_range"]))
    if row.get("l3mdev"):
        found.append("l3mdev")
    return (*found, *(f"attribute {number}" for number in row.get("unknown") or ()))


def _listener(row: dict[str, Any], line: int) -> Listener:
    return Listener(
        protocol=row["protocol"], address=row["address"], port=row["port"], index=row.get("index"), uid=row.get("uid"),
        inode=row.get("inode"), backlog=row.get("backlog"), most=row.get("most"), owner=_owner(row), line=line,
    )  # fmt: skip


def _connected(row: dict[str, Any], line: int) -> Connected:
    return Connected(
        protocol=row["protocol"], address=row["address"], port=row["port"], peer=row["peer"],
        peer_port=row["peer_port"], state=row.get("state"), owner=_owner(row), line=line,
    )  # fmt: skip


def _owner(row: dict[str, Any]) -> Owner | None:
    pid = row.get("pid")
    return None if pid is None else Owner(pid, row.get("process") or "", row.get("container"))


def _neighbour(row: dict[str, Any], line: int) -> Neighbour | None:
    if row.get("address") is None:
        return None
    return Neighbour(
        index=row["index"], address=row["address"], mac=row.get("mac"), state=row.get("state"), line=line
    )  # fmt: skip


def _link(row: dict[str, Any], line: int) -> LinkSettings:
    return LinkSettings(
        index=row["index"], name=row["name"], kind=row.get("kind"), mac=row.get("mac"), mtu=row.get("mtu"),
        up=row.get("up"), master=row.get("master"), operstate=row.get("operstate"), qdisc=row.get("qdisc"),
        port=row.get("port"), bridge=row.get("bridge"), tunnel=row.get("tunnel"), xdp=tuple(row.get("xdp") or ()),
        filters=tuple(map(_filter_words, row.get("filters") or ())),
        line=line,
    )  # fmt: skip


def _filter_words(row: dict[str, Any]) -> str:
    """`bpf cil_from_netdev (program 41)`."""
    program = row.get("program")
    return " ".join(filter(None, [row.get("kind"), row.get("name"), f"(program {program})" if program else ""]))
