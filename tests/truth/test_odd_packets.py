"""Packets that are hard to tell apart or to follow: one subnet on both nodes, two containers on each, equal packets."""

import pytest

from ttrace.lab import LightLab

from .judge import frame_errors, frames_of_paths, number_packets, places, rewrites, score, with_port
from .rawfile import header_of, shift_clock
from .scene import Scene, recorded
from .traffic import MASTER, SLAVE, Traffic

BOTH_WAYS, BURST, BURST_B, FRAGMENTS, REUSED, CLOSED, SHORT, SHORTER, BRIDGED, HOST, OWN, SHARED = range(7001, 7013)
PING = 77
FORWARD = [("source", "masquerade", False), ("destination", "dnat", False)]
REPLY = [("source", "dnat", True), ("destination", "masquerade", True)]


@pytest.fixture(scope="module", params=[True, False], ids=["bridge-nf", "no-bridge-nf"])
def scene(request, tmp_path_factory):
    """Each kind of traffic has a client port of its own, which masquerading leaves alone where it is free."""
    lab = LightLab("ttodds", overlapping=True, extra_containers=True, bridge_nf=request.param)
    with lab, recorded(lab, tmp_path_factory.mktemp("odd"), "--trace-limit", "0") as scene:
        traffic = Traffic(lab)
        for client, address in (("web1", SLAVE), ("web2", MASTER)):
            traffic.udp(client, address, 9000, BOTH_WAYS, 50)
            traffic.ping(client, address, PING, 20)
        traffic.finish()
        for client, port in (("web1", BURST), ("web1b", BURST_B)):
            traffic.udp(client, SLAVE, 9000, port, 100)
        traffic.finish()
        traffic.udp("web1", SLAVE, 9000, FRAGMENTS, 3, size=3000)
        traffic.http("web1", SLAVE, 8080, REUSED, 3)
        traffic.udp("web1", SLAVE, 9999, CLOSED, answered=False)
        traffic.udp("web1", SLAVE, 9000, SHORT, ttl=1, answered=False)
        traffic.udp("web1", SLAVE, 9000, SHORTER, ttl=2, answered=False)
        traffic.http("web1", "172.17.0.3", 80, BRIDGED)
        traffic.http("master", SLAVE, 8080, HOST)
        traffic.http("master", MASTER, 8080, OWN)
        for client in ("web1", "web1b"):
            traffic.http(client, SLAVE, 8081, SHARED)
        traffic.finish()
    scene.bridge_nf = request.param
    return scene


def kinds(path):
    return [rewrite[1:] for rewrite in rewrites(path)]


def ends(path):
    return places(path)[0][1].rpartition("-")[2], places(path)[-1][1].rpartition("-")[2]


def test_every_captured_packet_belongs_to_exactly_one_path(scene):
    assert frame_errors(scene.frames, frames_of_paths(scene.paths)) == []


def conversation(header, frame):
    """Which client's traffic a UDP or ping frame is, by what the lab knows of its addresses; None for other frames."""
    if header is None or header.protocol not in (1, 17) or header.fragment or header.icmp[0] not in (0, 8):
        return None
    answer = header.icmp[0] == 0 if header.protocol == 1 else header.source_port == 9000
    port = PING if header.protocol == 1 else header.destination_port if answer else header.source_port
    if port not in (PING, BOTH_WAYS, BURST, BURST_B):
        return None
    client, server = (header.destination, header.source) if answer else (header.source, header.destination)
    if port in (BURST, BURST_B) or client == MASTER or server == SLAVE:
        side = "master"
    elif client == SLAVE or server == MASTER:
        side = "slave"
    elif client == "172.17.0.1" or frame.point.netns.endswith(("web1b", "web2b")):
        return None
    else:
        # 172.17.0.2 to 172.17.0.2 is nobody's: one end is always translated.
        raise AssertionError(f"frame {frame.number} of {frame.file} has addresses that the lab does not have")
    return side, port, answer


def test_equal_packets_are_told_apart(scene, report_numbers):
    """Equal datagrams and pings, many in a row and both ways at once. The n-th here is the n-th there."""
    own = [(frame, conversation(header_of(frame), frame)) for frame in scene.frames if frame.point.what == "packets"]
    own = {frame: key for frame, key in own if key is not None}
    truth = number_packets(list(own), lambda frame: (own[frame], header_of(frame).sequence))
    grouped = {i: [m for m in members if m in truth] for i, members in frames_of_paths(scene.paths).items()}
    result = score(truth, {i: members for i, members in grouped.items() if members})
    report_numbers(f"equal packets, bridge-nf {scene.bridge_nf}: {result}")
    assert result.packets == 4 * 50 + 4 * 20 + 4 * 100
    assert (result.wrong, result.missed, result.paths) == (0, 0, result.packets)


def test_same_addresses_on_both_nodes_are_two_conversations(scene):
    found = {}
    for path in with_port(scene.paths, BOTH_WAYS):
        found.setdefault((path["connection"], path["direction"]), []).append(path)
    assert sorted(map(len, found.values())) == [50, 50, 50, 50]
    for (_, direction), paths in found.items():
        assert {tuple(kinds(path)) for path in paths} == {tuple(FORWARD if direction == "forward" else REPLY)}
    assert {ends(p) for (_, d), paths in found.items() for p in paths if d == "forward"} == {
        ("web1", "web2"),
        ("web2", "web1"),
    }


def test_pings_with_the_same_identifier_both_ways_are_two_conversations(scene):
    pings = [p for p in scene.paths if p["protocol"] == "icmp" and "echo" in p["info"]]
    counted = {}
    for path in pings:
        key = path["connection"], path["direction"], "request" in path["info"]
        counted[key] = counted.get(key, 0) + 1
    assert sorted(counted.values()) == [20, 20, 20, 20]
    assert all((direction == "forward") == request for _, direction, request in counted)
    for path in pings:
        assert kinds(path) == ([FORWARD[0]] if path["direction"] == "forward" else [REPLY[1]])


