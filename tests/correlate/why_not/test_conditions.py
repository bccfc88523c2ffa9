"""What rules ask, in the words of both tools: each kind of match, and values that it holds for or not."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.correlate.why_not.conditions import ADDRESSES, Fact
from ttrace.correlate.why_not.evaluate import holds
from ttrace.correlate.why_not.iptables_conditions import iptables_conditions
from ttrace.correlate.why_not.looks import ABSENT
from ttrace.correlate.why_not.nft_conditions import nft_conditions
from ttrace.correlate.why_not.nft_sets import listed

S, D, SP, DP = Fact.SOURCE, Fact.DESTINATION, Fact.SOURCE_PORT, Fact.DESTINATION_PORT
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PACKET = {
    Fact.FAMILY: 4, Fact.PROTOCOL: TCP, S: "192.168.77.2", D: "172.17.0.2", SP: 40001, DP: 80, Fact.INPUT: "eth0",
    Fact.OUTPUT: "docker0", Fact.PORT_IN: "veth1", Fact.PORT_OUT: "", Fact.CT_STATE: 8, Fact.CT_STATUS: 32,
    Fact.CT_DIRECTION: 0, Fact.CT_MARK: 0x10, Fact.MARK: 0x105, Fact.CT_SOURCE: "192.168.77.2",
    Fact.CT_DESTINATION: "192.168.77.1", Fact.CT_SOURCE_PORT: 40001, Fact.CT_DESTINATION_PORT: 8080,
    Fact.CT_REPLY_SOURCE: "172.17.0.2", Fact.CT_REPLY_DESTINATION: "192.168.77.2", Fact.CT_REPLY_SOURCE_PORT: 80,
    Fact.CT_REPLY_DESTINATION_PORT: 40001, Fact.ICMP_TYPE: ABSENT, Fact.ICMP_CODE: ABSENT, Fact.TCP_FLAGS: 2,
    Fact.LENGTH: 60, Fact.TTL: 63, Fact.FRAGMENT: 0, Fact.SOURCE_TYPE: 1, Fact.DESTINATION_TYPE: 2,
    Fact.SOURCE_TYPE_AT_INPUT: 1, Fact.DESTINATION_TYPE_AT_INPUT: 2,
}  # fmt: skip
"""A SYN to a published port, behind its DNAT."""
PING = {Fact.PROTOCOL: ICMP, Fact.ICMP_TYPE: 8, Fact.ICMP_CODE: 0, SP: ABSENT, DP: ABSENT, Fact.TCP_FLAGS: ABSENT}
PING6 = PING | {Fact.FAMILY: 6, Fact.PROTOCOL: ICMPV6, Fact.ICMP_TYPE: 128, S: "2001:db8::2", D: "2001:db8::1"}
SETS = {
    "blocked": "set blocked {\n flags interval\n elements = { 10.0.0.0/8, 192.168.77.2-192.168.77.9 }\n}",
    "named": 'set named {\n type ipv4_addr\n elements = { 192.168.77.2 comment "a, b }", 10.0.0.1 }\n}',
    "pairs": "set pairs {\n type ipv4_addr . inet_service\n elements = { 172.17.0.2 . 80, 172.17.0.3 . 53 }\n}",
    "banned": "set banned {\n type ipv4_addr\n flags timeout\n elements = { 192.168.77.2 timeout 1h expires 3s }\n}",
    "empty": "set empty {\n type ipv4_addr\n}",
    "ports": "map ports {\n type inet_service : verdict\n elements = { 443 : accept, 80 : jump web }\n}",
    "names": 'set names {\n type ifname\n flags interval\n elements = { "eth*", "docker0" }\n}',
}


def value(fact, packet):
    found = packet[fact]
    if fact not in ADDRESSES:
        return found
    address = ip_address(found)
    return int(address) | (0xFFFF << 32 if address.version == 4 else 0)


def ask(condition, packet):
    parts = [holds(one)(tuple(value(fact, packet) for fact in one.facts)) for one in (*condition.requires, condition)]
    return False if False in parts else None if None in parts else True


def ask_all(conditions, packet):
    return [ask(one, packet) for one in conditions]


def in_iptables(text, **changed):
    return ask_all(iptables_conditions(f"-A X {text} -j DROP"), PACKET | changed)


def in_nft(text, packet=PACKET):
    return ask_all(nft_conditions(text, lambda name: listed(SETS[name]) if name in SETS else None), packet)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-s 192.168.77.2/32", True), ("-s 10.0.0.0/8", False), ("! -s 10.0.0.0/8", True),
        ("! -d 172.17.0.2/32", False),
        ("-s 192.168.0.0/255.255.0.0", True), ("-p tcp", True), ("-p udp", False), ("! -p udp", True), ("-p 6", True),
        ("-p udp -m udp --dport 80", [False, True]),
        ("-i eth0", True), ("-i docker0", False), ("! -i docker0", True), ("-i eth+", True), ("-o doc+", True),
        ("-o eth+", False), ("-i +", True), ("--dport 80", True), ("--dport 79:81", True), ("--dport :79", False),
        ("--dport 81:", False), ("! --dport 80", False), ("--sport 1024:65535", True),
        ("-m multiport --dports 22,80", True), ("-m multiport --dports 22,81:90", False),
        ("-m multiport ! --dports 22,80", False), ("-m multiport --ports 40001", True),
        ("-m multiport --ports 1:22", False), ("-m multiport --sports 40000:40010", True),
        ("-m conntrack --ctstate NEW", True), ("-m conntrack --ctstate RELATED,ESTABLISHED", False),
        ("-m conntrack ! --ctstate INVALID", True), ("-m state --state NEW", True),
        ("-m conntrack --ctstate DNAT", True),
        ("-m conntrack --ctstate SNAT", False), ("-m conntrack --ctstatus DNAT,ASSURED", True),
        ("-m conntrack --ctstatus NONE", False), ("-m conntrack --ctdir ORIGINAL", True),
        ("-m conntrack --ctorigdst 192.168.77.1", True), ("-m conntrack --ctorigdst 172.17.0.2", False),
        ("-m conntrack --ctorigdstport 8080", True), ("-m conntrack --ctorigdstport 80", False),
        ("-m conntrack --ctorigsrc 192.168.77.0/24", True), ("-m conntrack --ctreplsrc 172.17.0.2", True),
        ("-m conntrack --ctrepldstport 1:100", False), ("-m conntrack --ctproto 6", True),
        ("-m mark --mark 0x5", False), ("-m mark --mark 0x5/0xff", True), ("-m mark ! --mark 0x5/0xff", False),
        ("-m mark --mark 0x100/0x100", True), ("-m connmark --mark 0x10", True), ("-m connmark --mark 0x105", False),
        ("-m addrtype --dst-type LOCAL", True), ("-m addrtype --src-type LOCAL", False),
        ("-m addrtype ! --src-type LOCAL,BROADCAST", True), ("-m iprange --src-range 192.168.77.1-192.168.77.9", True),
        ("-m iprange ! --dst-range 172.17.0.1-172.17.0.9", False),
        ("-m tcp --tcp-flags FIN,SYN,RST,ACK SYN", True), ("-m tcp --tcp-flags SYN,ACK SYN,ACK", False),
        ("-m tcp --tcp-flags ALL NONE", False), ("--syn", True), ("! --syn", False),
        ("-m physdev --physdev-in veth1", True), ("-m physdev --physdev-in veth+", True),
        ("-m physdev --physdev-in veth2", False), ("-m physdev --physdev-is-in", True),
        ("-m physdev --physdev-is-out", False), ("-m ttl --ttl-lt 64", True), ("-m ttl --ttl-gt 63", False),
        ("-m ttl --ttl-eq 63", True), ("-m length --length 40:60", True), ("-m length --length 61:", False),
        ("-f", False), ("! -f", True),
    ],
)  # fmt: skip
def test_conditions_of_iptables(text, said):
    assert in_iptables(text) == (said if isinstance(said, list) else [said])


@pytest.mark.parametrize(
    ("text", "said"),
    [("--icmp-type 8", True), ("--icmp-type 0", False), ("--icmp-type 8/0", True), ("--icmp-type 8/1", False),
     ("--icmp-type any", True), ("--icmp-type echo-request", True), ("! --icmp-type 8", False)],
)  # fmt: skip
def test_types_of_icmp(text, said):
    assert ask_all(iptables_conditions(f"-A X -m icmp {text} -j DROP"), PACKET | PING) == [said]


def test_types_of_icmp_in_version_6():
    assert ask_all(iptables_conditions("-A X -m icmp6 --icmpv6-type echo-request"), PACKET | PING6) == [True]
    assert in_nft("icmpv6 type { echo-request, nd-neighbor-solicit }", PACKET | PING6) == [True]
    assert in_nft("icmp type echo-request", PACKET | PING6) == [False]


@pytest.mark.parametrize(
    "text",
    ["-m limit --limit 1/hour --limit-burst 1", "-m statistic --mode random --probability 0.5",
     "-m owner --uid-owner 0",
     "-m recent --rcheck --seconds 60 --name x", '-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"',
     '-m string --string "-j ACCEPT" --algo bm', "-m set --match-set bad src", "-m addrtype --limit-iface-in",
     "-m u32 --u32 0x6&0xff=1", "-m tcp --tcp-option 8", "-m mark --mark none", "-m connlimit --connlimit-above 3"],
)  # fmt: skip
def test_what_cannot_be_evaluated_neither_holds_nor_fails_and_the_rest_is_read(text):
    assert in_iptables(f"-p tcp {text} -m tcp --dport 81") == [True, None, False]


def test_a_comment_asks_nothing():
    assert in_iptables('-p tcp -m comment --comment "-p udp" -m tcp --dport 80') == [True, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ip saddr 192.168.77.2", True), ("ip saddr 10.0.0.0/8", False), ("ip saddr != 10.0.0.0/8", True),
        ("ip daddr 172.17.0.1-172.17.0.9", True), ("ip6 saddr ::1", False), ("ip6 saddr != ::1", False),
        ("ip saddr { 10.0.0.1, 192.168.77.0/24 }", True), ("ip saddr != { 10.0.0.1, 192.168.77.0/24 }", False),
        ("ip saddr @blocked", True), ("ip daddr @blocked", False), ("ip saddr @named", True),
        ("ip saddr @empty", False),
        ("ip saddr != @empty", True), ("iifname @names", True), ("oifname @names", True),
        ("tcp dport 80", True), ("tcp dport 81", False), ("udp dport 80", False), ("udp dport != 81", False),
        ("th dport 80", True), ("tcp dport 79-81", True), ("tcp dport != 79-81", False), ("tcp dport < 81", True),
        ("tcp dport >= 81", False), ("tcp dport { 22, 80-90 }", True), ("tcp sport { 22, 80-90 }", False),
        ("ip daddr . tcp dport @pairs", True), ("ip daddr . tcp dport { 172.17.0.2 . 81 }", False),
        ("ip daddr . tcp dport { 172.17.0.0/16 . 79-81 }", True), ("ip saddr . udp dport { 10.0.0.1 . 53 }", False),
        ("tcp dport vmap { 80 : accept, 443 : drop }", True), ("tcp dport vmap @ports", True),
        ("tcp sport vmap @ports", False), ("ct state vmap { established : accept, invalid : drop }", False),
        ("ct state new", True), ("ct state established,related", False), ("ct state { new, related }", True),
        ("ct state != invalid", True), ("ct status dnat", True), ("ct status snat", False),
        ("ct status ! dnat", False), ("ct direction original", True), ("ct mark 0x00000010", True),
        ("ct mark & 0x0000000f == 0x00000001", False), ("ct original proto-dst 8080", True),
        ("ct original ip daddr 192.168.77.1", True), ("ct reply ip saddr 172.17.0.3", False),
        ("meta mark 0x00000005", False), ("meta mark & 0x000000ff == 0x00000005", True),
        ("meta mark and 0xff != 0x5", False), ("mark 0x00000105", True), ("meta l4proto tcp", True),
        ("meta l4proto { udp, icmp }", False), ("meta nfproto ipv4", True), ("meta nfproto ipv6", False),
        ("meta protocol ip6", False), ("ip protocol tcp", True), ("iifname \"eth*\"", True), ("iifname \"eth\"", False),
        ("iif \"eth0\"", True), ("meta iifname != \"docker0\"", True), ("oifname { \"docker*\", \"br-*\" }", True),
        ("fib daddr type local", True), ("fib saddr type local", False), ("fib daddr type { local, broadcast }", True),
        ("fib daddr . iif type local", True), ("tcp flags syn", True), ("tcp flags == syn", True),
        ("tcp flags ack", False), ("tcp flags ! ack", True), ("tcp flags & (fin | syn | rst | ack) == syn", True),
        ("tcp flags syn / fin,syn,rst,ack", True), ("tcp flags != syn / fin,syn,rst,ack", False),
        ("tcp flags { syn, syn | ack }", True), ("meta length 1-40", False), ("ip ttl < 64", True),
        ("iifname \"eth0\" counter tcp dport 81 drop", [True, False]),
        ("log prefix \"x tcp dport 81 \" level warn", []),
        ("tcp dport 80 comment \"tcp dport 81\"", True), ("ip daddr 172.17.0.2 dnat to 10.0.0.1:80", True),
        ("dnat ip to tcp dport map { 80 : 10.0.0.1, 81 : 10.0.0.2 }", True), ("jump web", []),
        ("dnat to tcp dport map { 81 : 10.0.0.2 }", False), ("meta mark set tcp dport map { 81 : 0x1 }", False),
        ("meta mark set meta mark | 0x00000010 tcp dport 80", True), ("ct mark set meta mark accept", []),
    ],
)  # fmt: skip
def test_conditions_of_nft(text, said):
    assert in_nft(text) == (said if isinstance(said, list) else [said])


@pytest.mark.parametrize(
    "text",
    ["limit rate 10/minute burst 5 packets", "limit rate over 100/second", "meta skuid 0", "ip dscp cs1",
     "@th,16,16 0x50",
     "ip saddr @banned", "ip saddr @nowhere", "ip saddr { … }", "numgen random mod 2 == 0", "ct count over 10",
     "update @meter { ip saddr limit rate 10/second }", "socket transparent 1", "fib saddr . iif oif missing",
     'xt match "string"', "ether saddr 00:11:22:33:44:55", "tcp option maxseg size 1-500", "quota over 10 mbytes"],
)  # fmt: skip
def test_what_cannot_be_evaluated_in_nft_neither_holds_nor_fails_and_the_rest_is_read(text):
    assert in_nft(f"meta l4proto tcp {text} tcp dport 81 drop") == [True, None, False]


def test_what_is_not_known_of_a_packet_neither_holds_nor_fails():
    unknown = PACKET | {Fact.CT_STATE: None, Fact.INPUT: None, Fact.PORT_IN: None}
    assert in_nft('ct state new iifname != "eth0" tcp dport 80', unknown) == [None, None, True]


def test_what_a_packet_has_not_fails_and_so_does_the_contrary():
    ping = PACKET | PING
    assert ask_all(iptables_conditions("-A X --dport 80"), ping) == [False]
    assert ask_all(iptables_conditions("-A X ! --dport 80"), ping) == [False]
    assert in_nft("th dport != 80", ping) == [False]


WORDS = (
    "! -s -d -p -m -j tcp udp --dport --sport 80 80:90 : , 1.2.3.4/33 --tcp-flags SYN --mark 0x1/zz --icmp-type 3/x "
    "NEW,DNAT conntrack --ports eth+ - -- set multiport ip saddr daddr ip6 dport { } ( ) . @x == != < & | / vmap map "
    "fin,syn meta mark ct state original proto-dst fib type 0-1 accept counter packets log prefix flags limit rate xt "
    "match dnat to update * ::1 ::/0 1-2-3 … iifname add numgen comment"
)
SOME_WORDS = st.sampled_from([*WORDS.split(), '"', '"a b"', '"eth*"'])


@settings(deadline=None, max_examples=200)
@given(st.lists(SOME_WORDS | st.text(max_size=6), max_size=10).map(" ".join))
def test_any_words_are_some_conditions(text):
    found = nft_conditions(text, lambda _: listed(f"elements = {{ {text} }} }}")) + iptables_conditions(f"-A X {text}")
    for condition in found:
        assert condition.unknown or condition.facts
        assert holds(condition)(tuple(80 for _ in condition.facts)) in (True, False, None)
