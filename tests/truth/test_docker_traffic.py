"""200 HTTP requests, 200 pings and 200 UDP exchanges at once through two real Docker nodes, all captured and traced."""

import re
import subprocess
from collections import Counter, defaultdict

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.packets.match import match_packets
from ttrace.correlate.sightings import told
from ttrace.lab import DockerLab

from .judge import frame_errors, frames_of_paths, number_packets, places, rewrites, score
from .rawfile import header_of, packets, shift_clock, trace_messages
from .scene import Scene, recorded

HTTP = "for n in $(seq {count}); do wget -q -O - http://{address}:8080/mark/{mark}$n & done; wait"
PING = "for n in $(seq 10); do ping -q -c 20 -i 0.01 -p a$(($n - 1)) 192.168.77.2 & done; wait"
UDP = ["udp-exchange", "192.168.77.2", "9000", "200"]
MASQUERADE = "-A POSTROUTING -s {subnet} ! -o docker0 -j MASQUERADE"
DNAT = "-A DOCKER ! -i docker0 -p {0} -m {0} --dport {1} -j DNAT --to-destination {2}"
SYN, ACK = 2, 16


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with DockerLab("tttruth") as lab, recorded(lab, tmp_path_factory.mktemp("docker"), "--trace-limit", "0") as scene:
        running = [
            lab.popen("web1", ["sh", "-c", HTTP.format(count=200, address="192.168.77.2", mark="to-slave-")]),
            lab.popen("web2", ["sh", "-c", HTTP.format(count=20, address="192.168.77.1", mark="to-master-")]),
            lab.popen("web1", ["sh", "-c", PING]),
            lab.popen("web1", UDP),
        ]
        pages, pages_back, pings, exchanges = [process.communicate(timeout=60)[0] for process in running]
        assert (pages, pages_back) == ("hello from web2\n" * 200, "hello from web1\n" * 20)
        assert pings.count(" 20 received, 0% packet loss") == 10
        assert exchanges == "200\n"
    return scene


@pytest.fixture(scope="module")
def truth(scene):
    """(file, frame number) -> the packet it is."""
    return number_packets(scene.frames, what_nat_leaves_alone)


def what_nat_leaves_alone(frame):
    """All of a packet but addresses, ports, TTL and checksums: payloads and TCP's numbers make it unique here."""
    header = header_of(frame)
    if header is None:
        return frame.data
    return (
        header.protocol, header.source_port in (80, 8080, 9000), header.ip_id, header.sequence, header.acknowledgment,
        header.flags, header.icmp, header.options, header.payload,
    )  # fmt: skip


def what_the_trace_shows(header):
    """As much of that as the 20 bytes of transport header in a trace message hold."""
    ports = 0 if header.protocol == 1 else header.source_port in (80, 8080, 9000)
    return header.protocol, ports, header.ip_id, header.sequence, header.acknowledgment, header.flags, header.icmp


def paths_of(scene, protocol, direction=None, client="web1"):
    """Paths of the test's own traffic from one of the containers, or to it."""
    home = {"web1": "172.17.0.2", "web2": "172.18.0.2"}[client]
    clients = {c["id"] for c in scene.document["connections"] if c["client"].startswith(home)}
    return [
        path
        for path in scene.paths
        if path["protocol"] == protocol and path["connection"] in clients and direction in (None, path["direction"])
    ]


def test_every_captured_packet_belongs_to_exactly_one_path(scene, truth, report_numbers):
    found = frames_of_paths(scene.paths)
    assert frame_errors(scene.frames, found) == []
    result = score(truth, found)
    report_numbers(f"ttrace: {result}")
    assert (result.wrong, result.missed) == (0, 0)
    assert result.paths == result.packets
    assert len(scene.paths) == result.paths, "a path without a frame, though everything was captured"


