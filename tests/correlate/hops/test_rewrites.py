"""Rewrites: what kind, by which rule, undone, inherited, and on which evidence."""

import pytest

from ttrace.correlate.netfilter.rulebook import Kind, kind_of
from ttrace.tests.cases.masquerade_traced.make import connection_out

from ..scene import (
    correlate,
    docker_host,
    paths,
)

WEB1, HOST, FAR = "172.17.0.2", "192.0.2.1", "203.0.113.1"
MASQUERADE_TEXT = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
DNAT_TEXT = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
CT = 77


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


def test_each_change_joins_two_consecutive_hops(tmp_path):
    host = docker_host()
    connection_out(host)
    for path in paths(correlate(tmp_path, host)):
        for rewrite in path.rewrites:
            assert rewrite.before_hop == rewrite.after_hop + 1
            assert getattr(path.hops[rewrite.after_hop], rewrite.field) == rewrite.old
            assert getattr(path.hops[rewrite.before_hop], rewrite.field) == rewrite.new
