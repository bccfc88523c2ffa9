"""What changes around a capture while it runs: namespaces, links, rules."""

import subprocess
import time

import pytest

from ttrace.lab import wait_until

from .conftest import ip, tshark
from .test_capture import snapshots
from .test_failures import described


def icmp(capture, interface: str) -> int:
    """Pings that were captured on an interface, by the name it had at first."""
    return len(tshark(capture.path, "-Y", f'icmp && frame.interface_name == "{interface}"'))


@pytest.mark.fault("changes", "a captured namespace is deleted by name", "captured on; gone when the capture ends")
def test_a_namespace_that_is_deleted_is_captured_on(network, start):
    capture = start(network.router, netns=[network.client], trace=False)
    capture.wait_ready()
    network.ping(count=1)
    ip("netns", "del", network.client)
    summary = capture.stop()
    assert {point["packets"] > 0 for point in summary["points"] if point["netns"] == network.client} == {True}
    assert summary["warnings"] == []
    # Nobody holds it any more: its end of the link is gone, and this one with it.
    wait_until(lambda: "veth0" not in network.run(network.router, "ip", "link"), 10.0, "the namespace is gone")


@pytest.mark.fault("changes", "a namespace is deleted and made anew under its name", "the first is captured on")
def test_a_namespace_that_is_made_anew(network, start):
    capture = start(network.router, netns=[network.client])
    capture.wait_ready()
    network.ping(count=1)
    ip("netns", "del", network.client)
    ip("netns", "add", network.client)
    summary = capture.stop()
    assert summary["lost"] == 0
    found = snapshots(capture.path)
    assert [link["name"] for link in found["stop", "links", network.client]] == ["lo", "eth0"]
    assert len(tshark(capture.path, "-Y", "icmp")) == 8


@pytest.mark.fault("changes", "the last process of a captured namespace ends", "captured on, nothing is lost")
def test_a_process_whose_namespace_is_captured_ends(network, start):
    process = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE)
    own = subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True, check=True).stdout

    def netns():
        return subprocess.run(["readlink", f"/proc/{process.pid}/ns/net"], capture_output=True, check=True).stdout

    wait_until(lambda: netns() != own, 10.0, "it has a namespace")
    ip("-n", network.router, "link", "add", "c0", "type", "veth", "peer", "name", "e0", "netns", str(process.pid))
    ip("-n", network.router, "link", "set", "c0", "up")
    subprocess.run(["nsenter", f"--net=/proc/{process.pid}/ns/net", "ip", "link", "set", "e0", "up"], check=True)
    capture = start(network.router, netns=[str(process.pid)])
    capture.wait_ready()
    process.communicate()
    network.ping(count=1)
    summary = capture.stop()
    assert summary["lost"] == 0
    assert len(summary["namespaces"]) == 2


@pytest.mark.fault("changes", "a captured interface is renamed", "captured on, under the name it had")
def test_an_interface_that_is_renamed_is_captured_on(network, start):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    network.ping(count=1)
    for words in (("down",), ("name", "renamed"), ("up",)):
        name = "renamed" if words == ("up",) else "veth0"
        ip("-n", network.router, "link", "set", name, *words)
    wait_until(lambda: "LOWER_UP" in network.run(network.router, "ip", "link", "show", "renamed"), 5.0, "it is up")
    network.ping(count=1)
    capture.stop()
    assert icmp(capture, "veth0") == 4
    names = {link["name"] for link in snapshots(capture.path)["stop", "links", "root"]}
    assert "renamed" in names


@pytest.mark.fault("changes", "a captured interface moves to another namespace", "a warning; the rest goes on")
def test_an_interface_that_moves_away(network, start):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    ip("-n", network.router, "link", "set", "veth0", "netns", network.server)
    network.run(network.server, "ping", "-q", "-c", "2", "-i", "0.002", network.router_address)
    summary = capture.stop()
    assert summary["warnings"] == ["interface `veth0` in root namespace went down or away"]
    assert icmp(capture, "eth0") == 4


@pytest.mark.fault("changes", "an interface is deleted and made anew under its name", "the new one is captured too")
def test_an_interface_that_is_made_anew_is_captured(network, start):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    before = len(described(capture.path))
    ip("-n", network.router, "link", "del", "veth0")
    ip("-n", network.router, "link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", network.client)
    ip("-n", network.router, "link", "set", "veth0", "master", "br0", "up")
    ip("-n", network.client, "addr", "add", "10.9.0.2/24", "dev", "eth0")
    ip("-n", network.client, "link", "set", "eth0", "up")
    wait_until(lambda: len(described(capture.path)) > before, 10.0, "it is captured")
    network.run(network.client, "ping", "-q", "-c", "2", "-i", "0.002", "10.9.0.1")
    capture.stop()
    assert icmp(capture, "veth0") == 4