def test_the_traffic_is_all_there(scene):
    assert len(paths_of(scene, "icmp")) == 400
    assert len(paths_of(scene, "udp")) == 400
    syns = [p for p in paths_of(scene, "tcp", "forward") if p["info"] == "SYN"]
    assert len(syns) == 200
    assert all(
        path["outcome"] == "delivered" and not path["ambiguous"]
        for p in ("tcp", "udp", "icmp")
        for path in paths_of(scene, p)
    )


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_hops_follow_the_wires(scene, protocol):
    ports = veths(scene)
    there = [
        ("master", "web1", "eth0", "out"), ("master", "root", ports["master"], "in"),
        ("master", "root", "docker0", "in"), ("master", "root", "eth0", "out"),
        ("slave", "root", "eth0", "in"), ("slave", "root", "docker0", "out"),
        ("slave", "root", ports["slave"], "out"), ("slave", "web2", "eth0", "in"),
    ]  # fmt: skip
    back = [
        ("slave", "web2", "eth0", "out"), ("slave", "root", ports["slave"], "in"), ("slave", "root", "docker0", "in"),
        ("slave", "root", "eth0", "out"), ("master", "root", "eth0", "in"), ("master", "root", "docker0", "out"),
        ("master", "root", ports["master"], "out"), ("master", "web1", "eth0", "in"),
    ]  # fmt: skip
    for direction, way in (("forward", there), ("reply", back)):
        assert {tuple(places(path)) for path in paths_of(scene, protocol, direction)} == {tuple(way)}


def test_pings_end_at_the_node_and_come_back(scene):
    port = veths(scene)["master"]
    there = [
        ("master", "web1", "eth0", "out"), ("master", "root", port, "in"), ("master", "root", "docker0", "in"),
        ("master", "root", "eth0", "out"), ("slave", "root", "eth0", "in"),
    ]  # fmt: skip
    back = [
        ("slave", "root", "eth0", "out"), ("master", "root", "eth0", "in"), ("master", "root", "docker0", "out"),
        ("master", "root", port, "out"), ("master", "web1", "eth0", "in"),
    ]  # fmt: skip
    for direction, way in (("forward", there), ("reply", back)):
        assert {tuple(places(path)) for path in paths_of(scene, "icmp", direction)} == {tuple(way)}


def veths(scene):
    """The one bridge port of each node."""
    return {f.point.node: f.point.interface for f in scene.frames if f.point.interface.startswith("veth")}


@pytest.mark.parametrize(
    ("protocol", "client", "source_node", "subnet", "target_node", "node_port", "target"),
    [
        ("tcp", "web1", "master", "172.17.0.0/24", "slave", "8080", "172.18.0.2:80"),
        ("tcp", "web2", "slave", "172.18.0.0/24", "master", "8080", "172.17.0.2:80"),
        ("udp", "web1", "master", "172.17.0.0/24", "slave", "9000", "172.18.0.2:9000"),
        ("icmp", "web1", "master", "172.17.0.0/24", "slave", None, None),
    ],
)
def test_every_rewrite_names_its_rule(scene, protocol, client, source_node, subnet, target_node, node_port, target):
    there = [(source_node, "source", "masquerade", False)]
    rules = [MASQUERADE.format(subnet=subnet)]
    if target:
        there.append((target_node, "destination", "dnat", False))
        rules.append(DNAT.format(protocol, node_port, target))
    back = [
        (node, {"source": "destination", "destination": "source"}[field], kind, True)
        for node, field, kind, _ in reversed(there)
    ]
    for direction, changes, texts in (("forward", there, rules), ("reply", back, rules[::-1])):
        paths = paths_of(scene, protocol, direction, client)
        assert paths
        for path in paths:
            assert rewrites(path) == changes
            assert [rewrite["rule"]["text"] for rewrite in path["rewrites"]] == texts
            home = path["hops"][0 if direction == "forward" else -1]
            assert home["source" if direction == "forward" else "destination"].startswith(subnet[:7])


def test_first_packets_are_explained_by_the_trace_and_later_ones_by_conntrack(scene):
    first_seen = set()
    for path in scene.paths:
        evidence = {rewrite["evidence"] for rewrite in path["rewrites"]}
        if not evidence:
            continue
        is_first = path["connection"] not in first_seen
        first_seen.add(path["connection"])
        assert evidence == {"trace" if is_first else "conntrack"}, path["id"]
        matched = {rule["text"] for hop in path["hops"] if hop["kind"] == "chain" for rule in hop["rules"]}
        texts = {rewrite["rule"]["text"] for rewrite in path["rewrites"]}
        assert texts <= matched if is_first else not texts & matched