def test_bursts_of_equal_datagrams_are_delivered(scene):
    for port, client in ((BURST, "web1"), (BURST_B, "web1b")):
        paths = with_port(scene.paths, port)
        assert len(paths) == 200
        assert {(p["direction"], p["outcome"], *ends(p)) for p in paths} == {
            ("forward", "delivered", client, "web2"),
            ("reply", "delivered", "web2", client),
        }


def test_a_datagram_in_fragments_is_one_packet(scene):
    """Conntrack reassembles it and the next interface cuts it again. Its frames share the IP id."""
    frames = {(frame.file, frame.number): header_of(frame) for frame in scene.frames if frame.point.what == "packets"}
    grouped = frames_of_paths(scene.paths)
    paths = with_port(scene.paths, FRAGMENTS)
    assert sorted(p["direction"] for p in paths) == ["forward"] * 3 + ["reply"] * 3
    for path in paths:
        identifiers = {frames[member].ip_id for member in grouped[path["id"]]}
        assert len(identifiers) == 1
        wire = [place for place in places(path) if place[2:] == ("eth0", "in") and place[1] == "root"]
        assert len(wire) == 3
        assert path["outcome"] == "delivered"
        assert ends(path) == (("web1", "web2") if path["direction"] == "forward" else ("web2", "web1"))
        assert kinds(path) == (FORWARD if path["direction"] == "forward" else REPLY)


def test_a_reused_port_is_a_new_connection(scene):
    paths = with_port(scene.paths, REUSED)
    connections = {p["connection"]: [q["info"] for q in paths if q["connection"] == p["connection"]] for p in paths}
    assert len(connections) == 3
    assert all(infos.count("SYN") == 1 and infos.count("SYN,ACK") == 1 for infos in connections.values())


def test_two_clients_with_one_port_are_kept_apart(scene):
    """Masquerading has to change the port of one of them."""
    paths = [p for p in with_port(scene.paths, SHARED) if p["info"] == "SYN"]
    assert sorted(ends(p) for p in paths) == [("web1", "web2b"), ("web1b", "web2b")]
    translated = {p["rewrites"][0]["to"] for p in paths}
    assert len(translated) == 2
    assert f"{MASTER}:{SHARED}" in translated


@pytest.mark.parametrize(
    ("port", "error", "author", "rewritten"),
    [
        (CLOSED, "destination unreachable (port unreachable)", "slave", [REPLY[1]]),
        (SHORT, "time exceeded (TTL ran out)", "master", []),
        (SHORTER, "time exceeded (TTL ran out)", "slave", [REPLY[1]]),
    ],
)
def test_icmp_error_belongs_to_the_connection_it_is_about(scene, port, error, author, rewritten):
    (packet,) = with_port(scene.paths, port)
    (answer,) = [p for p in scene.paths if p["connection"] == packet["connection"] and p is not packet]
    assert (answer["protocol"], answer["info"], answer["direction"]) == ("icmp", error, "reply")
    assert places(answer)[0][:2] == (author, "root")
    assert ends(answer) == ("root", "web1")
    assert kinds(answer) == rewritten


def test_a_packet_whose_ttl_runs_out_is_not_delivered(scene):
    for port, node in ((SHORT, "master"), (SHORTER, "slave")):
        (path,) = with_port(scene.paths, port)
        assert path["outcome"] in ("dropped", "lost")
        assert path["hops"][-1]["node"] == node


def test_bridged_packets_pass_the_ip_hooks_only_with_bridge_nf(scene):
    paths = with_port(scene.paths, BRIDGED)
    assert len(paths) >= 8
    for path in paths:
        assert ends(path) in {("web1", "web1b"), ("web1b", "web1")}
        assert [(place[2][:4], place[3]) for place in places(path)] == [
            ("eth0", "out"),
            ("veth", "in"),
            ("veth", "out"),
            ("eth0", "in"),
        ]
        chains = [hop["chain"] for hop in path["hops"] if hop["kind"] == "chain"]
        assert ("FORWARD" in chains) == scene.bridge_nf
        assert path["rewrites"] == []


def test_a_process_of_the_node_reaches_published_ports(scene):
    (other,) = [p for p in with_port(scene.paths, HOST) if p["info"] == "SYN"]
    (own,) = [p for p in with_port(scene.paths, OWN) if p["info"] == "SYN"]
    assert rewrites(other) == [("slave", "destination", "dnat", False)]
    assert rewrites(own) == [("master", "destination", "dnat", False)]
    hooks = [(hop["table"], hop["chain"]) for hop in own["hops"] if hop["kind"] == "chain"]
    assert hooks == [("nat", "OUTPUT"), ("filter", "OUTPUT"), ("nat", "POSTROUTING")]
    assert ends(own) == ("root", "web1")


def test_another_clock_changes_no_outcome(scene, tmp_path):
    """Containers with the same MAC on both nodes send the same IPv6 chatter, which must not set the clocks."""
    master, slave = scene.files
    shift_clock(slave, tmp_path / slave.name, 3_700_000_000)
    shifted = Scene([master, tmp_path / slave.name])
    clock = shifted.document["captures"][1]
    assert abs(clock["clock_offset_ns"] - 3_700_000_000) <= clock["clock_error_ns"] < 100_000
    assert sorted(map(story, shifted.paths)) == sorted(map(story, scene.paths))


def story(path):
    return path["info"], path["outcome"], places(path), rewrites(path)
