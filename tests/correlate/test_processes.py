"""Which processes a connection is between, by the sockets that the capture recorded."""

import json
from typing import Any

from scapy.layers.inet import IP, TCP, UDP

from ttrace.correlate.result.values import Process
from ttrace.report import render_telling
from ttrace.report.telling import Telling
from ttrace.tests.report.json.plain import assert_written_as_plain

from .scene import IN, OUT, Node, correlate, docker_host

WEB1, HOST = "172.17.0.2", "172.17.0.1"
LISTENER = {"protocol": "tcp", "address": "::", "port": 80, "inode": 9, "pid": 77, "process": "nginx"}
CLIENT = {
    "protocol": "tcp", "address": f"::ffff:{HOST}", "port": 1000, "peer": f"::ffff:{WEB1}", "peer_port": 80,
    "state": "established", "inode": 5, "pid": 12, "process": "curl", "container": "0123456789ab",
}  # fmt: skip


def host_with(*, listeners: list[Any] = (), connections: list[Any] = (), at_stop: list[Any] | None = None) -> Node:
    host = docker_host(inside=True)
    host._namespaces["web1"].container = "web1"
    host.snapshot("connections", list(connections), netns="root")
    host.snapshot("listeners", list(listeners), netns="web1")
    if at_stop is not None:
        host.snapshot("listeners", at_stop, netns="web1", moment="stop", time_us=9_000)
    return host


def talk(host: Node, sport: int = 1000) -> None:
    packets = [
        (0, False, {"flags": "S", "seq": 1}),
        (100, True, {"flags": "SA", "seq": 7, "ack": 2}),
        (200, False, {"flags": "A", "seq": 2, "ack": 8}),
    ]
    for number, (time_us, back, fields) in enumerate(packets):
        ends = (WEB1, HOST, 80, sport) if back else (HOST, WEB1, sport, 80)
        packet = IP(src=ends[0], dst=ends[1], id=number + 1) / TCP(sport=ends[2], dport=ends[3], **fields)
        places = [("docker0", "root", OUT), ("veth1", "root", OUT), ("eth0", "web1", IN)]
        if back:
            places = [("eth0", "web1", OUT), ("veth1", "root", IN), ("docker0", "root", IN)]
        for step, (name, netns, direction) in enumerate(places):
            host.see(name, direction, time_us + step, packet, netns=netns)


def test_who_listens_and_who_is_connected(tmp_path, monkeypatch):
    host = host_with(listeners=[LISTENER], connections=[CLIENT])
    talk(host)
    result = correlate(tmp_path, host)
    (found,) = result.connection_list()
    assert found.client_process == Process(pid=12, name="curl", container="0123456789ab")
    assert found.server_process == Process(pid=77, name="nginx", container="web1")
    assert_written_as_plain(result, monkeypatch)
    told = Telling.chosen(result)
    assert "tcp 172.17.0.1:1000 (host: curl) -> 172.17.0.2:80 (web1: nginx)" in "".join(render_telling(told, "text"))
    (told_in_json,) = json.loads("".join(render_telling(told, "json")))["connections"]
    assert told_in_json["server_process"] == {"pid": 77, "name": "nginx", "container": "web1"}
    assert told_in_json["client_process"] == {"pid": 12, "name": "curl", "container": "0123456789ab"}


def test_sockets_of_other_connections_and_ports_are_not_theirs(tmp_path):
    others = [LISTENER | {"port": 81}, LISTENER | {"address": "127.0.0.1"}, LISTENER | {"protocol": "udp"}]
    host = host_with(listeners=others, connections=[CLIENT | {"port": 1001}, CLIENT | {"peer_port": 81}])
    talk(host)
    (found,) = correlate(tmp_path, host).connection_list()
    assert (found.client_process, found.server_process) == (None, None)


def test_a_socket_that_was_made_anew_meanwhile_may_be_anybodys(tmp_path):
    host = host_with(listeners=[LISTENER], at_stop=[LISTENER | {"inode": 10, "pid": 78}])
    talk(host)
    (found,) = correlate(tmp_path, host).connection_list()
    assert found.server_process is None


def test_a_socket_without_an_owner_says_nothing(tmp_path):
    unowned = {name: value for name, value in LISTENER.items() if name not in ("pid", "process")}
    host = host_with(listeners=[unowned], at_stop=[unowned])
    talk(host)
    (found,) = correlate(tmp_path, host).connection_list()
    assert found.server_process is None


def test_a_datagram_is_of_the_socket_that_is_bound_to_its_port(tmp_path):
    resolver = LISTENER | {"protocol": "udp", "port": 53, "process": "resolver"}
    host = host_with(listeners=[resolver])
    host.snapshot(
        "listeners", [LISTENER | {"protocol": "udp", "address": "0.0.0.0", "port": 1000, "process": "dig"}],
        netns="root",
    )  # fmt: skip
    query = IP(src=HOST, dst=WEB1, id=1) / UDP(sport=1000, dport=53) / b"query"
    host.see("docker0", OUT, 0, query)
    host.see("eth0", IN, 5, query, netns="web1")
    (found,) = correlate(tmp_path, host).connection_list()
    assert (found.client_process.name, found.server_process.name) == ("dig", "resolver")
