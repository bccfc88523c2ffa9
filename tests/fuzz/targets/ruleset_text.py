"""Listings of `nft -a list ruleset`, `iptables-save` and `iptables-legacy-save`, and what rules' words say."""

import random

from ttrace.correlate.netfilter.rulebook import kind_of, statement_of
from ttrace.correlate.netfilter.rules import parse_ruleset
from ttrace.correlate.netfilter.translation_targets import translation_targets

from ..mutator import Records
from ..recordings import snapshots

MARK = "\x1dsaved\x1d"
"""Between the listing of nft and that of iptables."""
RECORDS = Records(lambda data: data.splitlines(keepends=True), b"".join)


def seeds() -> list[bytes]:
    rulesets = [snapshot["data"] for snapshot in snapshots() if snapshot["kind"] == "ruleset"]
    found = [(one["nft"] or "") + MARK + ((one["iptables"] or {}).get("ip") or "") for one in rulesets]
    return [text.encode() for text in dict.fromkeys(found)]


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    return RECORDS.mutant(rng, seed, others)


def run(data: bytes) -> None:
    listing, _, saved = data.decode("utf-8", "surrogateescape").partition(MARK)
    both = {"ip": saved, "ip6": saved}
    ruleset = parse_ruleset({"nft": listing, "json": None, "iptables": both, "legacy": both, "generation": 1})
    rules = [*ruleset.rules.values(), *ruleset.legacy.values()]
    for rule in rules:
        statement_of(rule.text), kind_of(rule.text)
    translation_targets(rules)
