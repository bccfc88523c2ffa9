"""The cases: rules, traffic, capture points, and what is done to the files afterwards."""

from dataclasses import dataclass, field

from .clock import Clock
from .wire import Wire

DOCKER = ("a/docker0", "a/eth0", "b/eth0", "b/docker0")
SERVER, SERVER6, NODE_B, NODE_B6 = "172.18.0.2", "fd18::2", "192.168.77.2", "fd77::2"
SNAT = ("a", "iptables -t nat -A POSTROUTING -s 172.17.0.0/24 -o eth0 -j SNAT --to-source 192.168.77.1")
MASQUERADE = ("a", "iptables -t nat -A POSTROUTING -s 172.17.0.0/24 ! -o docker0 -j MASQUERADE")
MASQUERADE6 = ("a", "ip6tables -t nat -A POSTROUTING -s fd17::/64 ! -o docker0 -j MASQUERADE")


def published(node, port, to, protocol, *, six=False):
    where = f"{'ip6' if six else 'ip'}tables -t nat -A PREROUTING -m addrtype --dst-type LOCAL"
    return (node, f"{where} -p {protocol} --dport {port} -j DNAT --to-destination {to}")


DNAT = tuple(published("b", 8000, "172.18.0.2:9000", p) for p in ("udp", "tcp"))
DNAT_HTTP = published("b", 8080, "172.18.0.2:9080", "tcp")
DNAT6 = tuple(published("b", 8000, "[fd18::2]:9000", p, six=True) for p in ("udp", "tcp"))
HAIRPIN = (
    *(published("a", 8000, "172.17.0.3:9000", p) for p in ("udp", "tcp")),
    ("a", "iptables -t nat -A POSTROUTING -s 172.17.0.0/24 -d 172.17.0.3 -j MASQUERADE"),
    ("a", "ip link set v2 type bridge_slave hairpin on"),
)
VXLAN = (
    *(
        (node, command)
        for node, own, other, subnet in (("a", "1", "2", "18"), ("b", "2", "1", "17"))
        for command in (
            f"ip link add vx0 type vxlan id 42 local 192.168.77.{own} remote 192.168.77.{other} dstport 4789 dev eth0",
            f"ip address add 10.9.9.{own}/24 dev vx0",
            "ip link set vx0 mtu 1450 up",
            f"ip route replace 172.{subnet}.0.0/24 via 10.9.9.{other}",
        )
    ),
)
NO_OFFLOAD = tuple((node, "ethtool -K eth0 tso off gso off gro off") for node in "ab")


def traffic(to, port=9000, *, pings=True, **more):
    """Some of everything: requests over UDP, bursts, connections, pings."""
    jobs = [
        {"job": "udp", "to": to, "port": port, "count": 20, **more},
        {"job": "udp", "to": to, "port": port, "count": 20, "burst": True, **more},
        {"job": "tcp", "to": to, "port": port, "count": 5, "connections": 10, **more},
    ]
    return [*jobs, {"job": "ping", "to": to, "count": 10, **more}] if pings else jobs


@dataclass(frozen=True)
class Case:
    """One recording and one way to look at it."""

    name: str
    what: str
    jobs: dict
    """Place -> jobs of marks.py."""
    rules: tuple = ()
    """(place, command line)."""
    points: tuple = DOCKER
    servers: tuple = ("s1",)
    wire: Wire | None = None
    """None: a veth pair, which does nothing to a packet."""
    filters: dict = field(default_factory=dict)
    clocks: dict = field(default_factory=dict)
    """Node -> its clock."""
    pause_ns: int = 0
    """Added to each quiet time, see clock.stretched."""
    snaplens: dict = field(default_factory=dict)
    """Point -> snaplen."""
    bridge_nf: bool = True
    """net.bridge.bridge-nf-call-iptables of both nodes, as Docker has it."""
    docker: bool = False
    """In the lab of real Docker engines."""
    all_findable: bool = True
    """What is missed is a fault; else there is nothing to find it by."""
    goal: str = ""
    """What matters here, where it is not precision and recall."""


BOTH = (MASQUERADE, *DNAT)
TO_B = traffic(NODE_B, 8000, timeout=0.3)
PARALLEL = [{**job, "parallel": True} for job in traffic(NODE_B, 8000, timeout=0.5)]
SLOW = [
    *({**job, "parallel": True, "connections": 1} for job in traffic(NODE_B, 8000, timeout=1) for _ in range(3)),
]
PACED = traffic(NODE_B, 8000, pause=0.03)

