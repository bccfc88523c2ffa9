"""Captures of real traffic in network namespaces, read back with tshark."""

import json
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from ttrace.capture.machine.netns import open_netns
from ttrace.correlate import correlate_captures
from ttrace.correlate.sightings import told
from ttrace.pcapng.capture_file import is_packet_interface
from ttrace.pcapng.read import read_capture

from .conftest import ip, tshark

DIRECTION = "frame.packet_flags_direction"


def snapshots(path: Path) -> dict[tuple[str, str, str | None], object]:
    """(moment, kind, netns) to data, joined from their parts."""
    texts: dict[tuple[str, str, str | None], list] = {}
    found: dict[tuple[str, str, str | None], object] = {}
    for (text,) in tshark(path, "-Y", "json", fields=("exported_pdu.exported_pdu",)):
        facts = json.loads(bytes.fromhex(text))
        assert facts["ttrace"] == "snapshot"
        key = (facts["moment"], facts["kind"], facts["netns"])
        if facts["parts"] == 1:
            found[key] = facts["data"]
        else:
            texts.setdefault(key, []).append(facts["data"])
    return found | {key: json.loads("".join(parts)) for key, parts in texts.items()}


def test_ping_is_seen_on_every_interface_with_its_direction_and_addresses(network, start):
    capture = start(network.router)
    capture.wait_ready()
    network.ping(count=1)
    summary = capture.stop()
    rows = tshark(
        capture.path,
        "-Y",
        "icmp.type == 8",
        fields=("frame.interface_name", DIRECTION, "ip.src", "frame.interface_description"),
    )
    assert sorted(rows) == sorted(
        [
            ["veth0", "0x00000001", "10.9.0.2", "root namespace"],
            ["br0", "0x00000001", "10.9.0.2", "root namespace"],
            ["eth0", "0x00000002", "10.8.0.1", "root namespace"],
        ]
    )
    assert summary["lost"] == 0
    assert {point["interface"] for point in summary["points"]} == {"br0", "veth0", "eth0"}


def test_file_is_in_time_order_and_read_by_capinfos_without_complaint(network, start):
    capture = start(network.router)
    capture.wait_ready()
    network.ping(count=50)
    summary = capture.stop()
    done = subprocess.run(["capinfos", str(capture.path)], capture_output=True, text=True, check=True)
    assert "Strict time order:   True" in done.stdout
    assert "ttrace" in done.stdout
    assert summary["bytes"] == capture.path.stat().st_size
    packets = [row for row in tshark(capture.path, "-Y", "eth") if row]
    assert len(packets) == summary["packets"]


def test_what_comes_while_it_starts_is_in_time_order_too(network, start):
    command = ("ip", "netns", "exec", network.client, "ping", "-q", "-i", "0.001", network.server_address)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as ping:
        try:
            capture = start(network.router)
            capture.wait_ready()
            time.sleep(0.3)
            capture.stop()
        finally:
            ping.send_signal(signal.SIGINT)
    done = subprocess.run(["capinfos", str(capture.path)], capture_output=True, text=True, check=True)
    assert "Strict time order:   True" in done.stdout


def test_tcp_connection_through_nat_has_conntrack_events_and_trace_events_of_both_translations(network, start):
    capture = start(network.router)
    capture.wait_ready()
    exchange(network, network.router_address, 8080, listen_port=80)
    summary = capture.stop()
    assert summary["conntrack_events"] >= 3
    assert summary["trace_events"] > 50
    assert summary["netlink_lost"] == 0
    ports = "netlink-netfilter.nfct_tuple.proto.dst_port"
    (new, *_) = tshark(
        capture.path, "-Y", f"{ports} == 8080", fields=(ports, "netlink-netfilter.ct_attr.status.dst_nat")
    )
    assert new[0].startswith("8080,")
    assert new[1] == "1"
    frames = tshark(
        capture.path, "-Y", "tcp.dstport == 80 && tcp.flags.syn == 1", fields=("frame.interface_name", "ip.dst")
    )
    assert ["br0", "10.9.0.2"] in frames


