"""Ruleset snapshots: handles and positions to the words of the rules, and any text at all."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ttrace.correlate import correlate_captures
from ttrace.correlate.netfilter.rules import parse_ruleset, parse_rulesets
from ttrace.correlate.nodes.snapshots import gather_snapshots
from ttrace.correlate.nodes.sources import Source

from ..scene import ACCEPT_RULE, DNAT_RULE, IPTABLES_RULES, MASQUERADE_RULE

NATIVE = """table inet shop { # handle 4
	set allowed { # handle 1
		type ipv4_addr
		elements = { 10.0.0.1 }
	}
	chain in { # handle 2
		type filter hook input priority 5; policy drop;
		ip saddr @allowed counter packets 12 bytes 3456 accept # handle 3
		tcp dport 80 accept comment "see # handle 99" # handle 5
	}
}
"""


def test_iptables_rules_have_their_handle_from_nft_and_their_words_from_iptables_save():
    ruleset = parse_ruleset(IPTABLES_RULES)
    rule = ruleset.rules[("ip", "nat", "DOCKER", DNAT_RULE)]
    assert rule.text == "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    assert rule.number == 2
    assert ruleset.rules[("ip", "nat", "POSTROUTING", MASQUERADE_RULE)].text.endswith("-j MASQUERADE")
    assert ruleset.rules[("ip", "filter", "FORWARD", ACCEPT_RULE)].number == 2


def test_with_another_number_of_rules_nfts_own_words_stay():
    changed = IPTABLES_RULES | {"iptables": {"ip": "*nat\n-A DOCKER -j RETURN\nCOMMIT\n", "ip6": None}}
    rule = parse_ruleset(changed).rules[("ip", "nat", "DOCKER", DNAT_RULE)]
    assert rule.text == 'iifname != "docker0" tcp dport 8080 dnat to 172.17.0.2:80'


def test_native_rules_have_their_words_without_counters():
    rules = parse_ruleset({"nft": NATIVE}).rules
    assert {key[3]: rule.text for key, rule in rules.items()} == {
        3: "ip saddr @allowed accept",
        5: 'tcp dport 80 accept comment "see # handle 99"',
    }
    assert {key[:3] for key in rules} == {("inet", "shop", "in")}


def test_base_chains_have_hook_and_priority():
    chain = parse_ruleset(IPTABLES_RULES).chains[("ip", "nat", "PREROUTING")]
    assert (chain.kind, chain.hook, chain.priority, chain.policy) == ("nat", "prerouting", -100, "accept")


def test_legacy_rules_are_named_by_position():
    saved = "*filter\n:INPUT ACCEPT [1:2]\n[3:4] -A INPUT -i lo -j ACCEPT\n[0:0] -A INPUT -j DROP\nCOMMIT\n"
    ruleset = parse_ruleset({"legacy": {"ip": saved, "ip6": None}})
    assert ruleset.legacy[("ip", "filter", "INPUT", 2)].text == "-A INPUT -j DROP"


LINES = st.sampled_from(
    ["table ip nat {", "table", "\tchain X {", "\tchain", "\t}", "}", "\t\taccept # handle 5",
     "\t\t# handle 9999999999999999999999",
     "*nat", "*", ":", ":X - [0:0]", "[0:0] :", "-A", "-A X", "-A X -j Y", "[0:0] -A X -j Y", "[1:2]", "\x1c",
     "-A \x1c", ": \x85"]
)  # fmt: skip
TEXT = st.lists(LINES | st.text(max_size=20), max_size=12).map("\n".join) | st.text(max_size=60)


@settings(deadline=None)
@given(nft=TEXT, saved=TEXT, legacy=TEXT)
def test_any_text_is_some_rules(nft, saved, legacy):
    data = {"nft": nft, "iptables": {"ip": saved, "ip6": saved}, "legacy": {"ip": legacy, "ip6": None}}
    ruleset = parse_ruleset(data)
    assert all(rule.number >= 1 for rule in [*ruleset.rules.values(), *ruleset.legacy.values()])


def test_what_did_not_change_between_two_snapshots_is_held_once():
    path = str(Path(__file__).parents[3] / "pcaps" / "docker-demo" / "master.pcapng")
    result = correlate_captures([path])
    snapshots = gather_snapshots([result.capture(0)], [Source(path=path)])
    earlier, later = parse_rulesets(result.topology, snapshots)[0]
    taken = [data for _, data in snapshots.rulesets[("master", "root")]]
    assert [earlier.rules, later.rules] == [parse_ruleset(data).rules for data in taken]
    assert earlier.rules.keys() > later.rules.keys()  # those that switch tracing on go first
    for key, rule in later.rules.items():
        assert rule is earlier.rules[key]
