"""Which frames of a capture belong to one conversation, and on which side of the box each of its ends is."""

from dataclasses import dataclass, field

from .layout import ICMPV6, PORTS, SCTP, TCP, Layout

SYN, ACK = 2, 16
NEIGHBOUR_DISCOVERY = range(130, 138)
"""Types of ICMPv6 that no router passes on, multicast listeners included."""


@dataclass(slots=True)
class Flow:
    """A conversation of two ends."""

    protocol: int
    client: tuple
    """(address, port), port None where the protocol has none."""
    server: tuple
    client_side: int | None = None
    """0 or 1; None: both ends are on the same side, or it does not leave its link."""
    frames: list = field(default_factory=list)
    """Numbers of those it has, in order."""


@dataclass(slots=True)
class Sent:
    """One frame of the capture and what is known of it."""

    layout: Layout | None
    flow: Flow | None = None
    from_client: bool = True
    datagram: int = -1
    """The frame that stands for its packet: itself, or the first fragment."""

    @property
    def direction(self):
        """0: from side 0 to side 1; 1: the other way; None: it does not cross."""
        if self.flow is None or self.flow.client_side is None:
            return None
        return self.flow.client_side ^ (not self.from_client)


def ways(layouts):
    """A Sent for each frame."""
    found, flows, pieces, sides = [], {}, {}, {}
    for number, layout in enumerate(layouts):
        sent = Sent(layout, datagram=number)
        found.append(sent)
        if layout is None or _stays(layout) or _is_broken(layout):
            continue
        if layout.is_error and layout.quoted is not None:
            sent.flow, sent.from_client = _of_error(layout, flows, sides)
        elif layout.is_fragment:
            _of_fragment(sent, number, layout, flows, sides, pieces)
        else:
            sent.flow, sent.from_client = _flow(layout, flows, sides)
        if sent.flow is not None:
            sent.flow.frames.append(number)
    return found


def _is_broken(layout):
    """No box knows what to translate: the ports are not there, or what says it is TCP is not."""
    if layout.protocol not in PORTS or layout.offset:
        return False
    return layout.ports is None or layout.broken


def _stays(layout):
    """It does not leave its link: to all, to a group, or of addresses that only count there."""
    if layout.version == 6:
        ends = (layout.source, layout.destination)
        local = any(end[0] == 0xFF or end[:2] == b"\xfe\x80" or not any(end[:15]) for end in ends)
        return local or (layout.protocol == ICMPV6 and layout.kind in NEIGHBOUR_DISCOVERY)
    odd = any(end[0] >= 224 or end[0] == 0 or end[:2] == b"\xa9\xfe" for end in (layout.source, layout.destination))
    return odd or layout.destination[3] == 255


def _ends(layout):
    ports = layout.ports if layout.ports is not None else (None, None)
    return (layout.source, ports[0]), (layout.destination, ports[1])


def _flow(layout, flows, sides):
    """(flow, whether the client sent this)."""
    source, destination = _ends(layout)
    key = (layout.protocol, *sorted((source, destination), key=repr))
    flow = flows.get(key)
    if flow is None:
        client, server = (source, destination) if _client_sends(layout) else (destination, source)
        flow = flows[key] = Flow(layout.protocol, client, server, _side(client[0], server[0], sides))
    if source[0] == destination[0] and source[1] == destination[1]:
        return flow, True
    return flow, source == flow.client


def _client_sends(layout):
    if layout.protocol == TCP and layout.flags & SYN:
        return not layout.flags & ACK
    if layout.protocol in (*PORTS, SCTP) and layout.ports is not None:
        source, destination = layout.ports
        well_known = source < 1024 <= destination
        return not well_known and not (layout.protocol == TCP and source < destination and source < 10000)
    return layout.kind not in (0, 129)


def _side(client, server, sides):
    """Of the client; ends are put on opposite sides as they come, and stay there."""
    if client == server:
        return None
    if client not in sides and server not in sides:
        sides[client] = 0
    if client not in sides:
        sides[client] = 1 - sides[server]
    if server not in sides:
        sides[server] = 1 - sides[client]
    return sides[client] if sides[client] != sides[server] else None


def _of_error(layout, flows, sides):
    """The flow whose packet it quotes: it goes back to who sent that. Else a flow of its own."""
    quoted = layout.quoted
    if quoted.source != layout.destination:
        return None, True
    if quoted.ports is None and quoted.protocol in PORTS:
        return None, True
    flow, quoted_by_client = _flow(quoted, flows, sides)
    return flow, not quoted_by_client


def _of_fragment(sent, number, layout, flows, sides, pieces):
    """That of the datagram; a fragment whose first one was not seen before has none."""
    key = (layout.source, layout.destination, layout.protocol, layout.identification)
    if not layout.offset:
        if layout.ports is None and layout.protocol in PORTS:
            return
        sent.flow, sent.from_client = _flow(layout, flows, sides)
        pieces[key] = number, sent.flow, sent.from_client
    elif key in pieces:
        sent.datagram, sent.flow, sent.from_client = pieces[key]
        if not layout.more:
            del pieces[key]
