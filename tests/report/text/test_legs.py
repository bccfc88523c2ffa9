"""The summary of a connection, as people and programs read it."""

import json
import re

import pytest
from scapy.layers.inet import IP, TCP, UDP

from ttrace.correlate.result.select import select
from ttrace.report import render
from ttrace.tests.correlate.scene import IN, OUT, correlate, docker_host

from ..scenes import request_and_answer

WEB1, FAR = "172.17.0.2", "203.0.113.1"
END = {"node": str, "netns": str, "interface": str, "direction": str}
NUMBERS = ("packets", "lost", "unknown")
TIMES = ("latency_min_ns", "latency_median_ns", "latency_p99_ns", "clock_error_ns")


@pytest.fixture(scope="module")
def lossy(tmp_path_factory):
    """web1 sends 20 segments; two are lost behind docker0 and sent again, and one more is sent again for nothing. Each
    is answered with what has come without a gap. A datagram of another connection comes later."""
    host = docker_host()
    numbers = [*range(10), 4, *range(10, 20), 11, 19]
    lost = {4, 11 + 1}  # positions in `numbers`
    arrived: set[int] = set()
    for position, number in enumerate(numbers):
        time = 1_000_000 + position * 10_000
        packet = (
            IP(src=WEB1, dst=FAR, id=position)
            / TCP(sport=1000, dport=80, seq=1 + 100 * number, flags="A")
            / (b"x" * 100)
        )
        host.see("veth1", IN, time, packet)
        host.see("docker0", IN, time + 4, packet)
        if position not in lost:
            arrived.add(number)
            packet.ttl = 63
            host.see("eth0", OUT, time + 24, packet)
        up_to = 1 + 100 * next(gap for gap in range(21) if gap not in arrived)
        answer = IP(src=FAR, dst=WEB1, id=5000 + position) / TCP(sport=80, dport=1000, flags="A", ack=up_to)
        for point, way, delay in (("eth0", IN, 0), ("docker0", OUT, 31), ("veth1", OUT, 33)):
            host.see(point, way, time + 500 + delay, answer)
    host.see("eth0", OUT, 9_000_000, IP(src="127.0.0.1", dst="127.0.0.1", id=9) / UDP(sport=9, dport=9))
    return correlate(tmp_path_factory.mktemp("lossy"), host)


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory):
    from ttrace.correlate import correlate_captures

    return correlate_captures(request_and_answer(tmp_path_factory.mktemp("scene")))


def text(result, **asked) -> str:
    return "".join(render(result, select(result, **asked), "text"))


def connections(result, **asked) -> list[dict]:
    return json.loads("".join(render(result, select(result, **asked), "json")))["connections"]


def test_every_leg_has_its_fields_with_their_types(two_hosts):
    legs = [leg for connection in connections(two_hosts) for leg in connection["legs"]]
    assert legs
    for leg in legs:
        assert set(leg) == {"direction", "from", "to", *NUMBERS, *TIMES}
        assert leg["direction"] in ("forward", "reply")
        for end in filter(None, (leg["from"], leg["to"])):
            assert {name: type(value) for name, value in end.items()} == END
        assert all(type(leg[name]) is int for name in NUMBERS)
        assert all(type(leg[name]) in (int, type(None)) for name in TIMES)
    assert {leg["to"] is None for leg in legs} == {True, False}


def test_a_leg_begins_where_the_one_before_it_ends(two_hosts):
    for connection in connections(two_hosts):
        for direction in ("forward", "reply"):
            way = [leg for leg in connection["legs"] if leg["direction"] == direction]
            assert [leg["to"] for leg in way[:-1]] == [leg["from"] for leg in way[1:]]


def test_the_ends_of_legs_are_hops_of_the_connections_paths(two_hosts):
    document = json.loads("".join(render(two_hosts, select(two_hosts), "json")))
    for connection in document["connections"]:
        hops = [h for p in document["paths"] if p["id"] in connection["paths"] for h in p["hops"]]
        points = [{name: hop[name] for name in END} for hop in hops if hop["kind"] == "interface"]
        for leg in connection["legs"]:
            assert leg["from"] in points
            assert leg["to"] is None or leg["to"] in points