def test_a_connection_holds_one_request_and_its_answer(scene):
    frames = {(frame.file, frame.number): frame for frame in packets(scene.frames)}
    texts = defaultdict(list)
    for path in scene.paths:
        if path["protocol"] == "tcp":
            last = [hop["frame"] for hop in path["hops"] if hop["kind"] == "interface"][-1]
            payload = header_of(frames[last["file"].rsplit("/", 1)[-1], last["number"]]).payload
            texts[path["connection"]].append(payload.decode())
    marks = []
    for connection in scene.document["connections"]:
        if connection["protocol"] == "tcp":
            text = "".join(texts[connection["id"]])
            (mark,) = re.findall(r"GET /mark/(\S+)", text)
            (client,) = re.findall(r"X-Client: (\S+)\r", text)
            marks.append(mark)
            servers = {view["source"] for view in connection["views"] if view["destination"].endswith(":80")}
            assert servers == {client}, "the address the server saw"
    assert sorted(marks) == sorted([f"to-slave-{n}" for n in range(1, 201)] + [f"to-master-{n}" for n in range(1, 21)])


@pytest.fixture(scope="module")
def traced(scene):
    """Trace messages with an IPv4 header, in the order of their sockets."""
    return [message for message in trace_messages(scene.frames) if message.header is not None]


def packets_of_ids(messages):
    """(namespace, trace id) -> the packets that bore it."""
    found = defaultdict(set)
    for message in messages:
        found[message.point.node, message.point.netns, message.id].add(what_the_trace_shows(message.header))
    return found


def ids_within_one_run(messages):
    """(packet, namespace) -> the trace ids it bore on its one way through the namespace."""
    found = defaultdict(set)
    for message in messages:
        found[what_the_trace_shows(message.header), message.point.node, message.point.netns].add(message.id)
    return found


def misplaced(scene, traced):
    """Trace messages in the path of another packet. Asks the library: the JSON does not say which message a hop is."""
    result = correlate_captures([str(file) for file in scene.files])
    names = [file.name for file in scene.files]
    rows = [(names[row["file"]], int(row["frame"])) for row in result.sightings]
    frames = {(frame.file, frame.number): frame for frame in packets(scene.frames)}
    shown = {}
    for index in range(told(result.sightings).start):
        header = header_of(frames[rows[index]])
        if header is not None:
            shown[int(result.packets.packet[index])] = what_the_trace_shows(header)
    path_of_message = {rows[i]: int(result.packets.packet[i]) for i in range(told(result.sightings).start, len(rows))}
    return [m for m in traced if shown.get(path_of_message[m.file, m.number]) != what_the_trace_shows(m.header)]


def test_every_trace_message_is_in_the_path_of_its_packet(scene, traced, report_numbers):
    wrong = misplaced(scene, traced)
    report_numbers(f"ttrace: {len(traced)} traced headers, {len(wrong)} in the path of another packet")
    assert wrong == []


def test_these_tests_notice_a_correlation_by_trace_id_alone(scene, traced, monkeypatch, report_numbers):
    def by_id(sightings, times_ns, connections, evaluations, *others):
        matched = match_packets(sightings, times_ns, connections, evaluations, *others)
        observed = len(sightings) - len(evaluations)
        leader = {}
        for index, trace_id in enumerate(evaluations["trace_id"].tolist(), observed):
            namespace = int(sightings["namespace"][index])
            matched.packet[index] = leader.setdefault((namespace, trace_id), matched.packet[index])
        return matched

    monkeypatch.setattr("ttrace.correlate.pipeline.match_packets", by_id)
    wrong = misplaced(scene, traced)
    report_numbers(
        f"correlation by trace id alone: {len(wrong)} of {len(traced)} traced headers in the path of another packet"
    )
    assert len(wrong) > 100


def test_trace_ids_repeat_and_change_in_this_traffic_and_both_come_out_right(scene, truth, traced, report_numbers):
    repeated = {packet for bearers in packets_of_ids(traced).values() if len(bearers) > 1 for packet in bearers}
    changed = {packet for (packet, *_), ids in ids_within_one_run(traced).items() if len(ids) > 1}
    report_numbers(
        f"{len(repeated)} packets share a trace id with another, {len(changed)} have several in one namespace"
    )
    assert len(repeated) > 100
    assert len(changed) > 100
    hard = repeated | changed
    frames = {(frame.file, frame.number): header_of(frame) for frame in packets(scene.frames)}
    these = {key: packet for key, packet in truth.items() if frames[key] and what_the_trace_shows(frames[key]) in hard}
    grouped = {i: [m for m in members if m in these] for i, members in frames_of_paths(scene.paths).items()}
    result = score(these, {i: members for i, members in grouped.items() if members})
    # Two packets can look the same to the trace, which shows 20 bytes of each header: never fewer than it tells apart.
    assert result.packets >= len(hard)
    assert (result.wrong, result.missed) == (0, 0)


