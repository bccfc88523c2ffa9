"""Tuples that two flows want, and bindings that point nowhere."""

from scapy.layers.inet import ICMP, IP, TCP, UDP

from ttrace.report.telling import Telling

from ..scene import (
    DESTROYED,
    DNAT,
    DOCKER0,
    DUMPED,
    ETH0,
    IN,
    NEW,
    OUT,
    SNAT,
    correlate,
    docker_host,
    keep_recording,
)

OUTSIDE, SERVER = "192.0.2.1", ("203.0.113.1", 80)
FIRST, SECOND = ("172.17.0.2", 4444), ("172.17.0.3", 4444)
WANTED = (OUTSIDE, 4444)


def clashes(tmp_path, *, ended_us: float | None = None):
    """A SYN whose translation leads to what another flow has; `ended_us`: when the entry of that ended."""
    host = docker_host()
    host.conntrack(10, (FIRST, SERVER), (SERVER, WANTED), event=NEW, status=SNAT, ct_id=1)
    if ended_us is not None:
        host.conntrack(ended_us, (FIRST, SERVER), (SERVER, WANTED), event=DESTROYED, status=SNAT, ct_id=1)
    time_us = 1_000_000
    syn = IP(src=SECOND[0], dst=SERVER[0], id=9) / TCP(sport=SECOND[1], dport=80, flags="S", seq=3)
    host.see("docker0", IN, time_us, syn)
    translated = syn.copy()
    translated[IP].src = OUTSIDE
    interfaces = {"iif": DOCKER0, "oif": ETH0}
    host.trace(time_us + 5, syn, "prerouting_last", family="inet", table="ttrace", iif=DOCKER0)
    host.trace(time_us + 6, syn, "forward_last", family="inet", table="ttrace", **interfaces)
    host.trace(time_us + 7, translated, "postrouting_last", family="inet", table="ttrace", oif=ETH0)
    keep_recording(host)
    found = Telling.chosen(correlate(tmp_path, host)).head[0]
    return [one for one in found if one.kind == "conntrack_clash"]


def test_the_flow_that_has_the_tuple_is_named(tmp_path):
    (found,) = clashes(tmp_path)
    assert found.text == (
        "host: tcp 172.17.0.3:4444 -> 203.0.113.1:80 was to leave as 192.0.2.1:4444 -> 203.0.113.1:80, and conntrack "
        "has that for 172.17.0.2:4444 -> 203.0.113.1:80: the kernel drops the one that is confirmed second, 1 SYN"
    )
    assert found.evidence[0].what == "conntrack"


def test_an_entry_that_had_ended_is_in_nobodys_way(tmp_path):
    assert not clashes(tmp_path, ended_us=500_000)


CLIENT, PUBLISHED, GONE = ("203.0.113.9", 5555), (OUTSIDE, 8125), ("172.17.0.7", 8125)


def stale(tmp_path, *, event: str = DUMPED, code: int | None = 1):
    """Datagrams that an entry translates to where nobody answers; `code`: of the ICMP error about them."""
    host = docker_host()
    host.conntrack(0, (CLIENT, PUBLISHED), (GONE, CLIENT), event=event, protocol=17, status=DNAT, ct_id=4)
    for number in range(2):
        time_us = 1_000_000 * (number + 1)
        datagram = IP(src=CLIENT[0], dst=OUTSIDE, id=number + 1) / UDP(sport=5555, dport=8125) / b"metric"
        host.see("eth0", IN, time_us, datagram)
        translated = datagram.copy()
        translated[IP].dst, translated[IP].ttl = GONE[0], 63
        host.trace(time_us + 4, translated, "prerouting_last", family="inet", table="ttrace", iif=ETH0)
        if code is not None:
            error = IP(src=OUTSIDE, dst=CLIENT[0], id=70 + number) / ICMP(type=3, code=code) / bytes(datagram)
            host.see("eth0", OUT, time_us + 3000, error)
    keep_recording(host)
    return [one for one in Telling.chosen(correlate(tmp_path, host)).head[0] if one.kind == "stale_translation"]


def test_a_binding_older_than_the_capture_that_leads_to_nobody(tmp_path):
    (found,) = stale(tmp_path)
    assert found.text == (
        "host still sends udp 203.0.113.9:5555 -> 192.0.2.1:8125 (host) to 172.17.0.7:8125, by a conntrack entry that "
        "is older than the capture, and nothing answers there: 2 packets, given up with an ICMP error"
    )
    assert found.advice.startswith("`conntrack -D -p udp -s 203.0.113.9 --sport 5555` removes the entry")


def test_a_binding_of_the_capture_itself_is_not_stale(tmp_path):
    assert not stale(tmp_path, event=NEW)


def test_silence_alone_does_not_make_a_binding_stale(tmp_path):
    """Many datagrams need no answer."""
    assert not stale(tmp_path, code=None)