def exchange(network, address: str, port: int, listen_port: int) -> None:
    """One small TCP exchange from the server's namespace to a listener in the client's."""
    listen = (
        "import socket\n"
        f"server = socket.create_server(('', {listen_port}))\n"
        "print('ready', flush=True)\n"
        "peer, _ = server.accept()\n"
        "peer.sendall(peer.recv(100))\n"
        "peer.close()\n"
    )
    connect = (
        "import socket\n"
        f"with socket.create_connection(('{address}', {port}), 5) as peer:\n"
        "    peer.sendall(b'hello')\n"
        "    peer.recv(100)\n"
    )
    listener = subprocess.Popen(
        ["ip", "netns", "exec", network.client, "python3", "-c", listen], stdout=subprocess.PIPE, text=True
    )
    assert listener.stdout.readline() == "ready\n"
    network.run(network.server, "python3", "-c", connect)
    listener.communicate(timeout=5)


def test_snapshots_hold_rules_addresses_and_settings_of_start_and_stop(network, start):
    capture = start(network.router, node_name="gateway")
    capture.wait_ready()
    capture.stop()
    found = snapshots(capture.path)
    for moment in ("start", "stop"):
        kinds = {kind for when, kind, _ in found if when == moment}
        assert kinds == {
            "capture", "node", "containers", "links", "addresses", "routes", "route_rules", "neighbours", "ruleset",
            "sysctls", "counters", "listeners", "connections",
        }  # fmt: skip
    assert found["start", "node", None]["name"] == "gateway"
    rules = found["start", "ruleset", "root"]
    assert "MASQUERADE" in rules["iptables"]["ip"]
    assert rules["iptables"]["ip6"] is None
    assert rules["legacy"] == {"ip": None, "ip6": None}
    assert "table inet ttrace" in rules["nft"]
    assert {"family": "ip", "name": "nat"}.items() <= rules["json"]["nftables"][1]["table"].items()
    assert rules["consistent"] is True
    assert "table inet ttrace" not in found["stop", "ruleset", "root"]["nft"]
    links = {link["name"]: link for link in found["start", "links", "root"]}
    assert links["veth0"]["master"] == links["br0"]["index"]
    assert found["start", "sysctls", "root"]["net.ipv4.ip_forward"] == "1"
    assert {"address": "10.8.0.1", "prefix": 24}.items() <= next(
        entry for entry in found["start", "addresses", "root"] if entry["index"] == links["eth0"]["index"]
    ).items()


def test_further_namespaces_are_captured_and_peers_named(network, start):
    capture = start(network.router, netns=(network.client,))
    capture.wait_ready()
    network.ping(count=1)
    summary = capture.stop()
    assert {(point["netns"], point["interface"]) for point in summary["points"]} >= {
        (network.client, "eth0"),
        ("root", "eth0"),
    }
    assert {namespace["netns"] for namespace in summary["namespaces"]} == {"root", network.client}
    links = {link["name"]: link for link in snapshots(capture.path)["start", "links", "root"]}
    assert links["veth0"]["peer_netns"] == network.client
    back = {link["name"]: link for link in snapshots(capture.path)["start", "links", network.client]}
    assert back["eth0"]["peer_netns"] == "root"


def test_filter_snaplen_and_interface_choose_what_is_kept(network, start):
    capture = start(network.router, interfaces=("eth0",), filter="icmp[0] == 8", snaplen=60, trace=False)
    capture.wait_ready()
    network.ping(count=4, size=500)
    summary = capture.stop()
    assert [point["interface"] for point in summary["points"]] == ["eth0"]
    rows = tshark(capture.path, "-Y", "icmp", fields=("icmp.type", "frame.cap_len", "frame.len"))
    assert rows == [["8", "60", "542"]] * 4
    assert summary["trace_events"] == 0


