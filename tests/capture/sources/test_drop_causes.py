"""Each cause of a drop that a namespace can provoke: what the kernel says, and what ttrace makes of it.

One lab has all of them, told apart by the port that each packet is sent to; docs/kernel-drops.md has the same table.
"""

import ctypes
import json
import os
import re
import socket
import struct
from contextlib import ExitStack
from pathlib import Path

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from ttrace.capture.machine.ebpf import EXIT, MOVE_IMMEDIATE, R0, bpf, instruction, load_program
from ttrace.capture.machine.netns import open_netns
from ttrace.correlate import correlate_captures
from ttrace.lab import wait_until
from ttrace.report import render_telling
from ttrace.report.telling import Telling

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
ROUTER, SERVER, CLIENT = "10.8.0.1", "10.8.0.2", "10.9.0.2"
TABLE = re.compile(r"^\| (?P<cause>.+?) \| `(?P<reason>\w+)` \| `(?P<finding>\w+)` \|$", re.MULTILINE)
DOCUMENT = Path(__file__).parents[3] / "docs" / "kernel-drops.md"
RULES = """table inet lab {
    chain in { type filter hook input priority 0; udp dport { 4016, 4017 } drop; }
}"""


def datagram(port: int, *, source: str = CLIENT, to: str = ROUTER, **header: object) -> IP:
    return IP(src=source, dst=to, **header) / UDP(sport=5000, dport=port) / b"a datagram"


def with_wrong_sum(packet: IP, layer: type) -> IP:
    packet[layer].chksum = 0x1234
    return packet


FROM_CLIENT = {
    "the next hop does not answer ARP": datagram(4001, to="10.8.0.77"),
    "no route": datagram(4002, to="172.30.0.1"),
    "a route of type blackhole": datagram(4003, to="172.31.0.1"),
    "a route of type prohibit": datagram(4004, to="172.31.1.1"),
    "rp_filter: the way back is another interface": datagram(4005, to=SERVER, source="10.8.0.50"),
    "a source of 127.0.0.0/8": datagram(4006, to=SERVER, source="127.0.0.1"),
    "a destination of 127.0.0.0/8": datagram(4007, to="127.0.0.1"),
    "a source that is an address of the receiver": datagram(4008, to=SERVER, source="10.9.0.1"),
    "a source that is a multicast group": datagram(4009, to=SERVER, source="224.0.0.5"),
    "a wrong checksum of UDP": with_wrong_sum(datagram(4010), UDP),
    "a wrong checksum of TCP": with_wrong_sum(IP(src=CLIENT, dst=ROUTER) / TCP(sport=5000, dport=4011), TCP),
    "larger than the MTU, and it may not be cut": IP(src=CLIENT, dst=SERVER, flags="DF")
    / UDP(sport=5000, dport=4012)
    / bytes(1400),
    "a datagram to a port where nobody listens": datagram(4013),
    "a SYN to a port where nobody listens": IP(src=CLIENT, dst=ROUTER) / TCP(sport=5000, dport=4014),
    "its time to live runs out": datagram(4015, to=SERVER, ttl=1),
    "a rule that is traced": datagram(4016),
    "a rule that is not traced": datagram(4017),
    "a filter of the socket": datagram(4018),
    "one fragment of a datagram": IP(src=CLIENT, dst=ROUTER, flags="MF") / UDP(sport=5000, dport=4019) / bytes(64),
}
"""What one packet shows."""
FROM_SERVER = {
    "a namespace that does not forward": datagram(4030, source=SERVER, to=CLIENT),
    "a wrong checksum of the IP header": with_wrong_sum(datagram(4031, source=SERVER), IP),
    "shorter than its IP header says": IP(src=SERVER, dst=ROUTER, len=400) / UDP(sport=5000, dport=4032, len=380),
    "addressed to another MAC": datagram(4033, source=SERVER, to=CLIENT),
}
RECEIVE_BUFFER = "the program does not read its datagrams", 4040
QUEUE = "the queue of the device is full", 4041
"""What several packets show: some of them are dropped."""
XDP = "a generic XDP program", 4042
"""The last that comes by its interface."""


def test_each_cause_is_named_as_the_document_says(start, network):
    prepare(network)
    capture = start(
        network.router, netns=[network.client, network.server], trace_match="udp dport != 4017; meta l4proto tcp"
    )
    capture.wait_ready()
    with ExitStack() as stack:
        provoke(network, stack)
        wait_for_fragments(network)
        with inside(network.router):
            throw_all_away("eth0", stack)
        arrives = Ether(src=mac_of(network, network.server), dst=mac_of(network, network.router))
        send(network.server, [arrives / datagram(XDP[1], source=SERVER)])
    capture.stop()
    assert said_of(capture.path) == documented()


