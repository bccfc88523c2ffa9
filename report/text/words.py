"""The words that parts of the text share, and those of an explanation: points, outcomes, times, fields, ties."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from ...correlate.explain.absent_points import Absence, AbsentPoint
from ...correlate.explain.beside import Apart
from ...correlate.explain.compared_fields import MISSING, ComparedField, Difference
from ...correlate.explain.flow_ties import TiedFlow
from ...correlate.flows.connections import Tie
from ...correlate.outcomes.kinds import Reason
from ...correlate.result.reasons import ReasonNote
from ...correlate.result.values import ChainHop, Hop, InterfaceHop, KernelHop, Path
from ...correlate.summaries.legs import LegEnd
from .units import duration, plural

_MOST_BYTES: Final = 12
"""First bytes shown in hexadecimal."""
_MOST_RIVALS: Final = 4
WORDS: Final = {
    "ip_id": "IP ID",
    "length": "length",
    "sequence": "sequence number",
    "acknowledgment": "acknowledgment",
    "tcp_flags": "flags",
    "window": "window",
    "fragment": "fragment at byte",
    "icmp_type": "ICMP type",
    "icmp_code": "ICMP code",
    "about": "about a packet of",
    "flow_label": "flow label",
    "first_bytes": "first bytes",
    "verification_tag": "verification tag",
    "protocol": "protocol",
    "datagram": "datagram",
}
NOTHING: Final = {
    Absence.EQUAL: "equal packets were seen there, which are others: see above",
    Absence.OTHER_DIRECTION: "only the other direction of this connection was seen there",
    Absence.NOTHING: "nothing of this connection was seen there",
    Absence.CAPTURE_LOST: "the capture lost packets there around that time",
}


def outcome_words(path: Path) -> str:
    """`delivered to web1`, `DROPPED`."""
    if path.outcome != "delivered":
        return path.outcome.upper()
    return f"delivered to {path.delivered_to}" if path.delivered_to else "delivered"


def failure(path: Path) -> ReasonNote | None:
    """The reason that is told of a path. That it went on in other segments needs no excuse where all were delivered."""
    segmented = path.reason is not None and path.reason.code == Reason.SEGMENTED
    return None if segmented else path.reason


def way_words(*, forward: bool) -> str:
    """Which way the packets of a connection go."""
    return "client to server" if forward else "server to client"


def some(names: Sequence[str], join: str = "or") -> str:
    """`[1] or [2]`: the first few names."""
    more = f" {join} {'another' if join == 'or' else 'others'}" if len(names) > _MOST_RIVALS else ""
    return f" {join} ".join(names[:_MOST_RIVALS]) + more


def rivals_words(connections: Sequence[int]) -> str:
    """What else a connection may be: the ids of its rivals."""
    return f"may be {some([f'[{c}]' for c in connections])} behind a translation: their packets fit equally well"


def letter(number: int) -> str:
    """A, B, … Z, then AA, AB, …"""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def where(node: str, netns: str) -> str:
    """A node, with the namespace where it is not the root."""
    return node if netns == "root" else f"{node}, {netns}"


def within(netns: str, container: str | None = None) -> str:
    """` (web1)`: what an interface leads to or is in, where that is not the root namespace."""
    return f" ({container})" if container else f" ({netns})" if netns != "root" else ""


def side(direction: str | None) -> str:
    """` in` or ` out`, where that is known."""
    return f" {direction}" if direction not in (None, "unknown") else ""


def point_name(hop: Hop) -> str:
    """Where a sighting was: capture point and direction, or chain."""
    if isinstance(hop, ChainHop):
        return f"{where(hop.node, hop.netns)} {hop.table} {hop.chain}"
    if isinstance(hop, KernelHop):
        return f"{where(hop.node, hop.netns)} {hop.says}"
    return interface_name(hop)


def interface_name(end: InterfaceHop | LegEnd) -> str:
    """`a veth1 (web1) in`."""
    return f"{end.node} {end.interface}{within(end.netns, end.container)}{side(end.direction)}"


def saw_both(hops: tuple[Hop, Hop]) -> str:
    """That one point saw both packets."""
    frames = [str(hop.frame) for hop in hops if isinstance(hop, InterfaceHop)]
    return f"{point_name(hops[0])} saw both" + (f" (frames {' and '.join(frames)})" if frames else "")


def addresses(hop: Hop) -> str:
    """`172.17.0.2:1000 -> 192.0.2.1:80`."""
    return f"{hop.source} -> {hop.destination}"


def absent_name(point: AbsentPoint) -> str:
    """A capture point, with the direction where one is meant."""
    return f"{point.node} {point.interface}{within(point.netns)}{side(point.direction)}"


def moment(time_ns: int) -> str:
    """A time on the reference clock (ns since 1970), to the nanosecond."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d} UTC"


