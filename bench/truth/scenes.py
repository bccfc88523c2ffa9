"""The cases: rules, traffic, capture points, and what is done to the files afterwards."""

from dataclasses import dataclass, field

from .clock import Clock, Span
from .wire import Wire

DOCKER = ("a/docker0", "a/eth0", "b/eth0", "b/docker0")
SIX = ("a/docker0", "a/eth0", "m/eth0", "m/eth1", "b/eth0", "b/docker0")
SERVER, SERVER6, NODE_B, NODE_B6 = "172.18.0.2", "fd18::2", "192.168.77.2", "fd77::2"
NODE_A, MIDDLE, SERVICE = "192.168.77.1", "192.168.77.3", "10.96.0.1"
SNAT = ("a", "iptables -t nat -A POSTROUTING -s 172.17.0.0/24 -o eth0 -j SNAT --to-source 192.168.77.1")
MASQUERADE = ("a", "iptables -t nat -A POSTROUTING -s 172.17.0.0/24 ! -o docker0 -j MASQUERADE")
MASQUERADE6 = ("a", "ip6tables -t nat -A POSTROUTING -s fd17::/64 ! -o docker0 -j MASQUERADE")


def published(node, port, to, protocol, *, six=False):
    where = f"{'ip6' if six else 'ip'}tables -t nat -A PREROUTING -m addrtype --dst-type LOCAL"
    return (node, f"{where} -p {protocol} --dport {port} -j DNAT --to-destination {to}")


DNAT = tuple(published("b", 8000, "172.18.0.2:9000", p) for p in ("udp", "tcp"))
DNAT_HTTP = published("b", 8080, "172.18.0.2:9080", "tcp")
DNAT_ECHO = published("b", 8070, "172.18.0.2:9070", "tcp")
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
TUNNEL = tuple(
    (node, command)
    for node, own, other, subnet in (("a", "1", "2", "18"), ("b", "2", "1", "17"))
    for command in (
        f"ip address add 10.9.9.{own}/24 dev tn0",
        "ip link set tn0 mtu 1400 up",
        f"ip route replace 172.{subnet}.0.0/24 via 10.9.9.{other}",
    )
)
MASQUERADE_ALL = ("a", "iptables -t nat -A POSTROUTING -s 172.17.0.0/24 -d 172.18.0.0/24 -j MASQUERADE")
"""What enters the tunnel too, as flannel has it."""
MIDDLE_NAT = (
    *(published("m", 8000, "172.18.0.2:9000", p) for p in ("udp", "tcp")),
    ("m", "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE"),
)
MANGLED = (
    ("a", "iptables -t mangle -A FORWARD -o eth0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1000"),
    ("a", "iptables -t mangle -A POSTROUTING -o eth0 -j DSCP --set-dscp-class EF"),
    ("a", "iptables -t mangle -A POSTROUTING -o eth0 -j TTL --ttl-set 64"),
    ("b", "iptables -t mangle -A PREROUTING -i eth0 -j DSCP --set-dscp 0"),
    ("b", "iptables -t mangle -A PREROUTING -i eth0 -j TTL --ttl-inc 9"),
    ("b", "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"),
    ("b", "ip link set docker0 mtu 1300"),
    # A router that is congested now and then.
    *((place, "sysctl -qw net.ipv4.tcp_ecn=1") for place in ("c1", "s1")),
    ("b", "nft add table ip congested"),
    ("b", "nft add chain ip congested forward { type filter hook forward priority 10; }"),
    ("b", "nft add rule ip congested forward ip ecn ect0 numgen random mod 3 == 0 ip ecn set ce"),
)
UNFINISHED_CHECKSUMS = ("a", "sysctl -qw net.netfilter.nf_conntrack_checksum=0")
"""Conntrack takes UDP-Lite whose checksum is left to the device for damaged."""
DROP = (
    ("b", "iptables -A FORWARD -i eth0 -p tcp --dport 9001 -j DROP"),
    ("b", "iptables -A FORWARD -i eth0 -m statistic --mode nth --every 9 --packet 4 -j DROP"),
    published("b", 8001, "172.18.0.2:9001", "tcp"),
)
THREE_NATS = (
    MASQUERADE,
    ("m", "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE --random"),
    published("b", 8080, "172.18.0.2:9080", "tcp"),
)
BALANCED = (
    *(
        ("a", f"iptables -t nat -A PREROUTING -d {SERVICE} -p tcp --dport 80 {which} -j DNAT --to {to}:9080")
        for which, to in (("-m statistic --mode nth --every 2 --packet 0", "172.18.0.2"), ("", "172.18.0.3"))
    ),
    MASQUERADE,
)
SAME_ADDRESSES = tuple(
    rule
    for node in "ab"
    for rule in (
        (node, MASQUERADE[1]),
        *(published(node, 8000, "172.17.0.2:9000", protocol) for protocol in ("udp", "tcp")),
    )
)


