"""Who tries many ports of one host is no user of it: a scan, and nobody waits for its answers."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from ...pcapng.rows import joined
from ..protocols import WITH_PORTS
from .facts import Facts, Rows
from .grouping import groups
from .kinds import Kind
from .seen import NO_TRIES, TRY, Extent, Seen, Tries, many
from .words import frames_of, last_place, node_of, subject_of

_PORTS: Final = 20
"""Ports of one host that one client needs to have tried: no application has so many that all fail it."""


def tries(facts: Facts, paths: Rows) -> Tries:
    """What these packets try, each once; none where one of them asks for no port."""
    return _tries(facts, paths) if _asks(facts, paths).size == paths.size else NO_TRIES


def _asks(facts: Facts, paths: Rows) -> Rows:
    """Those that ask for a port."""
    return paths[np.isin(facts.head("protocol")[paths], WITH_PORTS) & facts.own[paths] & facts.forward[paths]]


def _tries(facts: Facts, paths: Rows) -> Tries:
    found = np.empty(paths.size, TRY)
    found["pair"], found["server"] = facts.pair[paths], facts.server[paths]
    return np.unique(found)


def both(one: Tries, other: Tries) -> Tries:
    """Those of two parts; none where one part has none."""
    return np.unique(joined(TRY, (one, other))) if one.size and other.size else NO_TRIES


def is_scan(tried: Tries) -> bool:
    """Whether all of it is of clients that tried many ports of a host."""
    _, servers = np.unique(tried["pair"], return_counts=True)
    return bool(tried.size and (servers >= _PORTS).all())


def without_scans(facts: Facts, paths: Rows) -> Rows:
    """Those to servers that others try as well, or of which this part alone does not tell that they are of a scan: of
    what is told one by one there is a limit."""
    pairs, servers = np.unique(_tries(facts, _asks(facts, paths))["pair"], return_counts=True)
    of_others = paths[~np.isin(facts.pair[paths], pairs[servers >= _PORTS])]
    return paths[np.isin(facts.server[paths], facts.server[of_others])]


def scans(facts: Facts, kind: Kind, paths: Rows, outcome: str) -> Iterator[Seen]:
    """The tries of each client at each host as one: told in place of the single ports, where they are a scan."""
    asks = _asks(facts, paths)
    for one in groups(facts, asks, facts.pair[asks]):
        yield _scan(facts, kind, one, outcome)


def _scan(facts: Facts, kind: Kind, paths: Rows, outcome: str) -> Seen:
    first = int(paths[0])
    at = last_place(facts, first)

    def say(extent: Extent) -> str:
        ports = many(extent.tried, "port")
        return (
            f"{extent.source} tries {ports} of {extent.destination}, as a scan does: {extent.counted}, {outcome} "
            f"(the first last seen at {at})"
        )

    return Seen(
        kind=kind, key=("scan", int(facts.pair[first])), say=say, paths=paths, subject=subject_of(facts, paths),
        time_ns=int(facts.begin_ns[first]), node=node_of(facts, first), harmless=True, as_scan=True,
        tried=tries(facts, paths), evidence=frames_of(facts, first),
    )  # fmt: skip
