"""A request from outside to a published port, recorded on a Docker host: as it is, and with one thing changed."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.packet import Packet

from ..scene import ACCEPT, DNAT, DOCKER0, DROP, ETH0, IN, IPTABLES_RULES, OUT, VETH, Node, keep_recording

HOST, CLIENT = "192.0.2.1", "198.51.100.7"
JUMP, TO_CONTAINER, LET_IN = 13, 11, 21


@dataclass(kw_only=True)
class Run:
    """One run; what is given differs from the next."""

    folder: Path
    name: str = "host"
    container: str = "172.17.0.2"
    container_name: str = "web1"
    veth: str = "veth1"
    first_port: int = 1000
    requests: int = 6
    rules_before: Sequence[str] = ()
    """Of FORWARD, before those that are there; none matches unless `meets` says so."""
    meets: tuple[str, int] | None = None
    """(rule of FORWARD that each SYN meets instead, its verdict)."""
    to_port: int = 80
    slow_us: float = 0
    """Later at the container's port."""
    jitter_us: Sequence[float] = (0,)
    answers: bool = True
    refuses: bool = False
    traced: bool = True
    points: Sequence[str] = ("eth0", "docker0", "port")
    routes: Sequence[dict[str, object]] | None = None

    def write(self) -> str:
        """The capture file."""
        self.folder.mkdir(exist_ok=True)
        node = self._node()
        for number in range(self.requests):
            self._request(node, number, 100_000 * number)
        keep_recording(node)
        return node.write(self.folder)

    def _node(self) -> Node:
        node = Node(self.name)
        node.netns(ruleset=self._rules())
        node.interface("lo", 1)  # where something is captured in each run, and late
        node.interface("eth0", ETH0, addresses=[HOST], captured="eth0" in self.points)
        node.interface("docker0", DOCKER0, kind="bridge", addresses=["172.17.0.1"], captured="docker0" in self.points)
        node.interface(
            self.veth, VETH, kind="veth", master=DOCKER0, peer=self.container_name, captured="port" in self.points
        )
        node.snapshot("containers", [{"id": "1", "name": self.container_name, "addresses": [self.container]}])
        if self.routes is not None:
            node.snapshot("routes", list(self.routes), netns="root")
        return node

    def _rules(self) -> dict[str, object]:
        rules = deepcopy(IPTABLES_RULES)
        target = f"{self.container}:{self.to_port}"
        before = [*self.rules_before, *([self.meets[0]] if self.meets else [])]
        saved = "".join(f"[0:0] -A FORWARD {rule}\n" for rule in before)
        listed = "".join(f"\t\tcounter packets 0 bytes 0 # handle {30 + n}\n" for n in range(len(before)))
        nft = rules["nft"].replace("172.17.0.2:80", target)
        rules["nft"] = nft.replace("\t\tip daddr 203.0.113.9", f"{listed}\t\tip daddr 203.0.113.9")
        ip = rules["iptables"]["ip"].replace("172.17.0.2:80", target)
        rules["iptables"]["ip"] = ip.replace("[0:0] -A FORWARD -d 203", f"{saved}[0:0] -A FORWARD -d 203")
        return rules

    def _packet(self, number: int, *, reply: bool, inside: bool, flags: str, step: int) -> Packet:
        client = (CLIENT, self.first_port + number)
        server = (self.container, self.to_port) if inside else (HOST, 8080)
        (source, sport), (destination, dport) = (server, client) if reply else (client, server)
        ip_id = 10 * number + step + self.first_port
        ttl = 64 - (inside != reply)
        return IP(src=source, dst=destination, id=ip_id, ttl=ttl) / TCP(
            sport=sport, dport=dport, flags=flags, seq=step, ack=step
        )

    def _see(self, node: Node, point: str, direction: object, time_us: float, packet: Packet) -> None:
        if point in self.points:
            node.see(self.veth if point == "port" else point, direction, time_us, packet)

    def _request(self, node: Node, number: int, start: float) -> None:
        late = self.slow_us + self.jitter_us[number % len(self.jitter_us)]
        outside = self._packet(number, reply=False, inside=False, flags="S", step=1)
        inside = self._packet(number, reply=False, inside=True, flags="S", step=1)
        self._see(node, "eth0", IN, start, outside)
        self._trace(node, start, outside, inside, number)
        if self.meets is not None and self.meets[1] == DROP:
            return
        self._see(node, "docker0", OUT, start + 20, inside)
        self._see(node, "port", OUT, start + 40 + late, inside)
        original = ((CLIENT, self.first_port + number), (HOST, 8080))
        reply = ((self.container, self.to_port), (CLIENT, self.first_port + number))
        node.conntrack(start + 50, original, reply, ct_id=number + 1, status=DNAT)
        if not self.answers:
            return
        flags = "RA" if self.refuses else "SA"
        self._way(node, start + 100 + late, number, flags, step=2, reply=True)
        if not self.refuses:
            self._way(node, start + 300 + late, number, "A", step=3, reply=False)

    def _way(self, node: Node, start: float, number: int, flags: str, *, step: int, reply: bool) -> None:
        outside, inside = (
            self._packet(number, reply=reply, inside=one, flags=flags, step=step) for one in (False, True)
        )
        if reply:
            self._see(node, "port", IN, start, inside)
            self._see(node, "docker0", IN, start + 5, inside)
            self._see(node, "eth0", OUT, start + 30, outside)
        else:
            self._see(node, "eth0", IN, start, outside)
            self._see(node, "docker0", OUT, start + 20, inside)
            self._see(node, "port", OUT, start + 40 + self.slow_us, inside)

    def _trace(self, node: Node, start: float, outside: Packet, inside: Packet, number: int) -> None:
        if not self.traced:
            return
        told = {"trace_id": 100 + number, "iif": ETH0}
        jump = [("PREROUTING", JUMP, "DOCKER"), ("DOCKER", TO_CONTAINER, ACCEPT)]
        node.trace(start + 1, outside, "PREROUTING", table="nat", rules=jump, policy=None, **told)
        before = len(self.rules_before)
        rule = ("FORWARD", 30 + before, self.meets[1]) if self.meets else ("FORWARD", LET_IN, ACCEPT)
        node.trace(start + 2, inside, "FORWARD", rules=[rule], policy=None, oif=DOCKER0, **told)
