"""The JSON contract of docs/json.md: every field is there, with its type, and says what the scene was."""

import json

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.select import select
from ttrace.report import render
from ttrace.report.json import path_slice
from ttrace.tests.correlate.scene import Node

from ..scenes import B_AHEAD_US, request_and_answer

text_or_none, number_or_none = (str, type(None)), (int, type(None))
RULE = {"family": str, "table": str, "chain": str, "handle": number_or_none, "number": number_or_none, "text": str}
CAPTURE = {
    "file": str, "node": str, "packets": int, "trace_events": int, "conntrack_events": int, "lost": int,
    "truncated": bool, "shared_packets": int, "nothing_in_common": (dict, type(None)),
    "clock_offset_ns": int, "clock_error_ns": number_or_none, "interfaces": list,
}  # fmt: skip
INTERFACE = {"name": str, "netns": str, "packets": int, "lost": int}
CONNECTION = {"id": int, "protocol": str, "client": str, "server": str, "outcome": str, "views": list, "paths": list}
VIEW = {"node": str, "netns": str, "interface": str, "source": str, "destination": str}
PATH = {
    "id": int, "connection": int, "protocol": str, "info": str, "outcome": str, "reason": (dict, type(None)),
    "confidence": (int, float), "hops": list, "rewrites": list,
}  # fmt: skip
INTERFACE_HOP = {
    "kind": str, "node": str, "netns": str, "interface": str, "direction": str, "time_ns": int, "source": str,
    "destination": str,
    "ttl": int, "length": int, "frame": dict,
}  # fmt: skip
CHAIN_HOP = {
    "kind": str, "node": str, "netns": str, "hook": str, "family": str, "table": str, "chain": str, "priority": int,
    "time_ns": int,
    "source": str, "destination": str, "rules": list, "verdict": str,
}  # fmt: skip
MATCH = {"chain": str, "handle": number_or_none, "text": str, "verdict": str}
REWRITE = {
    "node": str, "netns": str, "after_hop": int, "before_hop": int, "field": str, "from": str, "to": str,
    "kind": str, "undo": bool,
    "evidence": str, "rule": (dict, type(None)),
}  # fmt: skip
FINDING = {
    "id": int, "kind": str, "severity": str, "text": str, "advice": text_or_none, "confidence": (int, float),
    "time_ns": int, "node": text_or_none, "packets": int, "connection_count": int, "connections": list, "paths": list,
    "rule": (dict, type(None)), "evidence": list,
}  # fmt: skip
EVIDENCE = {"what": str, "text": str, "file": text_or_none, "frame": number_or_none, "line": number_or_none}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return correlate_captures(request_and_answer(tmp_path_factory.mktemp("scene")))


def document(result, **asked) -> dict:
    return json.loads("".join(render(result, select(result, **asked), "json")))


def assert_fields(values: list[dict], fields: dict[str, object]) -> None:
    assert values
    for value in values:
        for name, kind in fields.items():
            assert name in value, name
            assert isinstance(value[name], kind), f"{name}: {value[name]!r}"
            assert not (kind is int and isinstance(value[name], bool)), name


def test_every_field_has_its_type(result):
    found = document(result)
    assert found["schema"] == 1
    assert set(found) == {"schema", "captures", "findings", "connections", "paths"}
    hops = [hop for path in found["paths"] for hop in path["hops"]]
    chains = [hop for hop in hops if hop["kind"] == "chain"]
    rewrites = [rewrite for path in found["paths"] for rewrite in path["rewrites"]]
    assert_fields(found["captures"], CAPTURE)
    assert_fields(found["findings"], FINDING)
    assert_fields([one for finding in found["findings"] for one in finding["evidence"]], EVIDENCE)
    assert_fields([i for capture in found["captures"] for i in capture["interfaces"]], INTERFACE)
    assert_fields(found["connections"], CONNECTION)
    assert_fields([view for connection in found["connections"] for view in connection["views"]], VIEW)
    assert_fields(found["paths"], PATH)
    assert_fields([hop for hop in hops if hop["kind"] == "interface"], INTERFACE_HOP)
    assert_fields(chains, CHAIN_HOP)
    assert_fields([match for hop in chains for match in hop["rules"]], MATCH)
    assert_fields(rewrites, REWRITE)
    rules = [r["rule"] for r in rewrites] + [p["reason"]["rule"] for p in found["paths"] if p["reason"]]
    rules += [finding["rule"] for finding in found["findings"]]
    assert_fields([rule for rule in rules if rule], RULE)
    assert {hop["kind"] for hop in hops} == {"interface", "chain"}
    assert all(set(hop["frame"]) == {"file", "number"} for hop in hops if hop["kind"] == "interface")


def test_a_file_with_nothing_in_common_says_why(result, tmp_path):
    odd = Node("odd")
    odd.interface("eth0", 2)
    files = [file.path for file in result.files]
    found = document(correlate_captures([*files, odd.write(tmp_path)]))["captures"]
    assert [(c["shared_packets"], c["nothing_in_common"]) for c in found[:2]] == [(3, None), (3, None)]
    assert found[2]["shared_packets"] == 0
    assert found[2]["nothing_in_common"] == {
        "scope": "file", "kind": "empty", "text": "it holds no packets", "chatter_packets": 0
    }  # fmt: skip


def test_the_clock_of_the_second_node_is_told_with_its_error(result):
    _, capture = document(result)["captures"]
    assert abs(capture["clock_offset_ns"] - B_AHEAD_US * 1000) <= capture["clock_error_ns"]


def test_times_of_a_path_never_go_back_between_frames(result):
    for path in document(result)["paths"]:
        times = [hop["time_ns"] for hop in path["hops"] if hop["kind"] == "interface"]
        assert times == sorted(times)


def test_indices_and_frames_point_at_what_they_name(result):
    found = document(result)
    files = {capture["file"]: capture for capture in found["captures"]}
    seen = set()
    for path in found["paths"]:
        for rewrite in path["rewrites"]:
            before, after = path["hops"][rewrite["after_hop"]], path["hops"][rewrite["before_hop"]]
            assert (before[rewrite["field"]], after[rewrite["field"]]) == (rewrite["from"], rewrite["to"])
        for hop in path["hops"]:
            if hop["kind"] == "interface":
                assert hop["frame"]["file"] in files
                seen.add((hop["frame"]["file"], hop["frame"]["number"]))
    assert len(seen) == sum(capture["packets"] for capture in files.values())
    assert {p["id"] for p in found["paths"]} == {i for c in found["connections"] for i in c["paths"]}


def test_a_selection_holds_only_what_was_chosen(result):
    chosen = document(result, paths=[4])
    assert ([p["id"] for p in chosen["paths"]], [c["id"] for c in chosen["connections"]]) == ([4], [2])
    nothing = document(result, expression="port 9")
    assert (nothing["paths"], nothing["connections"]) == ([], [])
    assert len(nothing["captures"]) == 2


def test_it_comes_in_pieces_of_a_few_hops(result, monkeypatch):
    monkeypatch.setattr(path_slice, "_HOPS", 1)
    pieces = list(render(result, select(result), "json"))
    assert [piece.count('"hops": ') for piece in pieces if '"hops": ' in piece] == [1] * result.packets.count
