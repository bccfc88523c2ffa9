"""A packet that seems lost, where an equal one begins elsewhere."""

import pytest
from scapy.layers.inet import IP, UDP

from ..scene import correlate, paths
from .test_by_flow import CLIENT, SERVER, UNKNOWN, count_losses, keep_recording, points


def datagram(number: int, source: str = CLIENT, words: bytes = b"") -> IP:
    return IP(src=source, dst=SERVER, id=100 + number) / UDP(sport=1000, dport=2000) / (words or b"words %d" % number)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_an_equal_packet_may_be_is_not_lost(elsewhere, tmp_path):
    """One of two may be this one, translated: which of them, nobody can tell."""
    client, server = points("client", "server")
    for number in range(20):
        client.see("eth0", UNKNOWN, 1000 * number, datagram(number))
        if number != 10:
            server.see("eth0", UNKNOWN, 1000 * number + 100, datagram(number))
    for number in range(2 if elsewhere else 0):
        other = IP(src=f"10.77.0.{number}", dst=SERVER, id=110, ttl=63) / UDP(sport=7777, dport=2000) / b"words 10"
        server.see("eth0", UNKNOWN, 10_200 + number, other)
    keep_recording(client, server)
    count_losses(client, server)
    found = paths(correlate(tmp_path, client, server))
    missing = next(p for p in found if p.start_ns - found[0].start_ns == 10_000_000)
    assert len(missing.hops) == 1
    if elsewhere:
        assert missing.outcome == "unknown"
    else:
        assert (missing.outcome, missing.reason.kind) == ("lost", "wire")