def test_grouping_by_the_trace_id_alone_would_be_wrong(traced, report_numbers):
    truth = {(m.file, m.number): what_the_trace_shows(m.header) for m in traced}
    grouped = defaultdict(list)
    for message in traced:
        grouped[message.point.node, message.point.netns, message.id].append((message.file, message.number))
    result = score(truth, grouped)
    report_numbers(f"grouping trace messages by id alone: {result}")
    assert result.wrong > 100
    assert result.missed > 100


def test_chains_of_a_kind_of_packet_are_always_the_same(scene):
    """One chain evaluation given to the wrong packet would show as a second sequence."""
    kinds = defaultdict(Counter)
    for path in scene.paths:
        if path["protocol"] in ("tcp", "udp"):
            first = any(rewrite["evidence"] == "trace" for rewrite in path["rewrites"])
            client = path["hops"][0]["netns"]
            chains = tuple(
                (h["node"], h["table"], h["chain"], h["verdict"]) for h in path["hops"] if h["kind"] == "chain"
            )
            kinds[path["protocol"], client, path["direction"], first][chains] += 1
    assert {kind: len(sequences) for kind, sequences in kinds.items()} == dict.fromkeys(kinds, 1)
    first_chains = next(iter(kinds["tcp", "web1", "forward", True]))
    assert first_chains == tuple(
        (node, table, chain, "accept")
        for node in ("master", "slave")
        for table, chain in (("nat", "PREROUTING"), ("filter", "FORWARD"), ("nat", "POSTROUTING"))
    )


def test_frame_numbers_are_wiresharks(scene):
    fields = ["frame.number", "frame.interface_name", "ip.src", "ip.dst", "ip.id", "ip.ttl"]
    shown = {}
    for file in scene.files:
        argv = [
            "tshark",
            "-r",
            str(file),
            "-T",
            "fields",
            "-E",
            "occurrence=f",
            *(w for f in fields for w in ("-e", f)),
            "ip",
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        shown |= {(file.name, int(line.split("\t")[0])): line.split("\t")[1:] for line in done.stdout.splitlines()}
    raw = {(frame.file, frame.number): header_of(frame) for frame in packets(scene.frames)}
    checked = 0
    for path in scene.paths:
        for hop in path["hops"]:
            if hop["kind"] == "interface" and path["protocol"] in ("tcp", "udp", "icmp"):
                key = hop["frame"]["file"].rsplit("/", 1)[-1], hop["frame"]["number"]
                addresses = [hop[end].rsplit(":", 1)[0] for end in ("source", "destination")]
                assert shown[key] == [hop["interface"], *addresses, f"0x{raw[key].ip_id:04x}", str(hop["ttl"])]
                checked += 1
    assert checked > 20_000


@pytest.mark.parametrize("program", [["tshark", "-q", "-r"], ["capinfos"]])
def test_wireshark_opens_every_file_without_a_complaint(scene, program):
    for file in scene.files:
        done = subprocess.run([*program, str(file)], capture_output=True, text=True, check=False)
        complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
        assert (done.returncode, complaints) == (0, [])


SHIFT_NS = -86_400_123_456_789


def test_another_clock_changes_nothing_but_the_times(scene, tmp_path):
    """As if slave were a machine of its own, whose clock is a day behind."""
    master, slave = scene.files
    shift_clock(slave, tmp_path / slave.name, SHIFT_NS)
    shifted = Scene([master, tmp_path / slave.name])
    clock = shifted.document["captures"][1]
    assert abs(clock["clock_offset_ns"] - SHIFT_NS) <= clock["clock_error_ns"] < 100_000
    # Which of two packets on different nodes began first, a microsecond apart, two clocks cannot tell: the numbering of
    # the paths may differ, the paths may not.
    assert sorted(map(repr, map(story, shifted.paths))) == sorted(map(repr, map(story, scene.paths)))


def story(path):
    """A path without its times."""
    hops = [
        (hop["node"], hop.get("interface") or hop["chain"], hop.get("frame", {}).get("number")) for hop in path["hops"]
    ]
    return path["info"], path["outcome"], hops, rewrites(path)
