"""Rewrites: what kind, by which rule, undone, inherited, and on which evidence."""

import pytest

from ttrace.correlate.netfilter.rulebook import RewriteKind, kind_of
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
        (MASQUERADE_TEXT, RewriteKind.MASQUERADE),
        (DNAT_TEXT, RewriteKind.DNAT),
        ("-A POSTROUTING -o eth1 -j SNAT --to-source 1.2.3.4", RewriteKind.SNAT),
        ("-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128", RewriteKind.REDIRECT),
        ("-A OUTPUT -p tcp -j REDIRECT", RewriteKind.REDIRECT),
        ('oifname != "docker0" ip saddr 172.17.0.0/16 masquerade', RewriteKind.MASQUERADE),
        ("tcp dport 8080 dnat to 172.17.0.2:80", RewriteKind.DNAT),
        ("dnat ip to tcp dport map { 80 : 10.0.0.1, 81 : 10.0.0.2 }", RewriteKind.DNAT),
        ("ip saddr 10.0.0.0/8 snat to 1.2.3.4", RewriteKind.SNAT),
        ("tcp dport 80 redirect to :3128", RewriteKind.REDIRECT),
        ("-A FORWARD -j ACCEPT", RewriteKind.UNKNOWN),
        ("-A PREROUTING -j DOCKER", RewriteKind.UNKNOWN),
        ("jump snat-rules", RewriteKind.UNKNOWN),
        ("", RewriteKind.UNKNOWN),
        ('-A FORWARD -m comment --comment "no masquerade, please" -j ACCEPT', RewriteKind.UNKNOWN),
        ('tcp dport 80 accept comment "after dnat"', RewriteKind.UNKNOWN),
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
