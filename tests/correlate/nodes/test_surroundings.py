"""What surrounds the packets, from real namespaces and from damaged files."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ttrace.capture.machine import inet_sockets, owners
from ttrace.capture.machine.netns import open_netns
from ttrace.capture.machine.owners import Owners
from ttrace.capture.snapshots import netns_snapshots
from ttrace.capture.socket_snapshots import all_socket_snapshots
from ttrace.capture.targets import Target, Targets
from ttrace.correlate.nodes.growth import growth
from ttrace.correlate.nodes.shapes import SHAPES, fits
from ttrace.correlate.nodes.snapshots import Key, NodeSnapshots
from ttrace.correlate.nodes.surroundings import facts_of

NAME = f"ttsurr-{os.getpid()}"


@pytest.fixture
def namespace() -> Iterator[str]:
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    try:
        subprocess.run(["ip", "-n", NAME, "link", "set", "lo", "up"], check=True)
        yield NAME
    finally:
        subprocess.run(["ip", "netns", "del", NAME], check=False)


def record(snapshots: NodeSnapshots, moment: str) -> None:
    netns, warnings = open_netns(NAME), []
    targets = Targets([Target(netns, [], [])], [], [], [])
    sockets = all_socket_snapshots(targets, Owners({}), warnings)
    for number, snapshot in enumerate([*netns_snapshots(netns, [], warnings), *sockets], 1):
        data = json.loads(json.dumps(snapshot.data))
        assert fits(data, SHAPES.get(snapshot.kind, object)), snapshot.kind
        snapshots.latest["n", Key("x", snapshot.kind, moment)] = data
        snapshots.where["n", Key("x", snapshot.kind, moment)] = (0, number)
        if snapshot.kind == "counters":
            snapshots.counted.setdefault(("n", "x"), {}).setdefault(0, {})[moment] = data
    netns.close()
    assert warnings == []


def test_counters_are_told_by_how_much_they_grew_and_listeners_by_their_backlog(namespace):
    netns = open_netns(namespace)
    with netns.entered():
        server, asker = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    netns.close()
    snapshots = NodeSnapshots(file_nodes=["n"], damaged=[0])
    with server, asker:
        server.bind(("127.0.0.1", 4711))
        server.listen(7)
        record(snapshots, "start")
        for _ in range(3):
            asker.sendto(b"anybody there?", ("127.0.0.1", 9))
        record(snapshots, "stop")
    facts = facts_of(snapshots, "n", "x")
    assert facts.counted("UdpNoPorts") == 3
    assert facts.counted("link.lo.rx_packets") >= 6  # and the ICMP errors that answer
    assert facts.counted("TcpExtListenDrops") == 0
    (listener,) = (one for one in facts.listeners if one.protocol == "tcp")
    assert (listener.address, listener.port, listener.backlog, listener.most) == ("127.0.0.1", 4711, 0, 7)
    assert listener.uid == os.geteuid()
    assert listener.inode
    assert (listener.owner.pid, listener.owner.process) == (os.getpid(), Path("/proc/self/comm").read_text().strip())


def test_who_is_connected_is_told_with_the_process(namespace):
    netns = open_netns(namespace)
    with netns.entered():
        server, client = socket.create_server(("127.0.0.1", 4712)), socket.socket()
        client.connect(("127.0.0.1", 4712))
    netns.close()
    snapshots = NodeSnapshots(file_nodes=["n"], damaged=[0])
    with server, client:
        record(snapshots, "start")
        (mine,) = (one for one in facts_of(snapshots, "n", "x").connections if one.peer_port == 4712)
        assert (mine.protocol, mine.address, mine.peer, mine.state) == ("tcp", "127.0.0.1", "127.0.0.1", "established")
        assert mine.port == client.getsockname()[1]
        assert mine.owner.pid == os.getpid()


@pytest.mark.fault("capture", "more sockets than are read, and more processes than there is time for", "two warnings")
def test_what_is_left_out_of_sockets_is_a_warning(namespace, monkeypatch):
    monkeypatch.setattr(inet_sockets, "_MOST", 1)
    monkeypatch.setattr(owners, "_MOST_S", -1.0)
    netns, warnings = open_netns(namespace), []
    with netns.entered():
        servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    found = all_socket_snapshots(Targets([Target(netns, [], [])], [], [], []), Owners({}), warnings)
    for one in servers:
        one.close()
    netns.close()
    (row,) = next(snapshot.data for snapshot in found if snapshot.kind == "listeners")
    assert "pid" not in row
    assert warnings == [
        f"namespace {namespace}: it has so many sockets that some are not recorded",
        "of some sockets it is not recorded whose they are: there are too many processes",
    ]


@pytest.mark.fault("capture", "the kernel has no sock_diag", "no listeners are recorded; the rest is")
def test_a_kernel_without_sock_diag(namespace, monkeypatch):
    def refuse(*_, **__):
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(inet_sockets, "dump", refuse)
    netns, warnings = open_netns(namespace), []
    assert all_socket_snapshots(Targets([Target(netns, [], [])], [], [], []), Owners({}), warnings) == []
    netns.close()
    assert warnings == []


def test_bridge_ports_and_tunnels_say_how_they_are_set(namespace):
    lines = [
        "link add br0 type bridge", "link add e0 type veth peer name p0", "link set p0 master br0",
        "link set dev p0 type bridge_slave hairpin on isolated on",
        "link add vx type vxlan id 42 dstport 4789 local 10.1.0.1 remote 10.1.0.2 dev e0",
    ]  # fmt: skip
    subprocess.run(["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines), text=True, check=True)
    snapshots = NodeSnapshots(file_nodes=["n"], damaged=[0])
    record(snapshots, "start")
    links = {link.name: link for link in facts_of(snapshots, "n", "x").links.values()}
    assert {"hairpin": 1, "isolated": 1, "learning": 1}.items() <= links["p0"].port.items()
    assert links["br0"].bridge["nf_call_iptables"] == 0
    tunnel = {"id": 42, "local": "10.1.0.1", "remote": "10.1.0.2", "port": 4789}
    assert tunnel.items() <= links["vx"].tunnel.items()
    assert links["e0"].port is None


def test_queues_say_what_they_dropped_and_filters_that_they_are_there(namespace):
    lines = ["link add e0 type veth peer name p0", "link set e0 up", "link set p0 up", "addr add 10.1.0.1/24 dev e0",
             "neigh add 10.1.0.2 lladdr 02:00:00:00:00:01 dev e0"]  # fmt: skip
    subprocess.run(["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines), text=True, check=True)
    for line in (
        "qdisc add dev e0 root tbf rate 8kbit burst 1600 limit 1600",
        "qdisc add dev p0 clsact",
        "filter add dev p0 ingress protocol ip u32 match u32 0 0",
    ):
        subprocess.run(["tc", "-n", namespace, *line.split()], check=True)
    netns = open_netns(namespace)
    with netns.entered():
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    netns.close()
    snapshots = NodeSnapshots(file_nodes=["n"], damaged=[0])
    record(snapshots, "start")
    with asker:
        for _ in range(20):
            asker.sendto(bytes(1000), ("10.1.0.2", 9))
    record(snapshots, "stop")
    facts = facts_of(snapshots, "n", "x")
    assert 10 < facts.counted("qdisc.e0.dropped") < 20
    links = {link.name: link for link in facts.links.values()}
    assert (links["e0"].qdisc, links["p0"].filters, links["e0"].filters) == ("tbf", ("u32",), ())


def test_growth_is_that_of_all_files_and_of_groups_that_are_told_twice():
    first = {
        "start": {"snmp": {"IpInReceives": 5}},
        "stop": {"snmp": {"IpInReceives": 7}, "snmp6": {"Ip6InReceives": 9}},
    }
    second = {"start": {"snmp": {"IpInReceives": 70}}, "stop": {"snmp": {"IpInReceives": 71, "UdpNoPorts": 2}}}
    cut = {"start": {"snmp": {"IpInReceives": 1}}}
    assert growth([first, second, cut]) == {"IpInReceives": 3, "UdpNoPorts": 2}
    assert growth([cut]) is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("routes", [{"family": 2, "destination": "nowhere", "prefix": 8, "table": 254, "type": "unicast"}]),
        ("route_rules", [{"family": 2, "priority": "first", "action": "lookup"}]),
        ("counters", {"snmp": {"IpInReceives": "many"}}),
        ("counters", {"links": {"eth0": 3}}),
        ("counters", {"qdiscs": {"eth0": {"dropped": "many"}}}),
        ("listeners", [{"protocol": "tcp", "address": "::", "port": None}]),
        ("listeners", [{"protocol": "tcp", "address": "::", "port": 80, "pid": "1"}]),
        ("connections", [{"protocol": "tcp", "address": "::", "port": 80, "peer": "somebody", "peer_port": 1}]),
    ],
)
def test_what_has_another_shape_is_not_taken(kind, data):
    assert not fits(data, SHAPES[kind])