CASES = (
    Case("routed", "no NAT at all", {"c1": traffic(SERVER)}),
    Case("snat", "SNAT on a", {"c1": traffic(SERVER)}, (SNAT,)),
    Case("dnat", "DNAT on b", {"c1": TO_B}, DNAT),
    Case("both", "MASQUERADE on a, DNAT on b, as Docker does; two clients", {"c1": TO_B, "c2": TO_B}, BOTH),
    Case(
        "ports",
        "two clients with the same source ports behind MASQUERADE --random",
        {c: [{**j, "source_port": 5000 + n} for n, j in enumerate(traffic(SERVER, pings=False))] for c in ("c1", "c2")},
        ((MASQUERADE[0], MASQUERADE[1] + " --random"),),
    ),
    Case(
        "hairpin",
        "a published port called from the same bridge, also by its own container",
        {c: traffic("192.168.77.1", 8000, pings=False) for c in ("c1", "c2")},
        HAIRPIN,
        points=("a/v1", "a/docker0", "a/v2"),
        servers=("c2",),
        bridge_nf=False,
    ),
    Case(
        "hairpin-nf",
        "the same with bridge-nf: translated on the bridge, past docker0",
        {c: traffic("192.168.77.1", 8000, pings=False) for c in ("c1", "c2")},
        HAIRPIN,
        points=("a/v1", "a/docker0", "a/v2"),
        filters={"a/docker0": ["-p"]},
        servers=("c2",),
    ),
    Case("ipv6", "IPv6, routed", {"c1": traffic(SERVER6)}),
    Case("nat66", "IPv6, MASQUERADE on a, DNAT on b", {"c1": traffic(NODE_B6, 8000)}, (MASQUERADE6, *DNAT6)),
    Case("vxlan", "VXLAN between the nodes, no NAT", {"c1": traffic(SERVER)}, VXLAN),
    Case("loss", "2 % lost each way", {"c1": PARALLEL, "c2": PARALLEL}, BOTH, wire=Wire(seed=11, loss=0.02)),
    Case("reorder", "20 % held back for 1 to 4 ms", {"c1": PARALLEL}, BOTH, wire=Wire(seed=12, reorder=0.2)),
    Case("duplicate", "5 % twice", {"c1": PARALLEL}, BOTH, wire=Wire(seed=13, duplicate=0.05)),
    Case("delay", "50 ms, 20 more or less", {"c1": SLOW}, BOTH, wire=Wire(seed=14, delay_ms=50, jitter_ms=20)),
    Case(
        "everything",
        "2 % lost, 10 % held back, 2 % twice, 5 ms delay",
        {"c1": PARALLEL, "c2": PARALLEL},
        BOTH,
        wire=Wire(seed=15, loss=0.02, reorder=0.1, duplicate=0.02, delay_ms=5, jitter_ms=1),
    ),
    Case("gso-on", "a bulk transfer in super-packets all the way",
         {"c1": [{"job": "bulk", "to": NODE_B, "port": 8000, "count": 6000}]}, BOTH),
    Case("gso-off", "a bulk transfer, super-packets on the bridges and segments on the wire",
         {"c1": [{"job": "bulk", "to": NODE_B, "port": 8000, "count": 6000}]}, (*BOTH, *NO_OFFLOAD)),
    Case("snaplens", "cut at 64, 96 and not at all", {"c1": TO_B}, BOTH,
         snaplens={"a/docker0": 96, "a/eth0": 64, "b/docker0": 64}),
    Case("shift", "the clock of b is 3.7 s ahead", {"c1": TO_B}, BOTH, clocks={"b": Clock(shift_ns=3_700_000_000)}),
    Case("drift", "the clock of b is 3.7 s ahead and gains 100 ppm for some minutes", {"c1": PACED}, BOTH,
         clocks={"b": Clock(shift_ns=3_700_000_000, drift_ppm=100)}, pause_ns=2_000_000_000),
    Case("drift-loss", "2 % lost, the clock of b is 1.3 s behind and loses 100 ppm", {"c1": PACED}, BOTH,
         wire=Wire(seed=16, loss=0.02), clocks={"b": Clock(shift_ns=-1_300_000_000, drift_ppm=-100)},
         pause_ns=2_000_000_000),
    Case("http-100", "100 identical HTTP requests at once through MASQUERADE",
         {"c1": [{"job": "http", "to": NODE_B, "port": 8080, "count": 100}]}, (*BOTH, DNAT_HTTP),
         goal="no path mixes two connections"),
    Case("http-random", "100 identical HTTP requests from two clients through MASQUERADE --random",
         {c: [{"job": "http", "to": NODE_B, "port": 8080, "count": 50}] for c in ("c1", "c2")},
         ((MASQUERADE[0], MASQUERADE[1] + " --random"), DNAT_HTTP), goal="no path mixes two connections"),
    Case("identical", "UDP datagrams that nothing tells apart, from two clients, 10 % lost, 20 % held back",
         {c: [{"job": "identical", "to": NODE_B6, "port": 8000, "count": 60, "source_port": p}]
          for c, p in (("c1", 6001), ("c2", 6002))}, (MASQUERADE6, *DNAT6), wire=Wire(seed=17, loss=0.1, reorder=0.2),
         all_findable=False, goal="what is wrong is said to be ambiguous"),
    Case("one-way", "three points, the third saw one direction only", {"c1": TO_B}, BOTH,
         points=("a/docker0", "a/eth0", "b/eth0"), filters={"b/eth0": ["-Q", "in"]}),
    Case("ends", "docker0 of both nodes only: both rewrites between two points", {"c1": TO_B}, BOTH,
         points=("a/docker0", "b/docker0")),
    Case("docker", "real Docker engines, requests both ways, no ttrace on the nodes",
         {c: [{"job": "http", "to": to, "port": 8080, "count": 20},
              {"job": "udp", "to": to, "port": 9000, "count": 20}, {"job": "ping", "to": to, "count": 10}]
          for c, to in (("c1", NODE_B), ("s1", "192.168.77.1"))}, servers=(), docker=True),
    Case("nothing", "files with nothing in common: like traffic at both nodes",
         {"c1": [*traffic("172.17.0.3"), {"job": "http", "to": "172.17.0.3", "count": 10}],
          "s1": [*traffic("172.18.0.3"), {"job": "http", "to": "172.18.0.3", "count": 10}]},
         points=("a/v1", "b/v1"), servers=("c2", "s2"), goal="nothing is claimed"),
)  # fmt: skip


def numbered(jobs):
    """The jobs with connection numbers and seeds; a client's jobs differ from another's only in the numbers."""
    made, connection = {}, 1
    for place, of_place in jobs.items():
        made[place] = []
        for index, job in enumerate(of_place):
            made[place].append({**job, "connection": connection, "seed": index})
            connection += job.get("connections", 1)
    return made
