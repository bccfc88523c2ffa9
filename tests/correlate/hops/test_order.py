"""The order of hops where time alone does not give it: bridge-nf, lo, namespaces that only the trace saw."""

from scapy.layers.inet import IP, TCP, UDP

from ..scene import DNAT, DOCKER0, ETH0, IN, OUT, SNAT, Node, correlate, docker_host, paths, steps

OUTBOUND = IP(src="172.17.0.2", dst="203.0.113.1", id=5) / TCP(sport=1000, dport=80, flags="S", seq=9)
TRANSLATION = (("172.17.0.2", 1000), ("203.0.113.1", 80)), (("203.0.113.1", 80), ("192.0.2.1", 1000))
MASQUERADED = IP(src="192.0.2.1", dst="203.0.113.1", id=5, ttl=63) / TCP(sport=1000, dport=80, flags="S", seq=9)


def test_a_packet_from_a_container_passes_prerouting_on_its_bridge_port(tmp_path):
    host = docker_host(inside=True)
    host.see("eth0", OUT, 0, OUTBOUND, netns="web1")
    host.see("veth1", IN, 1, OUTBOUND)
    host.see("docker0", IN, 5, OUTBOUND)
    host.see("eth0", OUT, 9, MASQUERADED)
    # Messages are received late, all after the packet has gone.
    host.conntrack(19, *TRANSLATION, status=0x10)
    host.trace(20, OUTBOUND, "PREROUTING", table="nat", iif=DOCKER0)
    host.trace(21, OUTBOUND, "FORWARD", iif=DOCKER0, oif=ETH0, trace_id=8)
    host.trace(22, OUTBOUND, "POSTROUTING", table="nat", oif=ETH0, trace_id=8)
    (path,) = paths(correlate(tmp_path, host))
    assert steps(path) == [
        "web1:eth0 out", "veth1 in", "PREROUTING", "docker0 in", "FORWARD", "POSTROUTING", "eth0 out",
    ]  # fmt: skip


def test_without_bridge_nf_prerouting_comes_behind_the_bridge_device(tmp_path):
    host = docker_host(bridge_nf=False)
    host.see("veth1", IN, 1, OUTBOUND)
    host.see("docker0", IN, 5, OUTBOUND)
    host.see("eth0", OUT, 9, MASQUERADED)
    host.conntrack(19, *TRANSLATION, status=0x10)
    host.trace(20, OUTBOUND, "PREROUTING", table="nat", iif=DOCKER0)
    host.trace(21, OUTBOUND, "FORWARD", iif=DOCKER0, oif=ETH0)
    (path,) = paths(correlate(tmp_path, host))
    assert steps(path) == ["veth1 in", "docker0 in", "PREROUTING", "FORWARD", "eth0 out"]


def test_a_packet_to_a_container_comes_by_eth0_and_leaves_by_the_port(tmp_path):
    before = IP(src="203.0.113.1", dst="192.0.2.1", id=6) / TCP(sport=7, dport=8080, flags="S")
    after = IP(src="203.0.113.1", dst="172.17.0.2", id=6, ttl=63) / TCP(sport=7, dport=80, flags="S")
    host = docker_host(inside=True)
    host.see("eth0", IN, 0, before)
    host.see("docker0", OUT, 5, after)
    host.see("veth1", OUT, 6, after)
    host.see("eth0", IN, 7, after, netns="web1")
    host.conntrack(8, (("203.0.113.1", 7), ("192.0.2.1", 8080)), (("172.17.0.2", 80), ("203.0.113.1", 7)), status=0x20)
    host.trace(20, before, "PREROUTING", table="nat", iif=ETH0)
    host.trace(21, after, "FORWARD", iif=ETH0, oif=DOCKER0)
    host.trace(22, after, "POSTROUTING", table="nat", oif=DOCKER0)
    (path,) = paths(correlate(tmp_path, host))
    assert steps(path) == [
        "eth0 in", "PREROUTING", "FORWARD", "POSTROUTING", "docker0 out", "veth1 out", "web1:eth0 in",
    ]  # fmt: skip


