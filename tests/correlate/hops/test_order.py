"""The order of hops where time alone does not give it: bridge-nf, lo, namespaces that only the trace saw."""

from scapy.layers.inet import IP, TCP

from ..scene import ETH0, IN, correlate, docker_host, paths

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