def prepare(network) -> None:
    """Routes and settings, before they are recorded."""
    settings = ("neigh.eth0.retrans_time_ms=50", "conf.eth0.forwarding=0", "conf.br0.rp_filter=1", "ipfrag_time=1",
                "icmp_ratelimit=0", "icmp_msgs_per_sec=10000")  # fmt: skip
    network.run(network.router, "sysctl", "-qw", *(f"net.ipv4.{one}" for one in settings))
    for route in ("blackhole 172.31.0.0/24", "prohibit 172.31.1.0/24"):
        network.run(network.router, "ip", "route", "add", *route.split())
    network.run(network.router, "ip", "link", "set", "eth0", "mtu", "1400")
    network.run(network.router, "nft", RULES)
    # A thousand bits a second: of a burst one or two packets go out.
    queue = ("root", "tbf", "rate", "8kbit", "burst", "1540", "limit", "1540")
    network.run(network.router, "tc", "qdisc", "add", "dev", "eth0", *queue)
    network.run(network.client, "ping", "-q", "-c", "1", "10.9.0.1")
    network.run(network.server, "ping", "-q", "-c", "1", ROUTER)


def provoke(network, stack: ExitStack) -> None:
    sender, far = (mac_of(network, network.client), mac_of(network, network.server))
    bridge, router = mac_of(network, network.router, "br0"), mac_of(network, network.router)
    with inside(network.router):
        filtered = stack.enter_context(bound(4018))
        reject = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K: keep nothing
        program = ctypes.create_string_buffer(reject, len(reject))
        filtered.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))
        full = stack.enter_context(bound(RECEIVE_BUFFER[1]))
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    send(network.client, [Ether(src=sender, dst=bridge) / packet for packet in FROM_CLIENT.values()])
    macs = {"addressed to another MAC": "02:00:00:00:00:99"}
    send(
        network.server,
        [Ether(src=far, dst=macs.get(cause, router)) / packet for cause, packet in FROM_SERVER.items()],
    )
    many = [IP(src=CLIENT, dst=ROUTER, id=n) / UDP(sport=5000, dport=RECEIVE_BUFFER[1]) / bytes(900) for n in range(9)]
    many += [IP(src=CLIENT, dst=SERVER, id=n) / UDP(sport=5000, dport=QUEUE[1]) / bytes(900) for n in range(9)]
    send(network.client, [Ether(src=sender, dst=bridge) / packet for packet in many])


def throw_all_away(interface: str, stack: ExitStack) -> None:
    """Have an XDP program drop what comes by this interface of the thread's namespace."""
    code = [instruction(MOVE_IMMEDIATE, to=R0, value=1), instruction(EXIT)]  # XDP_DROP
    program = load_program(6, code)  # BPF_PROG_TYPE_XDP
    stack.callback(os.close, program)
    # BPF_LINK_CREATE: attach type BPF_XDP, XDP_FLAGS_SKB_MODE
    link = bpf(28, struct.pack("=IIII", program, socket.if_nametoindex(interface), 37, 2))
    stack.callback(os.close, link)


def wait_for_fragments(network) -> None:
    """Until the receiver has given the fragment up, which it counts."""

    def has_given_up() -> int:
        names, values = (line.split() for line in network.run(network.router, "cat", "/proc/net/snmp").splitlines()[:2])
        return int(values[names.index("ReasmFails")])

    wait_until(has_given_up, 20.0, "the fragment is given up")


def said_of(path: Path) -> dict[str, tuple[str, str]]:
    """Cause to (the kernel's reason, kind of the finding), by the ports of the packets."""
    told = json.loads(
        "".join(render_telling(Telling.chosen(correlate_captures([str(path)]), every_path=True), "json"))
    )  # fmt: skip
    causes = {str(packet.dport): cause for cause, packet in (FROM_CLIENT | FROM_SERVER).items()}
    causes |= {str(port): cause for cause, port in (RECEIVE_BUFFER, QUEUE, XDP)}
    kinds: dict[int, str] = {}
    for finding in told["findings"]:
        for one in finding["connections"]:
            assert one not in kinds, "one cause is one finding"
            kinds[one] = finding["kind"]
    found: dict[str, tuple[str, str]] = {}
    for one in sorted(told["paths"], key=lambda one: one["outcome"] != "dropped"):
        drops = [hop["says"] for hop in one["hops"] if hop["kind"] == "drop"]
        cause = causes.get(one["hops"][0]["destination"].rpartition(":")[2])
        by_rule = one["outcome"] == "dropped" and one["reason"]["kind"] == "rule"
        if cause and (drops or by_rule) and cause not in found:
            reason = drops[-1].removeprefix("the kernel dropped it: ").partition(" ")[0] if drops else "none"
            found[cause] = reason, kinds.get(one["connection"], "none")
    return found


def documented() -> dict[str, tuple[str, str]]:
    return {row["cause"]: (row["reason"], row["finding"]) for row in TABLE.finditer(DOCUMENT.read_text())}


def bound(port: int) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("0.0.0.0", port))
    return receiver


def inside(namespace: str) -> ExitStack:
    """This thread is in a namespace."""
    stack = ExitStack()
    netns = open_netns(namespace)
    stack.callback(netns.close)
    stack.enter_context(netns.entered())
    return stack


def send(namespace: str, frames: list[Ether]) -> None:
    with inside(namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("eth0", 0))
        for frame in frames:
            sender.send(bytes(frame))


def mac_of(network, namespace: str, interface: str = "eth0") -> str:
    return network.run(namespace, "cat", f"/sys/class/net/{interface}/address").strip()