def test_vlan_tag_taken_out_by_the_kernel_is_put_back(network, start):
    capture = start(network.router, interfaces=("veth0",), filter="vlan 42", trace=False)
    capture.wait_ready()
    frame = bytes.fromhex("ffffffffffff 020000000001 8100 002a 0800") + b"payload of a tagged frame"
    send = (
        "import socket\n"
        "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
        "s.bind(('eth0', 0))\n"
        f"s.send(bytes.fromhex('{frame.hex()}'))\n"
    )
    network.run(network.client, "python3", "-c", send)
    capture.stop()
    assert tshark(capture.path, "-Y", "vlan", fields=("vlan.id", "frame.len")) == [["42", str(len(frame))]]


def test_count_ends_the_capture_with_exactly_that_many_packets(network, start):
    capture = start(network.router, count=7, trace=False)
    capture.wait_ready()
    network.ping(count=5)
    summary = capture.wait_for("summary")
    assert summary["packets"] == 7
    assert capture.process.wait(10) == 0


def test_snapshots_say_from_when_to_when_packets_were_taken(network, start):
    began_ns = time.time_ns()
    capture = start(network.router)
    capture.wait_ready()
    network.ping(count=1)
    stopped_ns = time.time_ns()
    capture.stop()
    found = snapshots(capture.path)
    first, last = found["start", "capture", None], found["stop", "capture", None]
    assert began_ns < first["started_ns"] == last["started_ns"] < stopped_ns
    assert first["ended_ns"] is None
    assert stopped_ns < last["ended_ns"] < time.time_ns()
    times = [int(row[0].replace(".", "")) for row in tshark(capture.path, "-Y", "eth", fields=("frame.time_epoch",))]
    assert max(times) <= last["ended_ns"]


def test_what_is_traced_at_the_end_is_captured_as_well(network, start):
    """Tracing ends before the packets do: no chain is told of that saw a packet of which there is no frame."""
    capture = start(network.router, trace_limit=0)
    capture.wait_ready()
    # Not before: while a capture starts its rings may overflow, and what they lost then was traced as well.
    flood = subprocess.Popen(
        ["ip", "netns", "exec", network.client, "ping", "-q", "-f", "-l", "20", network.server_address],
        stdout=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.2)
        assert capture.stop()["lost"] == 0
    finally:
        flood.kill()
        flood.wait()
    result = correlate_captures([str(capture.path)])
    behind = told(result.sightings)
    seen = set(result.packets.packet[: behind.start].tolist())
    traced = result.packets.packet[behind]
    assert traced.size > 1000
    assert [packet for packet in traced.tolist() if packet not in seen] == []


def test_with_a_count_packets_are_taken_until_the_last_one_wanted(network, start):
    capture = start(network.router, count=7, trace=False, interfaces=["eth0"])
    capture.wait_ready()
    network.ping(count=5)
    capture.wait_for("summary")
    rows = tshark(capture.path, "-Y", "eth", fields=("frame.time_epoch",))
    ended_ns = snapshots(capture.path)["stop", "capture", None]["ended_ns"]
    last_ns = int(rows[-1][0].replace(".", ""))
    # Conntrack events up to the next packet may follow it.
    assert len(rows) == 7
    assert last_ns <= ended_ns < last_ns + 1_000_000_000


def test_duration_ends_the_capture(network, start):
    capture = start(network.router, duration_s=0.4)
    summary = capture.wait_for("summary")
    assert 0.4 <= summary["duration_s"] < 5


def test_stream_to_standard_output_is_the_same_file(network, start, tmp_path):
    capture = start(network.router, output="-", count=4, trace=False)
    capture.wait_ready()
    network.ping(count=4)
    capture.wait_for("summary")
    path = tmp_path / "piped.pcapng"
    path.write_bytes(capture.process.stdout.buffer.read())
    assert len(tshark(path, "-Y", "eth")) == 4


def test_conntrack_table_from_before_the_capture_is_dumped(network, start):
    network.ping(count=1)
    # NAT has made conntrack remember the ping; the capture starts only now.
    capture = start(network.router)
    capture.wait_ready()
    summary = capture.stop()
    assert summary["namespaces"][0]["messages"] > summary["trace_events"] + summary["conntrack_events"]
    assert tshark(capture.path, "-Y", "netlink.hdr_flags.multi == 1 && netlink-netfilter.ct_attr.id")