def acquainted(to, port=9000):
    """Waits until IPv6 is up and the neighbours know one another."""
    return {"job": "tcp", "to": to, "port": port, "count": 1}


def traced(to, most):
    """As traceroute and mtr do: probes that end at each of the routers."""
    probes = [
        {"job": "udp", "to": to, "port": 33434, "count": 3, "timeout": 0.02},
        {"job": "ping", "to": to, "count": 3, "timeout": 0.02},
    ]
    return [{**probe, "hops": hops} for hops in range(1, most + 1) for probe in probes]


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
    spans: dict = field(default_factory=dict)
    """Point -> the parts of its recording that there are, each a file."""
    mirrors: dict = field(default_factory=dict)
    """NODE/mirror -> the points that are in one file."""
    drop: tuple = ()
    """The points between which a rule drops packets to the server."""
    pause_ns: int = 0
    """Added to each quiet time, see clock.stretched."""
    snaplens: dict = field(default_factory=dict)
    """Point -> snaplen."""
    bridge_nf: bool = True
    """net.bridge.bridge-nf-call-iptables of both nodes, as Docker has it."""
    middle: bool = False
    """With a node m between a and b."""
    tunnel: str = ""
    """Kind of the device tn0 of both nodes, see tunnel.py."""
    same_addresses: bool = False
    """docker0 of b has the addresses of that of a."""
    docker: bool = False
    """In the lab of real Docker engines."""
    findable_cut: bool = True
    """At 64 bytes, too, something is left of every packet; else those pairs are in no sum."""
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
LONG = [{"job": "tcp", "to": NODE_B, "port": 8000, "count": 60, "pause": 0.05, "parallel": True}, *PACED]
TRY = [
    {"job": "http", "to": NODE_B, "port": 8080, "count": 20},
    {"job": "queries", "to": SERVER, "count": 10, "pause": 0.01, "source_port": 7000},
    {"job": "reuse", "to": SERVER, "port": 9070, "count": 10, "source_port": 6100},
]
REST = {"job": "queries", "to": SERVER, "count": 1, "pause": 1.5}
LARGE = [{"job": "udp", "to": NODE_B, "port": 8000, "count": 15, "sizes": (3000, 9000), "burst": b} for b in (0, 1)]

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
    Case("vxlan", "VXLAN between the nodes, no NAT", {"c1": traffic(SERVER)}, VXLAN, findable_cut=False),
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
    Case("any", "tcpdump -i any on both nodes: all interfaces in one file; MASQUERADE on a, DNAT on b", {"c1": TO_B},
         BOTH, points=("a/any", "b/any")),
    Case("any-hairpin", "tcpdump -i any: a published port called from the same bridge, also by its own container",
         {c: traffic(NODE_A, 8000, pings=False) for c in ("c1", "c2")}, HAIRPIN, points=("a/any",), servers=("c2",)),
    Case("any-vxlan", "tcpdump -i any, VXLAN between the nodes", {"c1": traffic(SERVER)}, VXLAN,
         points=("a/any", "b/any"), findable_cut=False),
    Case("geneve", "Geneve between the nodes, MASQUERADE into it", {"c1": traffic(SERVER)},
         (*TUNNEL, MASQUERADE_ALL), tunnel="geneve", findable_cut=False),
    Case("gre", "GRE between the nodes, no NAT", {"c1": traffic(SERVER)}, TUNNEL, tunnel="gre"),
    Case("ipip", "IP in IP between the nodes, MASQUERADE into it", {"c1": traffic(SERVER)}, (*TUNNEL, MASQUERADE_ALL),
         tunnel="ipip"),
    Case("vpn", "an encrypted tunnel, also captured inside it", {"c1": traffic(SERVER)}, TUNNEL, tunnel="sealed",
         points=("a/docker0", "a/tn0", "a/eth0", "b/eth0", "b/tn0", "b/docker0")),
    Case("fragments", "UDP of 3,000 to 9,000 bytes through MASQUERADE and DNAT", {"c1": LARGE, "c2": LARGE}, BOTH),
    Case("fragments6", "the same over IPv6", {"c1": [{**job, "to": NODE_B6} for job in LARGE]}, (MASQUERADE6, *DNAT6),
         findable_cut=False),
    Case("clamp", "MSS, TTL, DSCP and ECN changed on the way, with MASQUERADE and DNAT",
         {"c1": [*TO_B, {"job": "bulk", "to": NODE_B, "port": 8000, "count": 600}]}, (*BOTH, *MANGLED)),
    Case("reuse", "short connections one after the other from one port of each of two clients, ended by resets",
         {c: [{"job": "reuse", "to": NODE_B, "port": 8070, "count": 30, "source_port": 6100}] for c in ("c1", "c2")},
         (*BOTH, DNAT_ECHO), goal="no path mixes two connections"),
    Case("heartbeats", "40 connections that say the same at the same times, and keepalives",
         {"c1": [{"job": "heartbeats", "to": NODE_B, "port": 8070, "connections": 40, "count": 4, "pause": 0.2,
                  "silence": 2.5}]}, (*BOTH, DNAT_ECHO), goal="no path mixes two connections"),
    Case("three", "three nodes in a row, NAT in the middle, the clocks of two are wrong",
         {c: traffic(MIDDLE, 8000) for c in ("c1", "c2")}, MIDDLE_NAT, points=SIX, middle=True,
         clocks={"m": Clock(shift_ns=2_500_000_000), "b": Clock(shift_ns=-4_000_000_000, drift_ppm=40)}),
    Case("late", "b/eth0 begins a second later, a/eth0 ends a second earlier", {"c1": LONG}, BOTH,
         spans={"b/eth0": (Span(1),), "a/eth0": (Span(0, -1),)}),
    Case("rotated", "a/eth0 in three files one after the other, as tcpdump -G writes them", {"c1": LONG}, BOTH,
         spans={"a/eth0": (Span(0, 1.5), Span(1.5, 2.5), Span(2.5))}),
    Case("some", "on b with the filter `udp`", {"c1": TO_B, "c2": TO_B}, BOTH,
         filters={"b/eth0": ["udp"], "b/docker0": ["udp"]}),
    Case("step", "the clock of b is set back by 0.4 s in the middle", {"c1": PACED}, BOTH,
         clocks={"b": Clock(shift_ns=150_000_000, step_ns=-400_000_000, step_after_ns=1_500_000_000)}),
    Case("step-on", "the clock of b is set 0.4 s ahead in the middle", {"c1": PACED}, BOTH,
         clocks={"b": Clock(shift_ns=150_000_000, step_ns=400_000_000, step_after_ns=1_500_000_000)}),
    Case("dns", "identical queries from six ports of each of two clients at once, through MASQUERADE",
         {c: [{"job": "queries", "to": SERVER, "count": 10, "pause": 0.02, "source_port": p + n, "parallel": True}
              for n in range(6)] for c, p in (("c1", 7000), ("c2", 7010))}, (MASQUERADE,)),
    Case("pings", "two clients ping the same host with the same identifier, through MASQUERADE",
         {c: [{"job": "ping", "to": SERVER, "count": 30, "identifier": 77, "pause": 0.002}] for c in ("c1", "c2")},
         (MASQUERADE,)),
    Case("traceroute", "UDP and ICMP probes that end at each of three routers, behind MASQUERADE; also over IPv6",
         {"c1": [acquainted(SERVER6), *traced(SERVER, 5), *traced(SERVER6, 5)]}, (MASQUERADE,), points=SIX,
         middle=True),
    Case("extensions", "IPv6 with hop-by-hop and destination options, MASQUERADE on a, DNAT on b",
         {"c1": [{"job": "udp", "to": NODE_B6, "port": 8000, "count": 20, "options": True},
                 {"job": "udp", "to": NODE_B6, "port": 8000, "count": 20, "options": True, "burst": True}]},
         (MASQUERADE6, *DNAT6)),
    Case("udp-lite", "UDP-Lite through MASQUERADE, with the same source ports",
         {c: [{"job": "udp", "to": SERVER, "port": 9000, "count": 20, "protocol": 136, "burst": b, "source_port": 5000}
              for b in (0, 1)] for c in ("c1", "c2")}, (MASQUERADE, UNFINISHED_CHECKSUMS)),
    Case("broadcast", "datagrams to all on the bridge", {"c1": [{"job": "udp", "to": "172.17.0.255", "count": 20}]},
         points=("a/v1", "a/docker0", "a/v2"), servers=("c2",)),
    Case("proxy", "identical HTTP requests to a proxy on b, which makes new connections",
         {"c1": [{"job": "http", "to": NODE_B, "port": 9090, "count": 40}]}, (MASQUERADE,), servers=("s1", "b"),
         goal="no path mixes two connections"),
    Case("balance", "identical HTTP requests to a service address with two servers behind it, as kube-proxy has it",
         {c: [{"job": "http", "to": SERVICE, "port": 80, "count": 30}] for c in ("c1", "c2")}, BALANCED,
         servers=("s1", "s2"), goal="no path mixes two connections"),
    Case("three-nats", "identical HTTP requests through MASQUERADE, MASQUERADE --random and DNAT on three nodes",
         {c: [{"job": "http", "to": "192.168.78.2", "port": 8080, "count": 30}] for c in ("c1", "c2")}, THREE_NATS,
         points=("a/docker0", "m/eth0", "m/eth1", "b/docker0"), middle=True, goal="no path mixes two connections"),
    Case("dropped", "rules on b drop every ninth packet to its containers, and all to one port",
         {"c1": [{"job": "tcp", "to": NODE_B, "port": 8001, "count": 1, "timeout": 1.5, "parallel": True},
                 *({**job, "parallel": True} for job in traffic(NODE_B, 8000, pings=False, timeout=0.3)),
                 {"job": "ping", "to": SERVER, "count": 20, "timeout": 0.05}]}, (*BOTH, *DROP),
         drop=("b/eth0", "b/docker0")),
    Case("alike", "UDP over IPv6 through MASQUERADE --random and DNAT: bursts of the same size from the same ports",
         {c: [acquainted(NODE_B6, 8000),
              *({"job": "udp", "to": NODE_B6, "port": 8000, "count": 30, "sizes": (100, 101), "source_port": p,
                 "burst": True, "parallel": True} for p in (5001, 5002, 5003))] for c in ("c1", "c2")},
         ((MASQUERADE6[0], MASQUERADE6[1] + " --random"), *DNAT6)),
    Case("years", "the clock of b was never set: it is seven years behind", {"c1": TO_B}, BOTH,
         clocks={"b": Clock(shift_ns=-7 * 365 * 86_400 * 10**9)}),
    Case("coarse", "the clock of b shows 10 ms", {"c1": PACED}, BOTH, clocks={"b": Clock(resolution_ns=10_000_000)}),
    Case("padded", "frames are padded to 60 bytes on the wire; TCP without timestamps", {"c1": TO_B},
         (*BOTH, *((place, "sysctl -qw net.ipv4.tcp_timestamps=0") for place in ("c1", "s1"))), wire=Wire(pad=True)),
    Case("mirror", "a mirror port on each node, which sees packets on both sides of it",
         {"c1": [*TO_B, *traffic(SERVER)]}, BOTH,
         mirrors={f"{node}/mirror": (f"{node}/docker0", f"{node}/eth0") for node in "ab"}),
    Case("apart", "a recorded the first try and b the second, of the same traffic", {"c1": [*TRY, REST, *TRY]},
         (*BOTH, DNAT_HTTP), clocks={"b": Clock(shift_ns=-1_700_000_000)},
         spans={point: (Span(0, 1.4),) if point.startswith("a") else (Span(1.4),) for point in DOCKER},
         goal="nothing is claimed between the nodes"),
    Case("overlap", "the same addresses on both bridges, traffic both ways with the same source ports",
         {c: [{**job, "source_port": 5000 + n} for n, job in enumerate(traffic(to, 8000, pings=False))]
          for c, to in (("c1", NODE_B), ("s1", NODE_A))}, SAME_ADDRESSES, servers=("s1", "c1"), same_addresses=True),
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
