"""Which addresses and ports the words of a rule name as the new ones."""

import numpy as np
import pytest

from ttrace.correlate.netfilter.rules import Rule
from ttrace.correlate.netfilter.translation_targets import translation_targets


def target(text: str) -> np.void:
    rule = Rule(family="ip", table="nat", chain="C", handle=2, number=1, text=text)
    return translation_targets([rule])[0]


def v4(address: str) -> int:
    return 0xFFFF << 32 | int.from_bytes(bytes(map(int, address.split("."))), "big")


@pytest.mark.parametrize(
    ("text", "first", "last", "ports"),
    [
        ("-A C -p tcp -j DNAT --to-destination 10.0.0.2:80", "10.0.0.2", "10.0.0.2", (80, 80)),
        ("-A C -j DNAT --to-destination 10.0.0.2-10.0.0.9", "10.0.0.2", "10.0.0.9", None),
        ("-A C -j DNAT --to-destination 10.0.0.2:80-90/8080", "10.0.0.2", "10.0.0.2", (80, 90)),
        ("-A C -j SNAT --to-source 10.0.0.2:1024-2000 --persistent", "10.0.0.2", "10.0.0.2", (1024, 2000)),
        ("-A C -j NETMAP --to 10.0.1.0/24", "10.0.1.0", "10.0.1.255", None),
        ("-A C -p tcp -j REDIRECT --to-ports 3128", None, None, (3128, 3128)),
        ("-A C -j MASQUERADE --to-ports 1000-2000", None, None, (1000, 2000)),
        ("-A C -j MASQUERADE", None, None, None),
        ('-A C -m comment --comment "dnat --to-destination 10.9.9.9" -j MASQUERADE', None, None, None),
        ("tcp dport 8080 dnat to 10.0.0.2:80", "10.0.0.2", "10.0.0.2", (80, 80)),
        ("dnat ip to 10.0.0.2-10.0.0.9:80-90 random", "10.0.0.2", "10.0.0.9", (80, 90)),
        ("redirect to :3128", None, None, (3128, 3128)),
        ("dnat ip to tcp dport map { 80 : 10.0.0.1, 81 : 10.0.0.2 }", None, None, None),
        ("dnat to numgen inc mod 2 map { 0 : 10.0.0.1 }", None, None, None),
        ('accept comment "dnat to 10.0.0.1"', None, None, None),
        ("", None, None, None),
    ],
)
def test_what_a_rule_translates_to(text, first, last, ports):
    found = target(text)
    assert bool(found["with_addresses"]) == (first is not None)
    if first is not None:
        assert (found["first_low"], found["last_low"]) == (v4(first), v4(last))
    assert bool(found["with_ports"]) == (ports is not None)
    if ports is not None:
        assert (found["first_port"], found["last_port"]) == ports


@pytest.mark.parametrize("text", ["-A C -j DNAT --to-destination [fd00::2]:80", "dnat ip6 to [fd00::2]:80"])
def test_an_address_of_ipv6(text):
    found = target(text)
    assert (found["first_high"], found["first_low"], found["first_port"]) == (0xFD00 << 48, 2, 80)
