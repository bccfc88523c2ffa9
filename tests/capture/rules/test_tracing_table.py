"""The tracing table: its text, and that it goes with its socket."""

import pytest

from ttrace.capture.rules.tracing_table import TracingTable, split_match, table_text
from ttrace.errors import TtraceError


def test_buckets_share_the_limit():
    text = table_text(match=None, limit=1000)
    assert "rate 500/second burst 500 packets" in text
    assert text.count("rate 250/second burst 250 packets") == 2
    assert "limit" not in table_text(match=None, limit=0)


def test_alternatives_are_rules_of_their_own():
    assert split_match("tcp dport 80; tcp sport { 80, 81 }") == ["tcp dport 80", "tcp sport { 80, 81 }"]
    assert split_match(None) == [""]


@pytest.mark.parametrize("match", ["", ";", "tcp dport 80 }", "} {", "a\nb", "tcp dport 80 # x", 'iif "x"'])
def test_match_that_is_no_plain_match_is_refused(match):
    with pytest.raises(TtraceError, match="--trace-match"):
        split_match(match)


@pytest.mark.parametrize(
    "match", [None, "udp dport 53", "icmp type echo-request", "ip saddr 10.0.0.0/8", "tcp dport 1"]
)
@pytest.mark.parametrize("limit", [0, 1, 1000])
def test_table_loads_with_every_kind_of_match_and_goes_with_its_socket(network, router, match, limit):
    table = TracingTable(router)
    table.load(match=match, limit=limit)
    listed = network.run(network.router, "nft", "list", "table", "inet", "ttrace")
    assert "flags owner" in listed
    assert listed.count("chain ") == 7
    table.close()
    assert "ttrace" not in network.run(network.router, "nft", "list", "tables")
