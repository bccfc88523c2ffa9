"""The ruleset as text and JSON of one generation."""

import json

from ttrace.capture.rules.ruleset import read_ruleset, tables_without_owner
from ttrace.capture.rules.tracing_table import TracingTable


def test_tables_with_an_owner_are_left_out_of_the_json():
    text = (
        "table ip nat {\n\tchain a {\n\t}\n}\n"
        "table inet ttrace { # progname x\n\tflags owner\n}\n"
        "table inet f {\n\tset s {\n\t\tflags owner\n\t}\n}\n"
    )
    assert tables_without_owner(text) == [("ip", "nat"), ("inet", "f")]


def test_ruleset_pairs_text_json_and_iptables_of_one_generation(router):
    table = TracingTable(router)
    table.load(match=None, limit=0)
    for _ in range(20):
        rules = read_ruleset(router)
        assert rules["consistent"] is True
        assert rules["generation"] > 0
        assert {"ttrace"}.isdisjoint(json.dumps(rules["json"]).split('"'))
        assert "handle" in rules["nft"]
        assert "-j MASQUERADE" in rules["iptables"]["ip"]
    table.close()
