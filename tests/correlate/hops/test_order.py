"""The order of hops where time alone does not give it: bridge-nf, lo, namespaces that only the trace saw."""

from scapy.layers.inet import IP, TCP

from ..scene import DNAT, DOCKER0, ETH0, IN, OUT, SNAT, correlate, docker_host, paths

OUTBOUND = IP(src="172.17.0.2", dst="203.0.113.1", id=5) / TCP(sport=1000, dport=80, flags="S", seq=9)
TRANSLATION = (("172.17.0.2", 1000), ("203.0.113.1", 80)), (("203.0.113.1", 80), ("192.0.2.1", 1000))
MASQUERADED = IP(src="192.0.2.1", dst="203.0.113.1", id=5, ttl=63) / TCP(sport=1000, dport=80, flags="S", seq=9)


def test_chains_of_one_hook_keep_the_order_of_their_messages(tmp_path):
    host = docker_host()
    host.see("eth0", IN, 0, MASQUERADED)
    for number, table in enumerate(["raw", "mangle", "nat"]):
        host.trace(20 + number, MASQUERADED, "PREROUTING", table=table, iif=ETH0)
    (path,) = paths(correlate(tmp_path, host))
    assert [hop.table for hop in path.hops[1:]] == ["raw", "mangle", "nat"]


def test_a_hairpin_without_bridge_nf_leaves_its_bridge_behind_all_hooks(tmp_path):
    """It is routed: what the bridge device shows going out is translated already. Each translation comes once."""
    before = IP(src="172.17.0.2", dst="192.0.2.1", id=6) / TCP(sport=7, dport=8080, flags="S")
    halfway = IP(src="172.17.0.2", dst="172.17.0.3", id=6) / TCP(sport=7, dport=80, flags="S")
    after = IP(src="172.17.0.1", dst="172.17.0.3", id=6, ttl=63) / TCP(sport=7, dport=80, flags="S")
    host = docker_host(bridge_nf=False)
    host.interface("veth2", 6, kind="veth", master=DOCKER0, peer="web2")
    ends = (("172.17.0.2", 7), ("192.0.2.1", 8080)), (("172.17.0.3", 80), ("172.17.0.1", 7))
    for number, (point, direction, packet) in enumerate(
        [("veth1", IN, before), ("docker0", IN, before), ("docker0", OUT, after), ("veth2", OUT, after)]
    ):
        host.see(point, direction, 4 * number, packet)
    host.conntrack(10, *ends, status=SNAT | DNAT)
    ct = (77, 0, SNAT | DNAT)
    host.trace(20, before, "PREROUTING", table="nat", iif=DOCKER0, ct=ct)
    host.trace(21, halfway, "FORWARD", iif=DOCKER0, oif=DOCKER0, ct=ct)
    host.trace(22, halfway, "POSTROUTING", table="nat", oif=DOCKER0, ct=ct)
    (path,) = paths(correlate(tmp_path, host))
    assert [getattr(hop, "interface", None) or hop.chain for hop in path.hops] == [
        "veth1", "docker0", "PREROUTING", "FORWARD", "POSTROUTING", "docker0", "veth2",
    ]  # fmt: skip
    assert [(rewrite.old, rewrite.new) for rewrite in path.rewrites] == [
        ("192.0.2.1:8080", "172.17.0.3:80"), ("172.17.0.2:7", "172.17.0.1:7"),
    ]  # fmt: skip
