"""The filter: which connections an expression chooses, and any text at all."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

from ttrace.correlate.result.select import match_connections, select, select_handshakes
from ttrace.errors import TtraceError
from ttrace.pcapng.blocks import LinkType

from ..scene import IN, Node, correlate

LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
TRAFFIC = {
    "tcp": LINK / IP(src="172.17.0.2", dst="192.0.2.9", id=1) / TCP(sport=1000, dport=8080, flags="S"),
    "udp": LINK / IP(src="172.17.0.2", dst="198.51.100.9", id=2) / UDP(sport=1000, dport=53),
    "ping": LINK / IP(src="172.17.0.3", dst="192.0.2.9", id=3) / ICMP(type=8, id=8080),
    "arp": LINK / ARP(psrc="192.0.2.9", pdst="192.0.2.1"),
    "six": LINK / IPv6(src="fd00::2", dst="fd00::3") / TCP(sport=5, dport=443, flags="A"),
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    node = Node("host")
    node.interface("eth0", 2, addresses=["192.0.2.1"], link_type=LinkType.ETHERNET)
    for time, packet in enumerate(TRAFFIC.values()):
        node.see("eth0", IN, time, packet)
    return correlate(tmp_path_factory.mktemp("select"), node)


def names(chosen: np.ndarray) -> set[str]:
    return {name for name, found in zip(TRAFFIC, chosen, strict=True) if found}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("tcp", {"tcp", "six"}),
        ("port 8080", {"tcp"}),
        ("port 1000", {"tcp", "udp"}),
        ("host 192.0.2.9", {"tcp", "ping", "arp"}),
        ("192.0.2.9", {"tcp", "ping", "arp"}),
        ("net 172.17.0.0/24", {"tcp", "udp", "ping"}),
        ("net 172.17.0.2/31", {"tcp", "udp", "ping"}),
        ("fd00::/64", {"six"}),
        ("::/0", {"six"}),
        ("0.0.0.0/0", {"tcp", "udp", "ping", "arp"}),
        ("arp", {"arp"}),
        ("icmp or arp", {"ping", "arp"}),
        ("icmp || arp", {"ping", "arp"}),
        ("tcp and not port 443", {"tcp"}),
        ("not (tcp or udp)", {"ping", "arp"}),
        ("!tcp && !udp", {"ping", "arp"}),
        ("tcp and udp or arp", {"arp"}),
        ("tcp and (udp or arp)", set()),
        ("not not tcp", {"tcp", "six"}),
        ("(((tcp)))", {"tcp", "six"}),
    ],
)
def test_an_expression_chooses_connections(expression, expected, result):
    assert names(match_connections(result, expression)) == expected


@pytest.mark.parametrize(
    "expression",
    [" ", "and", "tcp and", "tcp udp", "(tcp", "tcp)", "()", "port", "port http", "port 65536", "port -1", "port ²",
     "port " + "9" * 5000,
     "host", "host web1", "net 10.0.0.0/33", "10.0.0", "tcp &", "tcp | udp", "& tcp", "(" * 3000,
     "not " * 3000 + "tcp", "TCP8"],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_what_is_no_expression_is_said_to_be_none(expression, result):
    with pytest.raises(TtraceError, match="cannot read the filter"):
        match_connections(result, expression)


WORDS = st.sampled_from(
    [
        "tcp",
        "host",
        "net",
        "port",
        "and",
        "or",
        "not",
        "(",
        ")",
        "&&",
        "||",
        "!",
        "&",
        "10.0.0.1",
        "::1",
        "80",
        "²",
        "/",
    ]
)
EXPRESSIONS = st.lists(WORDS | st.text(max_size=5), max_size=12).map(" ".join) | st.text(max_size=30)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expression=EXPRESSIONS)
def test_any_text_is_a_choice_or_an_error_for_people(expression, result):
    try:
        chosen = match_connections(result, expression)
    except TtraceError:
        return
    assert chosen.shape == (len(TRAFFIC),)


def test_numbers_and_expressions_narrow_each_other(result):
    assert names(select(result, expression="tcp", connections=[1, 2]).connections) == {"tcp"}
    chosen = select(result, paths=[2])
    assert (np.flatnonzero(chosen.paths).tolist(), names(chosen.connections), chosen.in_full) == ([1], {"udp"}, True)
    assert not select(result).in_full
    assert select(result).paths.all()


@pytest.mark.parametrize("number", [0, -1, 6, 10**30])
def test_numbers_that_are_not_there_are_refused(number, result):
    for what in ("paths", "connections"):
        with pytest.raises(TtraceError, match="there is no"):
            select(result, **{what: [number]})


def test_handshakes_are_what_the_demo_shows(result):
    assert names(select_handshakes(result).connections) == {"tcp"}
