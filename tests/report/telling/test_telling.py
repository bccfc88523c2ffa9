"""What is told first, what is left out, and that every form tells the same."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.layers.inet import IP, UDP

from ttrace.correlate import Correlation, correlate_captures
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.progress import unheard
from ttrace.correlate.result.select import select
from ttrace.correlate.result.values import ChainHop
from ttrace.errors import UsageError
from ttrace.report import Form, render_telling
from ttrace.report.telling import ConnectionTold, Telling
from ttrace.tests.correlate.scene import IN, OUT, Node, docker_host

from ..scenes import CLIENT, A, _dropped, request_and_answer

FAR = "203.0.113.1"
KINDS, EACH = 22, 2
"""Protocols of which so many packets go out: each is a connection, and a route."""
FEW = 12
"""Sightings in a part."""


def busy_host() -> Node:
    """Two packets of each of 22 protocols, a multicast, and at last a connection that is dropped."""
    host = docker_host("a", A)
    for number in range(KINDS * EACH):
        packet = IP(src=CLIENT, dst=FAR, id=number, proto=200 + number % KINDS) / b"some payload"
        host.see("veth1", IN, 1000 * number, packet)
        host.see("docker0", IN, 1000 * number + 5, packet)
        packet.ttl -= 1
        host.see("eth0", OUT, 1000 * number + 9, packet)
    host.see("docker0", IN, 500, IP(src=CLIENT, dst="224.0.0.251", id=9, ttl=1) / UDP(sport=5353, dport=5353))
    _dropped(host, 900_000)
    return host


@pytest.fixture(scope="module")
def busy_file(tmp_path_factory) -> str:
    return busy_host().write(tmp_path_factory.mktemp("busy"))


@pytest.fixture(scope="module")
def busy(busy_file) -> Correlation:
    return correlate_captures([busy_file])


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory) -> Correlation:
    return correlate_captures(request_and_answer(tmp_path_factory.mktemp("scene")))


def outline(result: Correlation, **asked):
    return Telling.chosen(result, **asked).outline


def text(telling: Telling) -> str:
    return "".join(render_telling(telling, Form.text))


def document(telling: Telling) -> dict:
    return json.loads("".join(render_telling(telling, Form.json)))


# --- what comes first, what is left out -----------------------------------------------------------------------------


def test_connections_of_which_something_failed_are_told_first_then_by_their_ids(busy):
    told = outline(busy).connections
    dropped = busy.connections.count
    assert [one.connection.id for one in told.first[:3]] == [dropped, 1, 3]  # 2 is the multicast
    assert [one.connection.outcome for one in told.first[:2]] == ["dropped", "unknown"]


def test_no_more_connections_are_told_than_fit_but_all_are_counted(busy):
    told = outline(busy).connections
    assert (told.count, len(told.first), told.more) == (KINDS + 1, 20, 3)
    assert told.paths == KINDS * EACH + 1


def test_routes_are_told_by_what_became_of_the_packets_then_the_translated_ones_then_by_time(two_hosts):
    routes = outline(two_hosts).routes
    assert [route.example.outcome for route in routes.first] == ["dropped", "delivered", "delivered", "delivered"]
    assert [route.example.id for route in routes.first] == [4, 1, 2, 3]
    assert (routes.count, routes.paths, routes.more, routes.more_paths) == (4, 4, 0, 0)


def test_no_more_routes_are_told_than_fit_but_all_are_counted(busy):
    routes = outline(busy).routes
    assert (routes.count, len(routes.first), routes.more) == (KINDS + 1, 12, KINDS - 11)
    assert [(route.example.outcome, route.paths) for route in routes.first[:2]] == [("dropped", 1), ("unknown", EACH)]
    assert (routes.paths, routes.more_paths) == (KINDS * EACH + 1, (KINDS - 11) * EACH)
    ids = [route.example.id for route in routes.first[1:]]
    assert ids == sorted(ids)


def test_what_links_say_among_themselves_is_left_out_and_counted(busy):
    told = outline(busy)
    assert told.untold == 1
    assert all("224.0.0.251" not in one.connection.server for one in told.connections.first)


def test_what_links_say_is_told_where_there_is_nothing_else_and_where_it_is_asked_for(busy):
    alone = outline(busy, expression="host 224.0.0.251")
    assert (alone.untold, alone.connections.count, alone.routes.count) == (0, 1, 1)
    whole = outline(busy, every_path=True)
    assert (whole.untold, whole.connections.count) == (0, KINDS + 2)


def test_where_every_path_is_asked_for_no_route_is_told(two_hosts):
    assert outline(two_hosts, every_path=True).routes is None
    assert outline(two_hosts, paths=[1]).routes is None


def test_a_connection_is_told_in_full_where_each_of_its_paths_is_asked_for(two_hosts):
    def in_full(**asked) -> dict[int, bool]:
        return {one.connection.id: one.in_full for one in outline(two_hosts, **asked).connections.first}

    assert in_full() == {2: False, 1: False}
    assert in_full(every_path=True) == {2: True, 1: True}
    assert in_full(connections=[1]) == {1: True}
    assert in_full(paths=[1, 4]) == {2: True, 1: False}


def test_nothing_chosen_is_an_outline_of_nothing(two_hosts):
    told = outline(two_hosts, expression="port 9")
    assert (told.connections.count, told.connections.first, told.routes.first, told.untold) == (0, (), (), 0)
    assert len(told.captures.files) == 2


def test_what_holds_for_a_node_is_said_at_its_first_file(tmp_path):
    named = []
    for number, node in enumerate(("n", "n", "m", "m")):
        file = Node(f"{node}{number}", snapshots=False)
        file.interface("eth0", 2)
        for again in range(3):
            packet = IP(src=CLIENT, dst={"n": FAR, "m": A}[node], id=again) / UDP(sport=5, dport=ord(node)) / node
            file.see("eth0", IN, 1000 * again, packet)
        named.append(f"{node}/{number}={file.write(tmp_path)}")
    told = outline(correlate_captures(named)).captures.files
    assert all(file.facts.nothing_in_common is not None for file in told)
    assert [file.nothing_in_common is not None for file in told] == [True, False, True, False]


# --- when it is found -----------------------------------------------------------------------------------------------


def test_paths_are_made_one_by_one_as_they_are_asked_for(two_hosts, monkeypatch):
    made = []
    path_at = Correlation.path_at
    monkeypatch.setattr(Correlation, "path_at", lambda self, index: made.append(index) or path_at(self, index))
    texts = Telling.chosen(two_hosts).each_path(lambda path: f"{path.id}", separator=",")
    assert next(texts) == "1"
    assert made == [0]
    assert "".join(texts) == ",2,3,4"


def counting(telling: Telling) -> tuple[Telling, list[int]]:
    """The same, and a list that grows by each part that is loaded."""
    loaded: list[int] = []

    def each():
        for number, part in enumerate(telling.parts.each()):
            loaded.append(number)
            yield part

    return Telling(parts=replace(telling.parts, each=each)), loaded


def test_what_was_decided_is_not_decided_again(two_hosts):
    telling, loaded = counting(Telling.chosen(two_hosts))
    assert text(telling) == text(telling)
    assert loaded == [0]


# --- all forms tell the same ----------------------------------------------------------------------------------------

ASKED = [{}, {"every_path": True}, {"connections": [1]}, {"paths": [2]}, {"expression": "host 203.0.113.9"}]


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("scene", ["two_hosts", "busy"])
def test_text_and_json_tell_what_the_telling_holds(scene, asked, request):
    result = request.getfixturevalue(scene)
    telling = Telling.chosen(result, **asked)
    told, report, found = telling.outline, text(telling), document(telling)
    chosen = select(result, **asked)

    assert re.findall(r"^  \[(\d+)\]", report, re.MULTILINE) == [str(c.connection.id) for c in told.connections.first]
    connections = {connection["id"]: connection for connection in found["connections"]}
    assert len(connections) == chosen.connections.sum()
    for one in told.connections.first:
        connection = connections[one.connection.id]
        assert (connection["outcome"], len(connection["paths"])) == (one.connection.outcome, one.connection.packets)
        if connection["reason"] is not None:
            assert f"        {connection['reason']['text']}\n" in report

    paths = {path["id"]: path for path in found["paths"]}
    assert len(paths) == chosen.paths.sum()
    in_text = [int(number) for number in re.findall(r"^#(\d+) ", report, re.MULTILINE)]
    assert in_text == (list(paths) if told.routes is None else [route.example.id for route in told.routes.first])
    for route in told.routes.first if told.routes is not None else ():
        assert route.example.outcome == paths[route.example.id]["outcome"]

    assert [c["file"] for c in found["captures"]] == [c.facts.file for c in told.captures.files]
    assert all(c["file"] in report for c in found["captures"])


def routes_as_csv(telling: Telling) -> Iterator[str]:
    """A form of its own, made of nothing but the value."""
    routes = telling.outline.routes
    yield "paths,outcome,first,hops\n"
    for route in routes.first if routes is not None else ():
        line = io.StringIO()
        hops = " ".join(hop.hook if isinstance(hop, ChainHop) else hop.interface for hop in route.example.hops)
        csv.writer(line, lineterminator="\n").writerow([route.paths, route.example.outcome, route.example.id, hops])
        yield line.getvalue()
    if routes is not None and routes.more:
        yield f"{routes.more_paths},,,{routes.more} more\n"


def test_a_further_form_needs_nothing_but_the_telling(two_hosts, busy):
    rows = list(csv.DictReader(io.StringIO("".join(routes_as_csv(Telling.chosen(two_hosts))))))
    assert rows[0]["hops"] == "veth1 docker0 forward"
    assert [(row["paths"], row["outcome"], row["first"]) for row in rows] == [
        ("1", "dropped", "4"), ("1", "delivered", "1"), ("1", "delivered", "2"), ("1", "delivered", "3"),
    ]  # fmt: skip
    assert "".join(routes_as_csv(Telling.chosen(busy))).endswith("\n22,,,11 more\n")


# --- in parts -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parted(busy_file):
    found = correlate_in_parts([busy_file], unheard, most=FEW, workers=1)
    assert found.count > 5
    yield found
    found.close()


def values(told: ConnectionTold) -> tuple[object, ...]:
    """All that it says; rows of legs name their connection by its number in its part."""
    summary = told.summary
    counts = (summary.dropped, summary.lost, summary.retransmissions, summary.spurious)
    return told.connection, told.in_full, summary.legs, counts


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_what_comes_in_parts_is_told_the_same(parted, busy, asked):
    in_parts, whole = Telling.chosen(parted, **asked), Telling.chosen(busy, **asked)
    assert (in_parts.outline.connections.count, in_parts.outline.connections.paths) == (
        whole.outline.connections.count,
        whole.outline.connections.paths,
    )
    first = [list(map(values, telling.outline.connections.first)) for telling in (in_parts, whole)]
    assert first[0] == first[1]
    assert in_parts.outline.routes == whole.outline.routes
    assert in_parts.outline.untold == whole.outline.untold
    (found, captures), (expected, others) = in_parts.head, whole.head
    assert found == expected
    assert [c.facts.file for c in captures.files] == [c.facts.file for c in others.files]
    for each in (
        lambda telling: telling.each_connection(lambda told: repr(values(told)), separator="|"),
        lambda telling: telling.each_path(repr, separator="|"),
    ):
        assert list(each(in_parts)) == list(each(whole))
    assert "".join(routes_as_csv(in_parts)) == "".join(routes_as_csv(whole))


def test_what_is_told_first_holds_no_ids_of_paths_of_which_there_may_be_millions(parted):
    assert all(one.connection.paths == () for one in outline(parted).connections.first)


def test_an_outline_goes_through_the_parts_once(parted):
    telling, loaded = counting(Telling.chosen(parted))
    text(telling)
    assert loaded == list(range(parted.count))


def test_only_what_findings_or_outcomes_are_about_is_told(two_hosts, parted, busy):
    def chosen(result, *words: str) -> tuple[list[int], list[int]]:
        found = document(Telling.chosen(result, only=words))
        return [one["id"] for one in found["connections"]], [one["id"] for one in found["paths"]]

    assert chosen(two_hosts, "fault") == chosen(two_hosts, "rule_drop") == chosen(two_hosts, "dropped") == ([2], [4])
    assert chosen(two_hosts, "delivered") == ([1], [1, 2, 3])
    assert chosen(two_hosts, "delivered", "fault") == ([1, 2], [1, 2, 3, 4])
    assert chosen(two_hosts, "notice") == ([], [])
    assert chosen(parted, "fault") == chosen(busy, "fault") == ([busy.connections.count], [busy.packets.count])
    with pytest.raises(UsageError, match="no outcome, and no kind or severity"):
        Telling.chosen(two_hosts, only=["gone"])
    assert text(Telling.chosen(two_hosts, only=["notice"])).startswith(
        "No fault in what `--only notice` chose is seen: 0 "
    )
