"""Rewrites: what kind, by which rule, undone, inherited, and on which evidence."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror

from ttrace.correlate.netfilter.rulebook import Kind, kind_of

from ..scene import (
    ACCEPT,
    DNAT,
    DNAT_RULE,
    DOCKER0,
    DUMPED,
    ETH0,
    IN,
    JUMP_RULE,
    MASQUERADE_RULE,
    OUT,
    SNAT,
    correlate,
    docker_host,
    paths,
    steps,
)

WEB1, HOST, FAR = "172.17.0.2", "192.0.2.1", "203.0.113.1"
MASQUERADE_TEXT = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
DNAT_TEXT = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
CT = 77


def tcp(
    source: str,
    destination: str,
    sport: int,
    dport: int,
    *,
    flags: str = "S",
    ip_id: int = 1,
    ttl: int = 64,
    seq: int = 1,
):
    return IP(src=source, dst=destination, id=ip_id, ttl=ttl) / TCP(sport=sport, dport=dport, flags=flags, seq=seq)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (MASQUERADE_TEXT, Kind.MASQUERADE),
        (DNAT_TEXT, Kind.DNAT),
        ("-A POSTROUTING -o eth1 -j SNAT --to-source 1.2.3.4", Kind.SNAT),
        ("-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128", Kind.REDIRECT),
        ("-A OUTPUT -p tcp -j REDIRECT", Kind.REDIRECT),
        ('oifname != "docker0" ip saddr 172.17.0.0/16 masquerade', Kind.MASQUERADE),
        ("tcp dport 8080 dnat to 172.17.0.2:80", Kind.DNAT),
        ("dnat ip to tcp dport map { 80 : 10.0.0.1, 81 : 10.0.0.2 }", Kind.DNAT),
        ("ip saddr 10.0.0.0/8 snat to 1.2.3.4", Kind.SNAT),
        ("tcp dport 80 redirect to :3128", Kind.REDIRECT),
        ("-A FORWARD -j ACCEPT", Kind.UNKNOWN),
        ("-A PREROUTING -j DOCKER", Kind.UNKNOWN),
        ("jump snat-rules", Kind.UNKNOWN),
        ("", Kind.UNKNOWN),
        ('-A FORWARD -m comment --comment "no masquerade, please" -j ACCEPT', Kind.UNKNOWN),
        ('tcp dport 80 accept comment "after dnat"', Kind.UNKNOWN),
    ],
)
def test_the_kind_is_in_the_text_of_the_rule(text, kind):
    assert kind_of(text) == kind


def connection_out(host, *, traced: bool = True, conntrack: bool = True) -> None:
    """web1 opens a connection through MASQUERADE: SYN, SYN-ACK, ACK."""
    out = [tcp(WEB1, FAR, 1000, 80, ip_id=1), tcp(WEB1, FAR, 1000, 80, ip_id=2, flags="A", seq=2)]
    wire = [tcp(HOST, FAR, 1000, 80, ip_id=1, ttl=63), tcp(HOST, FAR, 1000, 80, ip_id=2, flags="A", seq=2, ttl=63)]
    for number, start in enumerate((0, 1000)):
        host.see("docker0", IN, start, out[number])
        host.see("eth0", OUT, start + 9, wire[number])
        if traced:
            ct = (CT, 0, SNAT)
            host.trace(start + 20, out[number], "FORWARD", iif=DOCKER0, oif=ETH0, ct=ct)
            if number == 0:
                host.trace(
                    start + 21,
                    out[0],
                    "POSTROUTING",
                    table="nat",
                    oif=ETH0,
                    rules=[("POSTROUTING", MASQUERADE_RULE, ACCEPT)],
                    policy=None,
                    ct=ct,
                )
    if conntrack:
        host.conntrack(22, ((WEB1, 1000), (FAR, 80)), ((FAR, 80), (HOST, 1000)), status=SNAT, ct_id=CT)
    back, inside = (
        tcp(FAR, HOST, 80, 1000, ip_id=9, flags="SA", seq=5),
        tcp(FAR, WEB1, 80, 1000, ip_id=9, flags="SA", seq=5, ttl=63),
    )
    host.see("eth0", IN, 500, back)
    host.see("docker0", OUT, 509, inside)
    if traced:
        host.trace(520, inside, "FORWARD", iif=ETH0, oif=DOCKER0, ct=(CT, 1, SNAT))


def told(path) -> list[tuple]:
    return [(r.field, r.old, r.new, r.kind, r.undo, r.evidence, r.rule.text if r.rule else None) for r in path.rewrites]


def test_a_traced_masquerade_names_its_rule_and_later_packets_inherit_it(tmp_path):
    host = docker_host()
    connection_out(host)
    syn, answer, ack = paths(correlate(tmp_path, host))
    there = ("source", f"{WEB1}:1000", f"{HOST}:1000", "masquerade", False)
    assert told(syn) == [(*there, "trace", MASQUERADE_TEXT)]
    assert told(ack) == [(*there, "conntrack", MASQUERADE_TEXT)]
    back = ("destination", f"{HOST}:1000", f"{WEB1}:1000", "masquerade", True, "conntrack", MASQUERADE_TEXT)
    assert told(answer) == [back]
    assert (syn.forward, answer.forward) == (True, False)


def test_conntrack_alone_says_that_it_was_translated_and_no_rule(tmp_path):
    host = docker_host()
    connection_out(host, traced=False)
    syn, answer, _ = paths(correlate(tmp_path, host))
    assert told(syn) == [("source", f"{WEB1}:1000", f"{HOST}:1000", "snat", False, "conntrack", None)]
    assert told(answer) == [("destination", f"{HOST}:1000", f"{WEB1}:1000", "snat", True, "conntrack", None)]
    assert syn.confidence == 1


def test_the_snapshot_of_an_entry_made_before_is_enough(tmp_path):
    host = docker_host()
    connection_out(host, traced=False, conntrack=False)
    host.conntrack(-100, ((WEB1, 1000), (FAR, 80)), ((FAR, 80), (HOST, 1000)), status=SNAT, ct_id=CT, event=DUMPED)
    assert [len(path.rewrites) for path in paths(correlate(tmp_path, host))] == [1, 1, 1]


def test_a_translation_of_the_destination_and_its_undoing(tmp_path):
    host = docker_host()
    before, after = tcp(FAR, HOST, 7, 8080), tcp(FAR, WEB1, 7, 80, ttl=63)
    host.see("eth0", IN, 0, before)
    host.see("docker0", OUT, 9, after)
    host.trace(
        20,
        before,
        "PREROUTING",
        table="nat",
        iif=ETH0,
        rules=[("PREROUTING", JUMP_RULE, "DOCKER"), ("DOCKER", DNAT_RULE, ACCEPT)],
        policy=None,
        ct=(CT, 0, DNAT),
    )
    host.trace(21, after, "FORWARD", iif=ETH0, oif=DOCKER0, ct=(CT, 0, DNAT))
    host.conntrack(22, ((FAR, 7), (HOST, 8080)), ((WEB1, 80), (FAR, 7)), status=DNAT, ct_id=CT)
    host.see("docker0", IN, 100, tcp(WEB1, FAR, 80, 7, flags="SA", ip_id=0))
    host.see("eth0", OUT, 109, tcp(HOST, FAR, 8080, 7, flags="SA", ip_id=0, ttl=63))
    request, answer = paths(correlate(tmp_path, host))
    assert [r.kind for r in request.rewrites] == ["dnat"]
    assert steps(request)[:3] == ["eth0 in", "PREROUTING", "FORWARD"]
    (rewrite,) = request.rewrites
    assert (rewrite.after_hop, rewrite.before_hop, rewrite.rule.handle, rewrite.rule.text) == (
        1,
        2,
        DNAT_RULE,
        DNAT_TEXT,
    )
    assert told(answer) == [("source", f"{WEB1}:80", f"{HOST}:8080", "dnat", True, "conntrack", DNAT_TEXT)]


def test_hairpin_changes_both_ends(tmp_path):
    host = docker_host()
    before, after = tcp(WEB1, HOST, 9, 8080), tcp("172.17.0.1", "172.17.0.3", 9, 80, ttl=63)
    host.see("docker0", IN, 0, before)
    host.see("docker0", OUT, 9, after)
    host.conntrack(20, ((WEB1, 9), (HOST, 8080)), (("172.17.0.3", 80), ("172.17.0.1", 9)), status=SNAT | DNAT, ct_id=CT)
    (path,) = paths(correlate(tmp_path, host))
    assert [(r.field, r.kind, r.undo) for r in path.rewrites] == [
        ("source", "snat", False),
        ("destination", "dnat", False),
    ]


def test_an_echo_request_is_translated_with_its_identifier(tmp_path):
    host = docker_host()
    for number in (1, 2):
        host.see("docker0", IN, number * 100, IP(src=WEB1, dst=FAR, id=number) / ICMP(type=8, id=5, seq=number))
        host.see(
            "eth0", OUT, number * 100 + 9, IP(src=HOST, dst=FAR, id=number, ttl=63) / ICMP(type=8, id=6, seq=number)
        )
    host.conntrack(120, ((WEB1, 5), (FAR, 8)), ((FAR, 6), (HOST, 0)), protocol=1, status=SNAT, ct_id=CT)
    found = paths(correlate(tmp_path, host))
    assert [told(path) for path in found] == [[("source", WEB1, HOST, "snat", False, "conntrack", None)]] * 2


def test_an_icmp_error_belongs_to_the_connection_it_is_about(tmp_path):
    host = docker_host()
    host.see("docker0", IN, 0, IP(src=WEB1, dst=FAR, id=1) / UDP(sport=5, dport=6))
    host.see("eth0", OUT, 9, IP(src=HOST, dst=FAR, id=1, ttl=63) / UDP(sport=5, dport=6))
    host.conntrack(10, ((WEB1, 5), (FAR, 6)), ((FAR, 6), (HOST, 5)), protocol=17, status=SNAT, ct_id=CT)
    for point, way, address in (("eth0", IN, HOST), ("docker0", OUT, WEB1)):
        about = IPerror(src=address, dst=FAR, id=1) / UDPerror(sport=5, dport=6)
        host.see(point, way, 100, IP(src="198.51.100.1", dst=address, id=2) / ICMP(type=11) / about)
    result = correlate(tmp_path, host)
    assert result.connections.count == 1
    _, error = paths(result)
    assert [(r.field, r.old, r.new) for r in error.rewrites] == [("destination", HOST, WEB1)]


def test_each_change_joins_two_consecutive_hops(tmp_path):
    host = docker_host()
    connection_out(host)
    for path in paths(correlate(tmp_path, host)):
        for rewrite in path.rewrites:
            assert rewrite.before_hop == rewrite.after_hop + 1
            assert getattr(path.hops[rewrite.after_hop], rewrite.field) == rewrite.old
            assert getattr(path.hops[rewrite.before_hop], rewrite.field) == rewrite.new