def test_a_packet_to_the_node_itself_goes_out_of_lo_and_in_again(tmp_path):
    packet = IP(src="127.0.0.1", dst="127.0.0.1", id=6) / UDP(sport=7, dport=8080) / b"hello"
    host = docker_host()
    host.see("lo", OUT, 3, packet)
    host.see("lo", IN, 4, packet)
    for number, (chain, table) in enumerate(
        [("OUTPUT", "filter"), ("POSTROUTING", "nat"), ("PREROUTING", "nat"), ("INPUT", "filter")]
    ):
        host.trace(20 + number, packet, chain, table=table, trace_id=7 + number // 2)
    (path,) = paths(correlate(tmp_path, host))
    assert steps(path) == ["OUTPUT", "POSTROUTING", "lo out", "lo in", "PREROUTING", "INPUT"]
    assert path.outcome == "delivered"


def test_a_namespace_that_only_the_trace_saw_is_where_its_hooks_say(tmp_path):
    reply = IP(src="172.17.0.2", dst="172.17.0.1", id=8) / UDP(sport=53, dport=5353)
    request = IP(src="172.17.0.1", dst="172.17.0.2", id=9) / UDP(sport=5353, dport=53)
    host = docker_host(bridge_nf=False)
    host.netns("web1", container="web1")
    # The container's messages are received last, when the reply has long passed the bridge.
    host.see("veth1", OUT, 1, request)
    host.see("docker0", OUT, 0, request)
    host.see("veth1", IN, 10, reply)
    host.see("docker0", IN, 11, reply)
    host.trace(30, request, "INPUT", netns="web1")
    host.trace(31, reply, "OUTPUT", netns="web1")
    asked, answered = paths(correlate(tmp_path, host))
    assert steps(asked) == ["docker0 out", "veth1 out", "web1:INPUT"]
    assert steps(answered) == ["web1:OUTPUT", "veth1 in", "docker0 in"]


def test_chains_of_one_hook_keep_the_order_of_their_messages(tmp_path):
    host = docker_host()
    host.see("eth0", IN, 0, MASQUERADED)
    for number, table in enumerate(["raw", "mangle", "nat"]):
        host.trace(20 + number, MASQUERADED, "PREROUTING", table=table, iif=ETH0)
    (path,) = paths(correlate(tmp_path, host))
    assert [hop.table for hop in path.hops[1:]] == ["raw", "mangle", "nat"]


def test_a_packet_that_turns_round_at_a_router_that_is_not_captured_comes_back_in_a_later_visit(tmp_path):
    node = Node("host")
    node.interface("eth0", 2, addresses=["192.0.2.1"])
    node.interface("eth1", 3, addresses=["198.51.100.1"])
    out = IP(src="192.0.2.1", dst="198.51.100.1", id=3, ttl=64) / UDP(sport=1, dport=2)
    back = IP(src="192.0.2.1", dst="198.51.100.1", id=3, ttl=63) / UDP(sport=1, dport=2)
    node.see("eth0", OUT, 0, out)
    node.see("eth1", IN, 50, back)
    (path,) = paths(correlate(tmp_path, node))
    assert steps(path) == ["eth0 out", "eth1 in"]
    assert (path.outcome, path.reason.kind) == ("unknown", "arrived")


def test_a_hairpin_leaves_by_the_bridge_it_came_from_before_the_forward_hook(tmp_path):
    before = IP(src="172.17.0.2", dst="192.0.2.1", id=6) / TCP(sport=7, dport=8080, flags="S")
    halfway = IP(src="172.17.0.2", dst="172.17.0.3", id=6) / TCP(sport=7, dport=80, flags="S")
    after = IP(src="172.17.0.1", dst="172.17.0.3", id=6) / TCP(sport=7, dport=80, flags="S")
    host = docker_host()
    host.interface("veth2", 6, kind="veth", master=DOCKER0, peer="web2")
    host.see("veth1", IN, 0, before)
    host.see("docker0", OUT, 3, halfway)
    host.see("veth2", OUT, 9, after)
    host.conntrack(
        10, (("172.17.0.2", 7), ("192.0.2.1", 8080)), (("172.17.0.3", 80), ("172.17.0.1", 7)), status=SNAT | DNAT
    )
    ct = (77, 0, SNAT | DNAT)
    host.trace(20, before, "PREROUTING", table="nat", iif=DOCKER0, ct=ct)
    host.trace(21, halfway, "FORWARD", iif=DOCKER0, oif=DOCKER0, ct=ct)
    host.trace(22, halfway, "POSTROUTING", table="nat", oif=DOCKER0, ct=ct)
    (path,) = paths(correlate(tmp_path, host))
    assert steps(path) == ["veth1 in", "PREROUTING", "docker0 out", "FORWARD", "POSTROUTING", "veth2 out"]
    assert [(r.field, r.new) for r in path.rewrites] == [
        ("destination", "172.17.0.3:80"),
        ("source", "172.17.0.1:7"),
    ]