def test_messages_keep_the_order_of_their_socket_and_times_never_go_back(network, start):
    capture = start(network.router, trace_limit=0)
    capture.wait_ready()
    network.ping(count=200)
    capture.stop()
    times = [
        int(row[0].replace(".", "")) for row in tshark(capture.path, "-Y", "netlink", fields=("frame.time_epoch",))
    ]
    assert len(times) > 1000
    assert times == sorted(times)


def test_node_name_and_default_file_name(network, start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    capture = start(network.router, output="", node_name="edge", duration_s=0.2)
    summary = capture.wait_for("summary")
    assert re.fullmatch(r"edge-\d{8}-\d{6}\.pcapng", summary["file"])
    assert (tmp_path / summary["file"]).stat().st_mode & 0o777 == 0o600


def test_container_interface_that_appears_during_the_capture_is_captured(network, start):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    ip("-n", network.router, "link", "add", "veth9", "type", "veth", "peer", "name", "eth9", "netns", network.server)
    ip("-n", network.router, "link", "set", "veth9", "master", "br0", "up")
    ip("-n", network.server, "addr", "add", "10.9.0.9/24", "dev", "eth9")
    ip("-n", network.server, "link", "set", "eth9", "up")
    # Its description is written when its ring is open.
    while b"veth9" not in capture.path.read_bytes():
        assert capture.process.poll() is None
    network.run(network.server, "ping", "-q", "-c", "3", "-i", "0.002", "-I", "eth9", network.client_address)
    summary = capture.stop()
    assert "veth9" in {point["interface"] for point in summary["points"]}
    rows = tshark(capture.path, "-Y", 'icmp.type == 8 && frame.interface_name == "veth9"')
    assert len(rows) == 3


def test_trace_events_have_the_time_of_their_packets_even_if_the_capture_sleeps(network, start):
    capture = start(network.router, trace_limit=0)
    capture.wait_ready()
    capture.process.send_signal(signal.SIGSTOP)
    network.ping(count=3)
    time.sleep(0.3)  # that the messages wait so long is what is tested
    capture.process.send_signal(signal.SIGCONT)
    capture.stop()
    read = read_capture(capture.path)
    packets = [row for row in read.records if is_packet_interface(read.interfaces[row["interface"]])]
    # nlmsg_type behind the pseudo-header of 16 bytes and nlmsg_len: 0x0a11 is a trace event.
    events = [row for row in read.records if bytes(read.data[row["offset"] + 20 :][:2]) == b"\x11\x0a"]
    assert len(events) > 20
    # Those of the client: what the router says itself (IGMP) is traced before it is a frame.
    client = socket.inet_aton(network.client_address)

    def times(rows) -> list[int]:
        whole = [bytes(read.data[row["offset"] :][: int(row["captured"])]) for row in rows]
        return [row["time_ns"] for row, data in zip(rows, whole, strict=True) if client in data]

    assert len(times(events)) > 10  # one of each chain and packet has its addresses
    assert min(times(packets)) < min(times(events))
    assert max(times(events)) < max(times(packets)) + 50_000_000


def test_long_frames_are_kept_as_they_are_whatever_their_length(network, start):
    capture = start(network.router, interfaces=["lo"], trace=False, snaplen=262_144)
    capture.wait_ready()
    frames = [random.Random(size).randbytes(size) for size in (14, 60, *range(4090, 4102), 20_001, 65_000)]
    netns = open_netns(network.router)
    with netns.entered():
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    netns.close()
    with sender:
        sender.bind(("lo", 0))
        for frame in frames:
            sender.send(frame)
    capture.stop()
    read = read_capture(capture.path)
    kept = [bytes(read.data[row["offset"] :][: row["captured"]]) for row in read.records]
    assert [len(frame) for frame in frames if kept.count(frame) != 2] == []  # once out, once in
