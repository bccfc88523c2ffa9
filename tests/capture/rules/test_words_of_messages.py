"""The kernel's messages of new rules read as iptables-save and nft show them."""

import numpy as np
import pytest

from ttrace.correlate.netfilter.rule_words import words_of
from ttrace.correlate.netfilter.ruleset_message import RULE_ADDED
from ttrace.correlate.netfilter.sources import decode_messages
from ttrace.pcapng.read import read_capture

IPTABLES = """
-t nat -A PREROUTING -p tcp -m tcp --dport 8088 -j DNAT --to-destination 172.17.0.3:80
-t nat -A PREROUTING -d 10.1.0.0/16 ! -i br0 -p udp -m udp --dport 53:60 -j DNAT --to-destination 10.0.0.3-10.0.0.9:53
-t nat -A PREROUTING -p tcp -m multiport --dports 80,443,8000:8010 -j REDIRECT --to-ports 3128
-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j ACCEPT
-t nat -A POSTROUTING -s 172.16.0.0/12 ! -o docker0 -j MASQUERADE
-t nat -A POSTROUTING -o eth+ -p tcp -j SNAT --to-source 10.0.0.1:1024-2000 --persistent
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m comment --comment "two words" -j REJECT --reject-with tcp-reset
-A FORWARD ! -s 1.2.3.4/32 -p icmp -j LOG --log-prefix "bad: "
-A FORWARD -p tcp -m tcp --sport 1:5 ! --dport 22 -j DROP
""".strip().splitlines()
NFT = """
tcp dport 8088 dnat ip to 172.17.0.3:80
ip saddr 10.0.0.0/24 tcp dport 80-90 dnat ip to 172.17.0.3-172.17.0.9:80-90
meta nfproto ipv6 udp dport 53 dnat ip6 to [fd00::2]:80
iifname "eth0" ct state established,related accept
tcp dport 81 ip daddr 10.0.0.0/12 redirect to :3128
tcp flags syn / syn,rst drop
""".strip().splitlines()


@pytest.fixture
def said(network, start):
    """Runs commands in the router while it is captured; returns the words of the rules that were added."""

    def run(commands: list[list[str]]) -> list[str]:
        capture = start(network.router)
        capture.wait_ready()
        for command in commands:
            network.run(network.router, *command)
        capture.stop()
        file = read_capture(str(capture.path))
        added = [
            m
            for m in decode_messages(file, 0, np.zeros(len(file.interfaces), np.uint16)).ruleset
            if m.kind == RULE_ADDED
        ]
        return [words_of(*one.of[:3], one.data) for one in added if one.of[1] != "ttrace"]

    return run


def test_rules_of_iptables(said):
    commands = [["sh", "-c", f"iptables-nft {line}"] for line in IPTABLES]
    assert said(commands) == [line.removeprefix("-t nat ") for line in IPTABLES]


def test_rules_of_nft(said):
    chain = "add table inet shop; add chain inet shop pre { type nat hook prerouting priority -100; }"
    commands = [["nft", chain], *(["nft", f"add rule inet shop pre {line}"] for line in NFT)]
    assert said(commands) == NFT
