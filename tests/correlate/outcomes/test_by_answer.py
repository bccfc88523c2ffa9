"""What answers tell: who refused, and what nobody answered."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, IPv6

from ..scene import IN, OUT, correlate, docker_host, keep_recording, paths
from .test_by_flow import CLIENT, LATER, SERVER, UNKNOWN, Talk, many, points
from .test_by_flow import keep_recording as keep_plain


def refused(*nodes, port: int = 5000):
    """A SYN that all of these see, and the RST, the other way."""
    talk = Talk(port, 40_000, 900_000)
    talk.show(talk.packet("S", 100, 0, 0, back=False), *nodes)
    talk.show(talk.packet("RA", 0, 101, 0, back=True), *reversed(nodes))


def test_a_syn_that_is_answered_with_a_reset_at_the_last_point_was_refused_by_the_end(tmp_path):
    client, server = points("client", "server")
    many([client, server], [server, client], 3)
    refused(client, server)
    keep_plain(client, server)
    result = correlate(tmp_path, client, server)
    sent = next(p for p in paths(result) if p.info == "SYN" and p.hops[0].source.endswith(":5000"))
    assert (sent.outcome, sent.reason.kind) == ("delivered", "refused")
    assert [c.state for c in result.connection_list() if c.client.endswith(":5000")] == ["refused"]


def test_a_reset_from_where_others_went_on_may_be_a_firewalls(tmp_path):
    """They come to the server; this one, and the answer, are seen in front of the firewall only."""
    client, server = points("client", "server")
    many([client, server], [server, client], 9)
    refused(client)
    keep_plain(client, server)
    sent = next(
        p for p in paths(correlate(tmp_path, client, server)) if p.info == "SYN" and p.hops[0].source.endswith(":5000")
    )
    assert sent.outcome == "unknown"


def test_states_of_connections(tmp_path):
    (client,) = points("client")
    Talk(4000, 100, 0).whole([client], [client])  # goes on behind the capture
    unanswered = Talk(4001, 1000, 100)
    unanswered.show(unanswered.packet("S", 1, 0, 0, back=False), client)
    half = Talk(4002, 2000, 200)
    half.show(half.packet("S", 1, 0, 0, back=False), client)
    half.show(half.packet("SA", 1, 2, 0, back=True), client)
    reset = Talk(4003, 3000, 300)
    reset.whole([client], [client])
    reset.show(reset.packet("R", 561, 0, 0, back=True), client)
    complete = Talk(4004, 4000, 400)
    complete.whole([client], [client])
    complete.show(complete.packet("FA", 131, 561, 0, back=False), client)
    complete.show(complete.packet("FA", 561, 132, 0, back=True), client)
    found = {c.client.rpartition(":")[2]: c.state for c in correlate(tmp_path, client).connection_list()}
    assert found == {"4000": "cut", "4001": "unanswered", "4002": "half-open", "4003": "reset", "4004": "complete"}


@pytest.mark.parametrize("answered", [True, False])
def test_a_neighbour_solicitation_reached_somebody_only_if_the_address_was_advertised(answered, tmp_path):
    host = docker_host()
    asked = IPv6(src="fe80::1", dst="ff02::1:ff00:9", hlim=255) / ICMPv6ND_NS(tgt="fe80::9")
    host.see("eth0", OUT, 0, asked)
    if answered:
        host.see("eth0", IN, 50, IPv6(src="fe80::9", dst="fe80::1", hlim=255) / ICMPv6ND_NA(tgt="fe80::9", S=1))
    keep_recording(host)
    path = paths(correlate(tmp_path, host))[0]
    assert (path.outcome, path.reason.kind if path.reason else None) == (
        ("delivered", None) if answered else ("unknown", "unanswered")
    )


def test_a_ping_that_nobody_answers_did_not_arrive_for_sure(tmp_path):
    client, server = points("client", "server")
    ping = IP(src=CLIENT, dst=SERVER, id=1) / ICMP(id=7, seq=1) / b"abcdefgh"
    client.see("eth0", UNKNOWN, 0, ping)
    server.see("eth0", UNKNOWN, 100, ping)
    server.see("eth0", UNKNOWN, LATER, IP(src="10.0.0.9", dst="10.0.0.8", id=1) / TCP(sport=1, dport=2))
    path = paths(correlate(tmp_path, client, server))[0]
    assert (path.outcome, path.reason.kind) == ("unknown", "unanswered")


@pytest.mark.parametrize(
    ("says", "expected"),
    [("A", ("delivered", None)), ("R", ("delivered", None)), ("S", ("unknown", "unanswered"))],
    ids=["acknowledges", "resets", "repeats its SYN"],
)
def test_a_syn_ack_arrived_where_the_client_says_more_than_its_syn(says, expected, tmp_path):
    """It came to the client's interface; whether a rule dropped it there, no plain capture shows."""
    client, server = points("client", "server")
    talk = Talk(5000, 10, 90)
    talk.show(talk.packet("S", 100, 0, 0, back=False), client, server)
    talk.show(talk.packet("SA", 700, 101, 0, back=True), server, client)
    number = 100 if says == "S" else 101
    talk.show(talk.packet(says, number, 701 if says == "A" else 0, 0, back=False), client, server)
    keep_plain(client, server)
    path = next(p for p in paths(correlate(tmp_path, client, server)) if p.info.startswith("SYN,ACK"))
    assert (path.outcome, path.reason.kind if path.reason else None) == expected