def time_difference(seen: Apart) -> str:
    """`+24 us ± 3 us`."""
    if seen.difference_ns is None:
        return "in the trace"
    sign = "+" if seen.difference_ns >= 0 else ""
    error = ""
    if seen.clock_error_ns is None:
        error = " (clocks not comparable)"
    elif seen.clock_error_ns:
        error = f" ± {duration(seen.clock_error_ns)}"
    return f"{sign}{duration(seen.difference_ns)}{error}"


def _value(name: str, value: int | str) -> str:
    if name in ("first_bytes", "verification_tag") and isinstance(value, str) and value != MISSING:
        whole = bytes.fromhex(value)
        return whole[:_MOST_BYTES].hex(" ") + (" …" if len(whole) > _MOST_BYTES else "")
    return f"{value:#x}" if name == "flow_label" and isinstance(value, int) else str(value)


def field_words(field: ComparedField) -> str:
    """`IP ID 4711`."""
    return f"{WORDS[field.name]} {_value(field.name, field.value)}"


def difference_words(difference: Difference) -> str:
    """`IP ID 4711 instead of 4710`."""
    value, own = (_value(difference.name, v) for v in (difference.value, difference.own))
    if value == own:
        return f"other {WORDS[difference.name]}"
    words = f"{WORDS[difference.name]} {value} instead of {own}"
    if difference.name == "sequence" and isinstance(difference.value, int) and isinstance(difference.own, int):
        ahead = (difference.value - difference.own + 2**31) % 2**32 - 2**31  # it wraps (RFC 9293, 3.4)
        words += f" ({ahead:+,})"
    return words


def tie_words(flow: TiedFlow) -> str:
    """What ties a flow to one before it."""
    if flow.tied_to is None:
        return ""
    to = letter(flow.tied_to)
    number = f" (id {flow.conntrack_id})" if flow.conntrack_id is not None else ""
    votes = ""
    if flow.tie == Tie.CONTENT and flow.packets is not None:
        votes = f"{plural(flow.votes or 0, 'equal packet')}, of {flow.packets[0]:,} here and {flow.packets[1]:,} there"
    return {
        Tie.CONNTRACK: f"= {to}: a conntrack entry{number} translates one into the other",
        Tie.TRACE: f"= {to}: the trace shows one packet under both",
        Tie.ADDRESSES: f"= {to}: a packet was seen in both with the same addresses",
        Tie.SEQUENCE: f"= {to}: equal segments with the same addresses, whose sequence numbers are all shifted alike",
        Tie.CONTENT: f"= {to}: {votes}; nothing else says so",
    }[flow.tie or Tie.CONTENT]


def nothing_seen(point: AbsentPoint) -> str:
    """Why nothing is shown of a point."""
    if point.why == Absence.FILTERED:
        return f"nothing of this connection was seen there, where only `{point.filter}` is captured"
    if not point.packets:
        return "nothing at all was captured there"
    return NOTHING[point.why]
