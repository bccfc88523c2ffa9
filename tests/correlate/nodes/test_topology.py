"""Who is who: sources of the command line, roles from snapshots or names, and any JSON in their place."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP

from ttrace.correlate import correlate_captures
from ttrace.correlate.nodes.snapshots import gather_snapshots
from ttrace.correlate.nodes.sources import Source
from ttrace.correlate.nodes.topology import Role
from ttrace.correlate.sightings import told
from ttrace.correlate.summaries.captures import capture_facts
from ttrace.correlate.summaries.one_file import describe_capture
from ttrace.errors import TtraceError
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import enhanced_packet, exported_json, interface_description, section_header
from ttrace.report.text.capture_file import description_text

from ..scene import DOCKER0, IPTABLES_RULES, OUT, Node, correlate, docker_host

PACKET = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.pcapng", ("a.pcapng", None, None)),
        ("n1=a.pcapng", ("a.pcapng", "n1", None)),
        ("n1/eth0=a.pcap", ("a.pcap", "n1", "eth0")),
        ("n1/eth0.5=dir/a=b.pcap", ("dir/a=b.pcap", "n1", "eth0.5")),
        ("n1/=a.pcap", ("a.pcap", "n1", None)),
    ],
)
def test_a_source_is_a_path_with_what_it_does_not_say_itself(text, expected):
    source = Source.parse(text)
    assert (source.path, source.node, source.interface) == expected


@pytest.mark.parametrize("text", ["=a.pcap", "n1=", "=", "/eth0=a.pcap"])
def test_half_a_source_is_refused(text):
    with pytest.raises(TtraceError, match="names no file"):
        Source.parse(text)


def test_a_file_that_exists_is_a_file_even_with_an_equals_sign(tmp_path, monkeypatch):
    (tmp_path / "n1=a.pcap").touch()
    monkeypatch.chdir(tmp_path)
    assert Source.parse("n1=a.pcap").path == "n1=a.pcap"


@settings(deadline=None)
@given(st.text() | st.text("a=/.", max_size=9) | st.just("a=" + "b" * 5000))
def test_any_text_is_a_source_or_an_error_for_people(text):
    try:
        source = Source.parse(text)
    except TtraceError:
        return
    assert source.path in text


def test_roles_are_those_of_the_snapshot(tmp_path):
    host = docker_host()
    host.interface("odd-name", 8, kind="veth", master=DOCKER0, peer="web9")
    host.interface("brx", 9, kind="bridge")
    roles = {p.interface: p.role for p in correlate(tmp_path, host).topology.points}
    assert roles == {
        "lo": Role.LOOPBACK, "eth0": Role.DEVICE, "docker0": Role.BRIDGE, "veth1": Role.PORT, "odd-name": Role.PORT,
        "brx": Role.BRIDGE,
    }  # fmt: skip


def test_roles_are_guessed_from_names_where_there_is_no_snapshot(tmp_path):
    host = docker_host()
    host.snapshots = False
    host._records.clear()
    roles = {p.interface: p.role for p in correlate(tmp_path, host).topology.points}
    assert roles == {"lo": Role.LOOPBACK, "eth0": Role.DEVICE, "docker0": Role.BRIDGE, "veth1": Role.PORT}


def test_plain_files_are_the_node_and_interface_they_are_called(tmp_path):
    node = Node("n1")
    node.interface("eth0", 2)
    node.see("eth0", OUT, 0, PACKET)
    file = node.write(tmp_path)
    for text, expected in ((file, ("n1", "eth0")), (f"x={file}", ("x", "eth0")), (f"x/y={file}", ("x", "y"))):
        (point,) = correlate_captures([text]).topology.points
        assert (point.node, point.interface) == expected


# --- any JSON -------------------------------------------------------------------------------------------------------

ODD_TEXT = st.sampled_from(["", "root", "x", "10.0.0.1", "fe80::1", "::1/64", ":"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["index", "name", "kind", "master", "up", "peer_netns", "address", "addresses", "nft", "json",
             "nftables", "chain", "rule", "family",
             "table", "hook", "prio", "type", "policy", "iptables", "legacy", "ip", "ip6", "generation", "boot_id",
             "clock", "node", "netns",
             "container", "ifindex", "what", "net.bridge.bridge-nf-call-iptables", "kernel", "hostname",
             "interfaces", "filter"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip
GOOD = {
    "links": [{"index": 1, "name": "e", "kind": None, "master": None, "up": True, "peer_netns": None}],
    "addresses": [{"index": 1, "address": "10.0.0.1", "prefix": 24}],
    "ruleset": IPTABLES_RULES,
    "containers": [{"name": "web1", "addresses": ["10.0.0.2"]}],
    "node": {"boot_id": "x", "kernel": "6"},
    "sysctls": {},
    "capture": {"filter": None},
    "routes": [],
}


@st.composite
def damaged(draw) -> tuple[str, object]:
    """A kind of snapshot with any data, or with good data of which one part is anything."""
    kind = draw(st.sampled_from(list(GOOD)))
    data = json.loads(json.dumps(GOOD[kind]))
    target, step = None, data
    while isinstance(step, dict | list) and step and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(list(step) if isinstance(step, dict) else list(range(len(step)))))
        target, last, step = step, key, step[key]
    if target is None:
        return kind, draw(JSON)
    target[last] = draw(JSON)
    return kind, data


def file_of(path, facts: object, section: object, snapshots: list[object]) -> str:
    snapshot = {"netns": "root", "what": "snapshot"}
    interface = {"facts": facts if isinstance(facts, dict) else {"": facts}, "description": ""}
    path.write_bytes(
        section_header(node=section, system="", application="")
        + interface_description(link_type=LinkType.WIRESHARK_UPPER_PDU, name="snapshot", description="", facts=snapshot)
        + interface_description(link_type=LinkType.RAW, name="e", **interface)
        + b"".join(enhanced_packet(interface=0, time_ns=1, data=exported_json(json.dumps(s))) for s in snapshots)
        + enhanced_packet(interface=1, time_ns=2, data=PACKET)
    )
    return str(path)


HEAD = {"ttrace": "snapshot", "moment": "start", "netns": "root", "part": 1, "parts": 1}


@pytest.mark.slow
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    facts=st.fixed_dictionaries({}, optional=dict.fromkeys(("netns", "ifindex", "container", "inode", "what"), JSON)),
    node=JSON,
    snapshots=st.lists(damaged(), max_size=3),
    heads=st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys((*HEAD, "kind", "data"), JSON)), max_size=2),
)
@example(
    facts={}, node=None, heads=[],
    snapshots=[("node", {"boot_id": None, "kernel": "6"}), ("node", {"boot_id": "x", "kernel": None})],
)  # fmt: skip
def test_any_json_in_a_capture_is_passed_over(tmp_path, facts, node, snapshots, heads):
    frames = [
        HEAD | {"kind": kind, "netns": None if kind in ("node", "containers", "capture") else "root", "data": data}
        for kind, data in snapshots
    ]
    frames += [HEAD | head for head in heads]
    path = file_of(tmp_path / "odd.pcapng", facts, node, frames)
    result = correlate_captures([path])
    assert told(result.sightings).start <= 1
    if told(result.sightings).start:
        assert result.path(1).hops
    assert all(map(description_text, describe_capture(path)))


def test_a_snapshot_that_is_nested_without_end_is_passed_over(tmp_path):
    path = tmp_path / "deep.pcapng"
    file_of(path, {"netns": "root"}, "n", [])
    deep = enhanced_packet(interface=0, time_ns=3, data=exported_json('{"ttrace":"snapshot","data":' + "[" * 50_000))
    path.write_bytes(path.read_bytes() + deep)
    result = correlate_captures([str(path)])
    assert result.files[0].malformed == 1


def test_a_snapshot_with_an_address_that_is_none_is_counted_as_damaged(tmp_path):
    host = docker_host()
    host.snapshot("addresses", [{"index": 2, "address": "192.0.2.\u00011"}])
    host.see("eth0", OUT, 1, IP(src="192.0.2.1", dst="192.0.2.2", id=1) / UDP(sport=1, dport=2))
    result = correlate(tmp_path, host)
    assert result.files[0].malformed == 1
    assert capture_facts(result)[0].malformed == 1


def test_a_snapshot_in_parts_is_one(tmp_path):
    host = docker_host()
    data = {"big": "x" * 300_000}
    host.snapshot("anything", data)
    capture = correlate(tmp_path, host).capture(0)
    assert gather_snapshots([capture], [Source(path=capture.path)]).of_node("host", "anything") == data
