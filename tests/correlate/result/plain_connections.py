"""What columns say of connections, one by one: the specification of members.py, connection_state.py and
connection_ending.py, written to be read."""

import numpy as np

from ttrace.correlate.outcomes.kinds import OUTCOMES, Outcome, Reason
from ttrace.correlate.protocols import TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from ttrace.correlate.result.words import endpoint, packet_info
from ttrace.correlate.schema import NOTE_ERROR, NOTE_OUTER
from ttrace.correlate.sightings import FRAME, of_kind

HANDSHAKE = TCP_SYN | TCP_ACK


def paths_of(result, index):
    return np.flatnonzero(result.connection_of_path == index)


def counted(result, paths):
    """Without ICMP errors about it, unless these are all there is."""
    own = paths[(result.sightings["notes"][result.head[paths]] & NOTE_ERROR) == 0]
    return own if own.size else paths


def outcome(result, paths):
    found = {int(one) for one in result.outcomes.outcome[counted(result, paths)]}
    return OUTCOMES[next((one for one in (Outcome.DROPPED, Outcome.LOST, Outcome.DELIVERED) if one in found), 3)]


def ends(result, paths):
    """(client, server) by their own addresses."""
    forward = result.forward_of_path[paths]
    use = paths[forward] if forward.any() else paths
    longest = use[np.argmax(result.first_hop[use + 1] - result.first_hop[use])]
    first = result.sightings[result.head[longest]]
    rows = result.sightings[result.hops["sighting"][result.first_hop[longest] : result.first_hop[longest + 1]]]
    itself = np.flatnonzero((rows["notes"] & NOTE_OUTER) == 0)
    last = rows[itself[-1] if itself.size else -1]
    if forward.any():
        return endpoint(first, "source"), endpoint(last, "destination")
    return endpoint(last, "destination"), endpoint(first, "source")


def state(result, paths):
    paths = counted(result, paths)
    rows, forward = result.sightings[result.head[paths]], result.forward_of_path[paths]
    if (result.outcomes.reason[paths] == Reason.REFUSED).any():
        return "refused"
    if rows["notes"][0] & NOTE_ERROR:
        return "cut"  # what it is about was not seen
    if rows["protocol"][0] != TCP:
        return "complete" if forward.any() and not forward.all() else "unanswered"
    return state_of_tcp(rows["tcp_flags"], forward, result.outcomes.outcome[paths] == Outcome.DROPPED)


def state_of_tcp(flags, forward, dropped):
    begins, answers = (flags & HANDSHAKE) == TCP_SYN, (flags & HANDSHAKE) == HANDSHAKE
    resets, finished = (flags & TCP_RST) != 0, (flags & TCP_FIN) != 0
    if begins.any() and not answers.any():
        if (resets & ~forward).any() and not (forward & ~begins).any():
            return "refused"
        if forward.all():
            return "unanswered"
    if forward.all() or not forward.any():
        return "unanswered" if begins.any() else "cut"
    if resets.any():
        return "reset"
    if begins.any() and answers.any() and not (forward & ~begins & ~dropped).any():
        return "half-open"
    if begins.any() and (finished & forward).any() and (finished & ~forward).any():
        return "complete"
    return "cut"


def ending(result, paths):
    said, paths = state(result, paths), counted(result, paths)
    rows, forward = result.sightings[result.head[paths]], result.forward_of_path[paths]
    is_tcp = rows["protocol"][0] == TCP
    if said in ("refused", "reset"):
        return said + by_whom(result, paths, rows, forward)
    if said == "unanswered" and forward.sum() > 1:
        return f"{said} ({'SYN ' if is_tcp else ''}x{forward.sum():,})"
    if said == "half-open":
        return f"{said} (SYN-ACK x{((rows['tcp_flags'] & HANDSHAKE) == HANDSHAKE).sum():,}, never acknowledged)"
    if said == "cut" and is_tcp:
        return cut(result, paths, rows)
    return said


def by_whom(result, paths, rows, forward):
    for row, is_forward in zip(rows, forward, strict=True):
        if row["protocol"] == TCP and row["tcp_flags"] & TCP_RST:
            return f" by the {'client' if is_forward else 'server'}, {endpoint(row, 'source')} (RST)"
    for error in result.outcomes.related[paths]:
        if error >= 0:
            row = result.sightings[int(result.head[error])]
            return f" by {endpoint(row, 'source')} (ICMP {packet_info(row)})"
    return ""


def cut(result, paths, rows):
    if not ((rows["tcp_flags"] & HANDSHAKE) == TCP_SYN).any():
        return "begun before the capture"
    node = result.topology.namespaces[int(rows["namespace"][0])].node
    silent_s = (result.coverage.end_ns.get(node, 0) - int(result.times_ns[result.head[paths]].max())) / 1e9
    if silent_s >= 5 and not (rows["tcp_flags"] & TCP_FIN).any():
        return f"open, and idle for {silent_s:.0f} s at the end of the capture"
    return "cut by the end of the capture"


def views(result, index):
    """(node, interface, source, destination), by the client's packets, in order of time."""
    first = {}
    for row in range(of_kind(result.sightings, FRAME).stop):
        seen, forward = result.sightings[row], result.connections.forward[row]
        if result.connections.connection[row] == index and not seen["notes"] & NOTE_ERROR:
            flow = int(seen["flow" if forward else "flow_reverse"])
            rank = int(result.times_ns[row]), row
            first[int(seen["place"]), flow] = min(first.get((int(seen["place"]), flow), rank), rank)
    order = sorted(first.items(), key=lambda item: (item[1][0], item[0]))
    found = []
    for (place, _), (_, row) in order:
        point, names = result.topology.points[place], ("source", "destination")
        forward = result.connections.forward[row]
        one, other = (endpoint(result.sightings[row], name) for name in (names if forward else names[::-1]))
        found.append((point.node, point.interface, one, other))
    return found
