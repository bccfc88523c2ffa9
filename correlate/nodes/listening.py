"""Who listens on a port of a namespace, by what the capture recorded when it began and when it ended."""

from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple

from .namespace_facts import Listener, NamespaceFacts, Owner

_MOST_KEPT: Final = 1_000
_MAPPED: Final = "::ffff:"


class Listening(NamedTuple):
    """What is known of one protocol, address and port."""

    here: tuple[Listener, ...]
    """Sockets that take what is sent there."""
    elsewhere: tuple[Listener, ...]
    """Of the same protocol and port, at other addresses of the namespace."""


def listening(known: NamespaceFacts, protocol: str, address: str, port: int) -> Listening | None:
    """Who listens there at that moment; None where listeners were not recorded."""
    if known.listeners is None:
        return None
    same = _by_port(known).get((protocol, port), [])
    here = tuple(one for one in same if _takes(known, one, address))
    return Listening(here, tuple(one for one in same if one not in here))


@lru_cache(maxsize=_MOST_KEPT)
def _by_port(known: NamespaceFacts) -> dict[tuple[str, int], list[Listener]]:
    found: dict[tuple[str, int], list[Listener]] = {}
    for one in known.listeners or ():
        found.setdefault((one.protocol, one.port), []).append(one)
    return found


@lru_cache(maxsize=_MOST_KEPT)
def connected_owners(known: NamespaceFacts) -> dict[tuple[str, str, int, str, int], Owner]:
    """(Protocol, address, port, peer, port of the peer) to the process, of the connected sockets whose it is known."""
    return {
        (one.protocol, _plain(one.address), one.port, _plain(one.peer), one.peer_port): one.owner
        for one in known.connections or ()
        if one.owner is not None
    }


def _plain(address: str) -> str:
    """A socket of IPv6 shows a peer of IPv4 by its mapped address."""
    mapped = address.removeprefix(_MAPPED)
    return mapped if "." in mapped else address


def _takes(known: NamespaceFacts, one: Listener, address: str) -> bool:
    """A socket of `::` takes IPv4 as well unless it says otherwise, which is not told: bindv6only is the default."""
    if _plain(one.address) == address:
        return True
    if not ip_address(one.address).is_unspecified:
        return False
    same_family = ip_address(one.address).version == ip_address(address).version
    return same_family or (one.address == "::" and known.sysctl("net.ipv6.bindv6only") != 1)


def owner_words(owner: Owner | None) -> str:
    """`nginx, pid 77, in container web1`; nothing where it is not known."""
    if owner is None:
        return ""
    container = f", in container {owner.container}" if owner.container else ""
    return f"{owner.process or 'a process'}, pid {owner.pid}{container}"


def socket_words(one: Listener) -> str:
    """`127.0.0.1:80 (nginx, pid 77)`."""
    address = f"[{one.address}]" if ":" in one.address else one.address
    owner = owner_words(one.owner)
    return f"{address}:{one.port} ({owner})" if owner else f"{address}:{one.port}"