@pytest.mark.fault("changes", "the bridge is deleted and another one made", "the new bridge and its ports are captured")
def test_a_bridge_that_is_made_anew_is_captured(network, start):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    ip("-n", network.router, "link", "del", "br0")
    ip("-n", network.router, "link", "add", "br1", "type", "bridge")
    ip("-n", network.router, "link", "set", "veth0", "master", "br1")
    ip("-n", network.router, "addr", "add", "10.9.0.1/24", "dev", "br1")
    ip("-n", network.router, "link", "set", "br1", "up")
    wait_until(lambda: b"br1" in capture.path.read_bytes(), 10.0, "it is captured")
    network.run(network.client, "ping", "-q", "-c", "2", "-i", "0.002", "10.9.0.1")
    summary = capture.stop()
    assert icmp(capture, "br1") == 4
    assert icmp(capture, "veth0") == 4
    assert summary["lost"] == 0


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param(
            "flush ruleset\nadd table ip new\nadd chain ip new guard\n",
            marks=pytest.mark.fault(
                "changes", "`nft -f` with `flush ruleset`", "the tracing table stays; the new rules are recorded"
            ),
        ),
        pytest.param(
            "add table ip new\nadd chain ip new guard\n",
            marks=pytest.mark.fault("changes", "`nft -f` adds a table", "the new rules are recorded"),
        ),
    ],
)
def test_rules_that_are_loaded_anew(network, start, commands):
    capture = start(network.router, trace_limit=0)
    capture.wait_ready()
    subprocess.run(
        ["ip", "netns", "exec", network.router, "nft", "-f", "-"], input=commands, text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    assert "table inet ttrace" in network.run(network.router, "nft", "list", "tables")
    wait_until(lambda: b"chain guard" in capture.path.read_bytes(), 10.0, "the change is recorded")
    status = capture.wait_for("status")
    network.run(network.client, "ping", "-q", "-c", "3", "-i", "0.002", "10.9.0.1")
    summary = capture.stop()
    assert summary["trace_events"] >= status["trace_events"] + 6
    assert summary["warnings"] == []


@pytest.mark.parametrize("command", ["delete", "flush"])
@pytest.mark.fault("changes", "`nft delete` or `flush` of the tracing table", "the kernel refuses it; traced on")
def test_nobody_else_can_remove_the_tracing_table(network, start, command):
    capture = start(network.router, trace_limit=0)
    capture.wait_ready()
    done = subprocess.run(
        ["ip", "netns", "exec", network.router, "nft", command, "table", "inet", "ttrace"], capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr
    network.ping(count=1)
    assert capture.stop()["trace_events"] >= 6


@pytest.mark.fault("changes", "`iptables-restore` replaces all rules", "recorded before and after; traced on")
def test_iptables_rules_that_are_replaced(network, start):
    capture = start(network.router, trace_limit=0)
    capture.wait_ready()
    subprocess.run(
        ["ip", "netns", "exec", network.router, "iptables-restore"], check=True, text=True,
        input="*filter\n:INPUT ACCEPT\n-A INPUT -p icmp -m comment --comment replaced -j ACCEPT\nCOMMIT\n",
    )  # fmt: skip
    # As iptables-save writes it: the kernel's own message of the rule, which comes first, has the comment alone.
    wait_until(lambda: b"--comment replaced" in capture.path.read_bytes(), 10.0, "the change is recorded")
    network.run(network.client, "ping", "-q", "-c", "1", "10.9.0.1")
    assert capture.stop()["trace_events"] >= 2
    found = snapshots(capture.path)
    assert "replaced" not in found["start", "ruleset", "root"]["iptables"]["ip"]
    assert "replaced" in found["change", "ruleset", "root"]["iptables"]["ip"]


@pytest.mark.fault("changes", "twenty changes of rules one after the other", "the last is recorded; nothing is lost")
def test_rules_that_change_all_the_time(network, start):
    capture = start(network.router)
    capture.wait_ready()
    commands = "add table ip busy\n" + "".join(f"add chain ip busy c{number}\n" for number in range(200))
    for line in commands.splitlines()[::10]:
        network.run(network.router, "nft", *line.split())
    network.ping(count=1)
    summary = capture.stop()
    assert (summary["lost"], summary["netlink_lost"]) == (0, 0)
    assert "chain c199" in snapshots(capture.path)["stop", "ruleset", "root"]["nft"]


@pytest.mark.fault("changes", "two captures of one namespace at once, one ends before the other", "each is whole")
def test_two_captures_at_once(network, start):
    first, second = start(network.router), start(network.router, trace=False)
    first.wait_ready()
    second.wait_ready()
    network.ping(count=1)
    assert second.stop()["lost"] == 0
    network.ping(count=1)
    assert first.stop()["lost"] == 0
    assert len(tshark(first.path, "-Y", "icmp")) == 12
    assert len(tshark(second.path, "-Y", "icmp")) == 6


@pytest.mark.fault("changes", "all links of the node go down and come up", "captured on; each is said once")
def test_all_links_go_down_and_up(network, start):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    for state in ("down", "up"):
        for name in ("br0", "veth0", "eth0"):
            ip("-n", network.router, "link", "set", name, state)
    began = time.monotonic()
    ping = ["ip", "netns", "exec", network.client, "ping", "-q", "-c", "1", "-W", "1", "10.9.0.1"]
    while subprocess.run(ping, capture_output=True, check=False).returncode:
        assert time.monotonic() - began < 20
    summary = capture.stop()
    assert len(summary["warnings"]) == 3
    assert icmp(capture, "br0") >= 2
