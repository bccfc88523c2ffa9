"""Who listens where packets were sent to, for the sentences of findings."""

from typing import Final, NamedTuple

from ..nodes.listening import Listening, listening, socket_words
from ..nodes.namespace_facts import Listener, NamespaceFacts
from ..nodes.topology import Namespace
from ..protocols import TCP, UDP
from ..result.words import address_text, protocol_name
from .facts import Facts
from .values import Evidence
from .words import snapshot_evidence

_PROTOCOLS: Final = (TCP, UDP)
_SHOWN: Final = 2
"""Sockets that a sentence names."""


class Asked(NamedTuple):
    """The socket that a packet was sent to, where it was last seen: in the namespace that has its destination."""

    namespace: Namespace
    protocol: str
    address: str
    port: int
    moments: tuple[tuple[NamespaceFacts, Listening], ...]
    """What is known when the capture began, and when it ended."""


def asked(facts: Facts, path: int) -> Asked | None:
    """Whom the packet asked; None where it was not seen to come to its end, or no listeners were recorded there."""
    row = facts.result.sightings[int(facts.last[path])]
    namespace = facts.result.topology.namespaces[int(row["namespace"])]
    address = address_text(int(row["destination_high"]), int(row["destination_low"]))
    protocol, port = protocol_name(int(row["protocol"]), int(row["ethertype"])), int(row["destination_port"])
    if address not in namespace.addresses or row["protocol"] not in _PROTOCOLS:
        return None
    moments = []
    for at_stop in (False, True):
        known = facts.result.surroundings.of(namespace.node, namespace.label, at_stop=at_stop)
        if (found := listening(known, protocol, address, port)) is not None:
            moments.append((known, found))
    return Asked(namespace, protocol, address, port, tuple(moments)) if moments else None


def who_listens(facts: Facts, path: int, *, refused: bool = False) -> tuple[str, tuple[Evidence, ...]] | None:
    """Who listened where this packet went, when the capture began and when it ended, in words; None where that is not
    known. `refused`: it was."""
    end = asked(facts, path)
    if end is None:
        return None
    (known, found), (last_known, last) = end.moments[0], end.moments[-1]
    port, then = f"{end.protocol} port {end.port}", "nobody listened there then: "
    if found.here and last.here:
        why = "although {} listens there: by itself, or a filter does it" if refused else "{} listens there"
    elif found.here:
        why = then + "{} does when the capture begins"
    elif last.here:
        why, known, found = then + "{} does when the capture ends", last_known, last
    elif found.elsewhere:
        why = f"on {port} only {{}} listens there"
    else:
        return f"nobody listens on {port} there", ()
    listeners = found.here or found.elsewhere
    return why.replace("{}", _named(listeners)), evidence_of(facts, end.protocol, known, listeners)


def _named(listeners: tuple[Listener, ...]) -> str:
    more = f" and {len(listeners) - _SHOWN} more" if len(listeners) > _SHOWN else ""
    return " and ".join(map(socket_words, listeners[:_SHOWN])) + more


def evidence_of(
    facts: Facts, protocol: str, known: NamespaceFacts, listeners: tuple[Listener, ...]
) -> tuple[Evidence, ...]:
    """The first listeners, as evidence."""
    return tuple(
        snapshot_evidence(facts, "kernel", f"{protocol} {socket_words(one)} listens", known, one.line)
        for one in listeners[:_SHOWN]
    )