def test_what_the_scene_was_is_told_in_numbers(two_hosts):
    first, second = connections(two_hosts)
    wire = next(leg for leg in first["legs"] if leg["from"]["node"] == "a" and (leg["to"] or {}).get("node") == "b")
    assert wire["from"] == {"node": "a", "netns": "root", "interface": "eth0", "direction": "out"}
    assert wire["to"] == {"node": "b", "netns": "root", "interface": "eth0", "direction": "in"}
    assert wire["packets"] == 2
    # The clocks are known to 45 us, and the wire took 70 us.
    assert abs(wire["latency_median_ns"] - 70_000) <= wire["clock_error_ns"] < 50_000
    assert [leg["clock_error_ns"] for leg in first["legs"][:2]] == [0, 0]
    assert (second["legs"][-1]["to"], second["legs"][-1]["lost"]) == (None, 1)
    assert first["retransmissions"] == first["spurious_retransmissions"] == {"forward": 0, "reply": 0}


def test_losses_and_retransmissions_in_json(lossy):
    found = connections(lossy)[0]
    assert found["retransmissions"] == {"forward": 3, "reply": 0}
    assert found["spurious_retransmissions"] == {"forward": 0, "reply": 0}  # nobody knows what arrived far away
    docker0, eth0 = found["legs"][1:3]
    assert (docker0["packets"], docker0["lost"], docker0["latency_p99_ns"]) == (21, 2, 20_000)
    assert (eth0["to"], eth0["unknown"]) == (None, 21)


def test_the_line_of_a_connection_tells_losses_and_retransmissions(lossy):
    report = text(lossy)
    line = r"^  \[1\] tcp .*   LOST, begun before the capture   46 paths, 2 lost, 3 retransmitted$"
    assert re.search(line, report, re.MULTILINE)
    assert re.search(r"^  \[2\] udp .*   1 path$", report, re.MULTILINE)
    assert "Segments of" not in report


def test_a_connection_in_full_begins_with_its_segments(lossy):
    report = text(lossy, connections=[1])
    table = report[report.index("Segments of connection 1") : report.index("\n#1 ")]
    assert (
        table
        == """\
Segments of connection 1
                                                   packets       lost  unknown    min  median    p99
  client to server: 2 lost, 3 retransmitted
    host veth1 (web1) in -> host docker0 in             23          0        0   4 us    4 us   4 us
    host docker0 in      -> host eth0 out               21  2 (8.7 %)        0  20 us   20 us  20 us
    host eth0 out        -> not seen further             -          0       21      -       -      -
  server to client
    host eth0 in         -> host docker0 out            23          0        0  31 us   31 us  31 us
    host docker0 out     -> host veth1 (web1) out       23          0        0   2 us    2 us   2 us
"""
    )


def test_columns_stand_below_their_headings(lossy):
    table = text(lossy, connections=[1]).partition("Segments of connection 1\n")[2].partition("\n\n")[0]
    heading, *rows = [line for line in table.splitlines() if not re.match(r"  \w", line)]
    for name in ("packets", "lost", "unknown", "min", "median", "p99"):
        end = heading.index(name) + len(name)
        assert all(row[end - 1] != " " and row[end : end + 1] in ("", " ") for row in rows), name


def test_between_nodes_the_error_of_the_clocks_stands_beside_the_latency(two_hosts):
    table = text(two_hosts, connections=[1])
    assert re.search(r"a eth0 out +-> b eth0 in .*  ± 45 us$", table, re.MULTILINE)
    assert not re.search(r"a docker0 in +-> a eth0 out .*±", table)


def test_single_paths_are_shown_without_the_segments_of_their_connection(lossy):
    assert "Segments of" not in text(lossy, paths=[3])


def test_a_connection_seen_at_one_point_only_has_no_table(lossy):
    assert "Segments of" not in text(lossy, connections=[2])
