"""The connections of two runs that have the same role: by the most exact of what they can be known by."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, NamedTuple

from .grouping import RoleKey
from .runs import Side

_DYNAMIC: Final = 1024
"""Ports from here on may be chosen anew each time (RFC 6335, 6)."""


def _by_network(key: RoleKey) -> Hashable:
    return key.protocol, key.client_network, key.server_network, key.port


def _by_server(key: RoleKey) -> Hashable:
    return key.protocol, key.server, key.port


def _by_client(key: RoleKey) -> Hashable | None:
    return (key.protocol, key.client, key.port) if key.port is not None else None


def _by_service(key: RoleKey) -> Hashable | None:
    return (key.protocol, key.port) if key.port is not None else None


def _without_port(key: RoleKey) -> Hashable | None:
    dynamic = key.port is not None and key.port >= _DYNAMIC
    return (key.protocol, key.client_network, key.server_network) if dynamic else None


class _Level(NamedTuple):
    by: str
    key: Callable[[RoleKey], Hashable | None]
    open_ends: tuple[str, ...] = ()
    """Ends that may be others: but not where both runs have somebody of that name."""


_LEVELS: Final = (
    _Level("names", lambda key: key[:4]),
    _Level("networks", _by_network),
    _Level("server", _by_server, ("client",)),
    _Level("client", _by_client, ("server",)),
    _Level("service", _by_service, ("client", "server")),
    _Level("any port", _without_port),
)
"""By what they are paired; what no level pairs is in one run alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCompared:
    """Connections of one role in both runs."""

    protocol: str
    by: str
    """What they have in common: `names`, `networks`, `server`, `client`, `service` or `any port`."""
    good: Side
    bad: Side
    good_keys: tuple[RoleKey, ...]
    bad_keys: tuple[RoleKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """All connections of both runs."""

    pairs: list[PairCompared]
    only_good: list[tuple[RoleKey, Side]]
    only_bad: list[tuple[RoleKey, Side]]


def pair(good: Mapping[RoleKey, Side], bad: Mapping[RoleKey, Side], names: AbstractSet[str]) -> Paired:
    """The roles of both runs, level by level; several that are the same at a level are one. `names`: containers and
    nodes that both runs know."""
    left_good, left_bad = dict(good), dict(bad)
    pairs = []
    for level in _LEVELS:
        here, there = _groups(left_good, level, names), _groups(left_bad, level, names)
        for key in [key for key in here if key in there]:
            one, other = here[key], there[key]
            joined = PairCompared(
                protocol=one[0].protocol, by=level.by, good=_joined(good, one), bad=_joined(bad, other),
                good_keys=tuple(one), bad_keys=tuple(other),
            )  # fmt: skip
            pairs.append(joined)
            for left, keys in ((left_good, one), (left_bad, other)):
                for role in keys:
                    del left[role]
    return Paired(pairs=pairs, only_good=list(left_good.items()), only_bad=list(left_bad.items()))


def _groups(sides: Iterable[RoleKey], level: _Level, names: AbstractSet[str]) -> dict[Hashable, list[RoleKey]]:
    found: dict[Hashable, list[RoleKey]] = {}
    for role in sides:
        key = level.key(role)
        if key is not None and not any(getattr(role, end) in names for end in level.open_ends):
            found.setdefault(key, []).append(role)
    return found


def _joined(sides: Mapping[RoleKey, Side], keys: list[RoleKey]) -> Side:
    if len(keys) == 1:
        return sides[keys[0]]
    whole = Side()
    for key in keys:
        whole.add(sides[key])
    return whole
