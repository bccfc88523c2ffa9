"""Rules from the kernel's messages, in the words of the tool that made them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttrace.correlate.netfilter.rule_words import words_of

from . import rule_messages as made

TCP_SYN_ONLY = struct.pack("<HHHHBBBB", 0, 65535, 1, 1023, 0, 0x06, 0x02, 0x02)
MULTIPORT = struct.pack("<BB15H15BB", 1, 4, 80, 443, 8000, 8010, *[0] * 11, 0, 0, 1, 0, *[0] * 11, 1)
CONNTRACK = bytes(146) + struct.pack("<HHHH", 1, 0, 4 | 2, 0) + bytes(8)
OLD_RANGE = (
    struct.pack("<I", 1) + struct.pack("<I", 3) + bytes([10, 0, 0, 1, 10, 0, 0, 1]) + struct.pack(">HH", 1024, 2000)
)
NETWORK = made.payload(1, 12, 2) + made.compare(bytes([172, 17]))


def words(table: str, expressions: bytes, family: str = "ip") -> str:
    return words_of(family, table, "C", made.rule_attributes(table, "C", 2, expressions))


@pytest.mark.parametrize(
    ("expressions", "text"),
    [
        (
            made.tcp_to(8080) + made.dnat("172.17.0.3", 80),
            "-p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.3:80",
        ),
        (
            made.extension("match", "tcp", 0, TCP_SYN_ONLY) + made.verdict(0),
            "-m tcp ! --dport 1:1023 --tcp-flags SYN,RST SYN -j DROP",
        ),
        (
            made.extension("match", "multiport", 1, MULTIPORT) + made.verdict(1),
            "-m multiport ! --dports 80,443,8000:8010 -j ACCEPT",
        ),
        (
            made.extension("match", "comment", 0, b"it's mine\0") + made.verdict(-5),
            r'-m comment --comment "it\'s mine" -j RETURN',
        ),
        (
            made.extension("match", "conntrack", 3, CONNTRACK) + made.verdict(1),
            "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
        (
            made.extension("match", "addrtype", 1, struct.pack("<HHI", 0, 4, 0)) + made.verdict(-3, "DOCKER"),
            "-m addrtype --dst-type LOCAL -j DOCKER",
        ),
        (made.extension("match", "quota2", 9, b"\1\2") + made.verdict(-4, "X"), "-m quota2 … -g X"),
        (
            NETWORK
            + made.meta(7)
            + made.compare(b"docker0\0", 1)
            + made.extension("target", "MASQUERADE", 0, bytes(20)),
            "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        ),
        (
            made.meta(6) + made.compare(b"eth") + made.extension("target", "SNAT", 0, OLD_RANGE),
            "-i eth+ -j SNAT --to-source 10.0.0.1:1024-2000",
        ),
        (made.extension("target", "REJECT", 0, struct.pack("<I", 7)), "-j REJECT --reject-with tcp-reset"),
        (made.extension("target", "LOG", 0, b"\4\0bad: \0" + bytes(24)), '-j LOG --log-prefix "bad: "'),
        (
            made.extension("target", "DNAT", 2, made.dnat_range(1, "10.0.0.1", "10.0.0.9")),
            "-j DNAT --to-destination 10.0.0.1-10.0.0.9",
        ),
        (made.expression("quota") + made.verdict(0), "… -j DROP"),
    ],
)
def test_a_rule_of_iptables_reads_as_iptables_save_has_it(expressions, text):
    assert words("nat", expressions) == f"-A C {text}"


TO_ONE = made.constant(1, bytes([172, 17, 0, 3])) + made.constant(2, struct.pack(">H", 80))


@pytest.mark.parametrize(
    ("expressions", "text"),
    [
        (
            made.tcp_to(8080)
            + TO_ONE
            + made.expression("nat", made.word(1, 1), made.word(2, 2), made.word(3, 1), made.word(5, 2)),
            "tcp dport 8080 dnat to 172.17.0.3:80",
        ),
        (
            made.payload(1, 16, 4)
            + made.mask(bytes([255, 240, 0, 0]))
            + made.compare(bytes([10, 16, 0, 0]))
            + made.verdict(0),
            "ip daddr 10.16.0.0/12 drop",
        ),
        (
            made.meta(16)
            + made.compare(b"\x11")
            + made.payload(2, 0, 2)
            + made.compare(b"\0\x35", 5)
            + made.compare(b"\0\x3c", 3),
            "udp sport 53-60",
        ),
        (made.constant(2, b"\x0c\x38") + made.expression("redir", made.word(1, 2)), "redirect to :3128"),
        (made.expression("masq"), "masquerade"),
        (
            made.meta(6)
            + made.expression("lookup", made.attribute(1, b"inside\0"), made.word(2, 1), made.word(5, 1))
            + made.verdict(1),
            "iifname != @inside accept",
        ),
        (
            made.payload(1, 12, 4)
            + made.expression("lookup", made.attribute(1, b"__set0\0"), made.word(2, 1))
            + made.verdict(1),
            "ip saddr { … } accept",
        ),
        (
            made.expression("counter") + made.expression("reject", made.word(1, 1), made.word(2, 0)),
            "reject with tcp reset",
        ),
        (made.expression("tunnel", made.word(1, 1)) + made.verdict(-3, "x"), "tunnel … jump x"),
    ],
)
def test_a_rule_of_nft_reads_as_nft_lists_it(expressions, text):
    assert words("shop", expressions) == text


def test_in_inet_a_translation_names_the_address_family():
    to = TO_ONE + made.expression("nat", made.word(1, 1), made.word(2, 2), made.word(3, 1), made.word(5, 2))
    assert words("shop", to, "inet") == "dnat ip to 172.17.0.3:80"


@given(data=st.binary(max_size=200), cut=st.integers(0, 400))
def test_any_bytes_are_some_words(data, cut):
    whole = made.rule_attributes("nat", "C", 2, made.tcp_to(80) + made.dnat("10.0.0.1", 80))
    for rule in (data, whole[:cut] + data, made.rule_attributes("nat", "C", 2, data)):
        for family in ("ip", "inet", "bridge"):
            assert isinstance(words_of(family, "nat", "C", rule), str)


@given(info=st.binary(max_size=80), revision=st.integers(0, 3))
def test_any_structure_of_an_extension_is_some_words(info, revision):
    for kind, names in (("match", ("tcp", "udp", "multiport", "conntrack", "addrtype", "comment", "state")),
                        ("target", ("DNAT", "SNAT", "MASQUERADE", "REDIRECT", "REJECT", "LOG", "X"))):  # fmt: skip
        for name in names:
            assert name in words("nat", made.extension(kind, name, revision, info))
            assert words("nat", made.extension(kind, name, revision, info), "ip6")


HUGE = b"\xff" * 3000
"""As a number it has more digits than Python writes."""


@pytest.mark.fault("messages of rules", "numbers of 3,000 bytes, loads of 4 GB", "words with `…`, at once")
@pytest.mark.parametrize(
    "expressions",
    [
        made.payload(2, 2, 2) + made.compare(HUGE),
        made.payload(1, 8, 4) + made.compare(HUGE),
        made.expression("payload", made.word(1, 1), *(made.attribute(i, HUGE) for i in (2, 3, 4))),
        made.payload(2, 2, 0xFFFFFFFF) + made.compare(b"\1"),
        made.expression("reject", made.attribute(1, HUGE), made.attribute(2, HUGE)),
        made.expression("meta", made.attribute(2, HUGE), made.attribute(1, HUGE)) + made.compare(HUGE),
        made.expression("ct", made.attribute(2, HUGE), made.attribute(1, HUGE)) + made.compare(HUGE),
        made.constant(1, HUGE) + made.expression("nat", *(made.attribute(i, HUGE) for i in range(1, 8))),
    ],
)
def test_numbers_that_are_none_of_the_kernel_s(expressions):
    for family in ("ip", "ip6", "inet", "bridge", "netdev"):
        for table in ("nat", "mine"):
            assert len(words(table, expressions, family)) < 500
