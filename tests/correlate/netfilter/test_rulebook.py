"""What the text of a rule says that it does: reject or drop, which translation, or neither."""

import pytest

from ttrace.correlate.netfilter.rulebook import RewriteKind, kind_of, statement_of


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("-A FORWARD -j DROP", "drop"),
        ("-A FORWARD -p tcp -j REJECT --reject-with tcp-reset", "reject"),
        ('-A FORWARD -m comment --comment "reject nobody" -j DROP', "drop"),
        ('-A FORWARD -m comment --comment "say \\" -j REJECT \\"" -j DROP', "drop"),
        ("-A FORWARD -j REJECT-LOG", ""),
        ("-A FORWARD -j reject", ""),
        ("tcp dport 22 drop", "drop"),
        ("drop", "drop"),
        ("reject with icmp port-unreachable", "reject"),
        ("tcp dport 22 reject with tcp reset", "reject"),
        ('tcp dport 22 drop comment "no reject"', "drop"),
        ('log prefix "reject: " drop', "drop"),
        ("ip saddr @reject drop", "drop"),
        ("jump reject", ""),
        ("ip saddr 10.0.0.0/8 goto drop-all", ""),
        ("ct state established accept", "accept"),
        ("-A POSTROUTING -j MASQUERADE", "masquerade"),
        ("counter", ""),
        ("", ""),
    ],
)
def test_what_a_rule_does_is_in_its_text_but_not_in_its_comments(text, statement):
    assert statement_of(text) == statement


def test_a_chain_that_is_named_like_a_target_translates_nothing():
    assert kind_of("-A PREROUTING -j DNAT-web") == RewriteKind.UNKNOWN
    assert kind_of("-A PREROUTING -j DNAT --to-destination 10.0.0.1") == RewriteKind.DNAT
