"""The lookup in a recorded routing policy, compared with what the kernel itself says of the same packets."""

import errno
import json
import os
import random
import socket
import struct
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Self

import pytest

from ttrace.capture.machine.netns import open_netns
from ttrace.capture.snapshots import netns_snapshots
from ttrace.correlate.nodes.namespace_facts import NamespaceFacts
from ttrace.correlate.nodes.routing import lookup
from ttrace.correlate.nodes.shapes import fits
from ttrace.correlate.nodes.snapshots import SHAPES, Key, NodeSnapshots
from ttrace.correlate.nodes.surroundings import facts_of

NAME = f"ttroute-{os.getpid()}"
LINKS = ("e0", "e1", "e2")
RTM_GETROUTE, NLM_F_REQUEST, NLMSG_ERROR = 26, 1, 2
RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH = 0x1000, 0x2000
ERRORS = {
    errno.ENETUNREACH: "none",
    errno.EHOSTUNREACH: "unreachable",
    errno.EACCES: "prohibit",
    errno.EINVAL: "blackhole",
}
TYPES = {1: "unicast", 2: "local", 3: "broadcast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
RULE_TYPES = {"unreachable": "none"}
"""A rule that says unreachable answers as if there were no route."""


def ip(*words: str, batch: str | None = None) -> str:
    done = subprocess.run(["ip", "-n", NAME, *words], input=batch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    try:
        lines = ["link set lo up"]
        for number, link in enumerate(LINKS):
            lines += [
                f"link add {link} type veth peer name p{number}", f"link set {link} up", f"link set p{number} up",
                f"addr add 10.{number}.0.1/24 dev {link}", f"addr add fd0{number}::1/64 dev {link} nodad",
            ]  # fmt: skip
        ip("-batch", "-", batch="\n".join(lines))
        settings = "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done; "
        settings += "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"
        subprocess.run(["ip", "netns", "exec", NAME, "sh", "-c", settings], check=True)
        yield NAME
    finally:
        subprocess.run(["ip", "netns", "del", NAME], check=False)


def recorded() -> NamespaceFacts:
    """What a capture records of the namespace, as the correlator has it from the file."""
    netns, warnings = open_netns(NAME), []
    snapshots = NodeSnapshots(file_nodes=["n"], damaged=[0])
    for number, snapshot in enumerate(netns_snapshots(netns, [], warnings), 1):
        data = json.loads(json.dumps(snapshot.data))
        assert fits(data, SHAPES.get(snapshot.kind, object)), snapshot.kind
        snapshots.latest["n", Key("x", snapshot.kind, "start")] = data
        snapshots.where["n", Key("x", snapshot.kind, "start")] = (0, number)
    netns.close()
    assert warnings == []
    return facts_of(snapshots, "n", "x")


class Kernel:
    """Asks the kernel for the entry of its tables that a packet takes (`ip route get fibmatch`)."""

    def __enter__(self) -> Self:
        netns = open_netns(NAME)
        with netns.entered():
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self.indexes = {link: socket.if_nametoindex(link) for link in (*LINKS, "lo")}
        netns.close()
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def ask(
        self, destination, *, source=None, iif=None, mark=0, protocol=None, source_port=None, destination_port=None
    ):
        """(type, table, prefix length, metric)."""
        address = ip_address(destination)
        family, bits = (socket.AF_INET, 32) if address.version == 4 else (socket.AF_INET6, 128)
        wanted = [(1, address.packed)]
        if source:
            wanted.append((2, ip_address(source).packed))
        for kind, value in ((3, iif and self.indexes[iif]), (16, mark)):
            if value:
                wanted.append((kind, struct.pack("=I", value)))
        if protocol:
            wanted += [
                (27, bytes([protocol])),
                (28, struct.pack(">H", source_port)),
                (29, struct.pack(">H", destination_port)),
            ]
        body = struct.pack(
            "=8BI", family, bits, bits if source else 0, 0, 0, 0, 0, 0, RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH
        )
        for kind, value in wanted:
            body += struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)
        self.socket.send(struct.pack("=IHHII", 16 + len(body), RTM_GETROUTE, NLM_F_REQUEST, 1, 0) + body)
        answer = self.socket.recv(65536)
        if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
            return ERRORS[-struct.unpack_from("=i", answer, 16)[0]], None, None, None
        _, prefix, _, _, table, _, _, kind, _ = struct.unpack_from("=8BI", answer, 16)
        metric, at = 0, 28
        while at + 4 <= len(answer):
            length, name = struct.unpack_from("=HH", answer, at)
            if name == 6:
                (metric,) = struct.unpack_from("=I", answer, at + 4)
            if name == 15:
                (table,) = struct.unpack_from("=I", answer, at + 4)
            at += max(length + 3 & ~3, 4)
        return TYPES[kind], table, prefix, metric


def said(found) -> tuple:
    """The same of what the lookup says."""
    if found.route is None or found.is_rejected:
        return RULE_TYPES.get(found.type, found.type) if found.route is None else found.type, None, None, None
    return found.type, found.route.table, found.route.prefix, found.route.metric


def network(rng: random.Random, version: int) -> str:
    """Of few networks, so that many hold the same address."""
    prefix = rng.choice((0, 8, 9, 12, 16, 20, 24, 25, 30, 32) if version == 4 else (0, 16, 32, 48, 56, 64, 96, 128))
    return str(ip_network((address(rng, version), prefix), strict=False))


def address(rng: random.Random, version: int) -> str:
    numbers = rng.randrange(8), rng.randrange(5), rng.randrange(2, 250)
    return "10.{}.{}.{}".format(*numbers) if version == 4 else "fd0{}:0:{}::{:x}".format(*numbers)


def hop(rng: random.Random, version: int) -> str:
    link, host = rng.randrange(3), rng.randrange(2, 99)
    return f"via {f'10.{link}.0.{host}' if version == 4 else f'fd0{link}::{host}'} dev e{link}"


def a_route(rng: random.Random, version: int) -> str:
    kind = rng.choice(("", "", "", "", "blackhole", "unreachable", "prohibit", "throw"))
    way = "" if kind else hop(rng, version)
    if not kind and rng.random() < 0.1:
        way = f"nexthop {hop(rng, version)} nexthop {hop(rng, version)}"
    table, metric = rng.choice((254, 2, 3, 1000, 70000)), rng.choice((1, 5, 9))
    return f"route add {kind} {network(rng, version)} table {table} metric {metric} {way}"


def a_rule(rng: random.Random, version: int, priority: int) -> str:
    words = [rng.choice((f"from {network(rng, version)}", "from all", f"to {network(rng, version)}"))]
    words.append(rng.choice(("", f"iif {rng.choice((*LINKS, 'lo', 'gone'))}", "fwmark 1", "fwmark 0x10/0xf0")))
    words.append(rng.choice(("", "", "ipproto tcp", "dport 80-443", "sport 1000 ipproto udp")))
    action = rng.choice(("goto", "nop", "blackhole", "unreachable", "prohibit", *["lookup"] * 7))
    if action == "goto":
        action = f"goto {rng.choice((priority + 1, priority + 5, 32766))}"
    elif action in ("blackhole", "unreachable", "prohibit"):
        words[0] = f"to {address(rng, version)}/{12 if version == 4 else 40}"
    elif action == "lookup":
        action = f"lookup {rng.choice((254, 2, 3, 1000, 70000))}"
        action += rng.choice(("", "", f" suppress_prefixlength {rng.choice((0, 8, 16))}"))
    inverted = "not" if rng.random() < 0.1 else ""
    return f"rule add {inverted} {' '.join(words)} priority {priority} {action}"


def make_policy(rng: random.Random, version: int) -> None:
    lines = ["route flush table all proto boot", "rule flush", "rule add priority 32766 lookup main"]
    lines += [a_route(rng, version) for _ in range(80)]
    lines += [a_rule(rng, version, priority) for priority in sorted(rng.sample(range(1, 60), 22))]
    # Some are equal, or not what the kernel takes: these are simply not there.
    command = ["ip", f"-{version}", "-n", NAME, "-force", "-batch", "-"]
    subprocess.run(command, input="\n".join(lines), text=True, capture_output=True, check=False)


def a_packet(rng: random.Random, version: int) -> dict:
    packet = {
        "mark": rng.choice((0, 0, 1, 0x10, 0x35)), "protocol": rng.choice((6, 17)),
        "source_port": rng.choice((1000, 5000)), "destination_port": rng.choice((80, 8080)),
    }  # fmt: skip
    if rng.random() < 0.7:
        return packet | {"source": address(rng, version), "iif": rng.choice(LINKS)}
    own = ("10.0.0.1", "10.1.0.1") if version == 4 else ("fd00::1", "fd01::1")
    return packet | {"source": rng.choice((None, *own))}


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_the_lookup_says_what_the_kernel_says(version, seed):
    rng = random.Random(seed * 10 + version)
    make_policy(rng, version)
    facts = recorded()
    assert len([rule for rule in facts.rules if rule.family == version]) > 15
    assert len([route for route in facts.routes if route.family == version]) > 40
    seen, unsure = [], 0
    with Kernel() as kernel:
        for _ in range(500):
            packet, destination = a_packet(rng, version), address(rng, version)
            found, expected = lookup(facts, destination, **packet), kernel.ask(destination, **packet)
            if found.sure:
                assert said(found) == expected, (destination, packet, found)
                seen.append(found.type)
            unsure += not found.sure
    assert len(set(seen)) > 2
    assert unsure < 100
