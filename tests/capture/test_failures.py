"""What goes wrong while capturing, and what is left behind: nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ttrace.capture.watch import MAX_ARRIVALS
from ttrace.lab import wait_until as wait_for_condition

from .conftest import tshark


def tables(network, namespace: str | None = None) -> str:
    return network.run(namespace or network.router, "nft", "list", "tables")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interfaces": ["eth9"]}, "no interface `eth9` here"),
        ({"filter": "tcp prot 80"}, "filter `tcp prot 80`: can't parse filter expression: syntax error"),
        ({"netns": ["nowhere"]}, "network namespace `nowhere`: cannot open /run/netns/nowhere"),
        ({"output": "/nowhere/x.pcapng"}, "cannot write `/nowhere/x.pcapng`: No such file or directory"),
        ({"trace_match": "tcp dprot 80"}, "--trace-match `tcp dprot 80`: syntax error"),
        ({"trace_match": "tcp dport 80 } }"}, "--trace-match `tcp dport 80 } }`: not a plain nft match"),
    ],
)
def test_wrong_options_end_in_one_line_that_names_them(network, start, options, message):
    capture = start(network.router, **options)
    assert capture.wait_for("error")[0].startswith(message)
    assert capture.process.wait(10) == 1
    assert "ttrace" not in tables(network)


def test_missing_interface_lists_those_that_exist(network, start):
    capture = start(network.router, interfaces=["eth9"])
    assert capture.wait_for("error")[1] == "there are: br0, eth0, lo, veth0"


@pytest.mark.fault("end", "kill -9 of a capture", "no table is left; the file is readable to the last whole block")
def test_kill_leaves_no_table_and_a_readable_file(network, start):
    capture = start(network.router)
    capture.wait_ready()
    assert "table inet ttrace" in tables(network)
    network.ping(count=2)
    # Written at least four times a second: by the time the status counts them, they are in the file.
    status = capture.wait_for("status", lambda status: status["packets"] >= 12)
    capture.process.kill()
    capture.process.wait()
    assert "ttrace" not in tables(network)
    assert len(tshark(capture.path, "-Y", "icmp")) == 12
    assert status["lost"] == 0


def test_settings_are_restored_at_the_end(network, start, journals):
    capture = start(network.router, conntrack_details=True)
    capture.wait_ready()
    journal = journals / f"{capture.process.pid}.json"
    assert journal.exists()
    name = "net.netfilter.nf_conntrack_acct"
    assert network.run(network.router, "sysctl", "-n", name).strip() == "1"
    capture.stop()
    assert network.run(network.router, "sysctl", "-n", name).strip() == "0"
    assert not journal.exists()


def test_setting_that_a_second_capture_needs_is_restored_by_the_last_one(network, start):
    name = "net.netfilter.nf_conntrack_acct"
    first = start(network.router, conntrack_details=True)
    first.wait_ready()
    second = start(network.router, conntrack_details=True, trace=False)
    second.wait_ready()
    first.stop()
    assert network.run(network.router, "sysctl", "-n", name).strip() == "1"
    second.stop()
    assert network.run(network.router, "sysctl", "-n", name).strip() == "0"


def test_settings_of_a_killed_capture_are_restored_by_the_next(network, start):
    capture = start(network.router, conntrack_details=True)
    capture.wait_ready()
    capture.process.kill()
    capture.process.wait()
    name = "net.netfilter.nf_conntrack_acct"
    assert network.run(network.router, "sysctl", "-n", name).strip() == "1"
    summary = start(network.router, duration_s=0.1).wait_for("summary")
    assert network.run(network.router, "sysctl", "-n", name).strip() == "0"
    restored = [warning for warning in summary["warnings"] if "nf_conntrack_acct" in warning]
    assert restored == ["left by an earlier capture: net/netfilter/nf_conntrack_acct in root: restored to `0`"]


def test_second_capture_in_a_namespace_is_refused_and_names_the_first(network, start):
    first = start(network.router)
    first.wait_ready()
    second = start(network.router)
    message, hint = second.wait_for("error")
    assert "cannot trace in root namespace" in message
    assert f"another ttrace capture (pid {first.process.pid})" in hint
    assert start(network.router, trace=False, duration_s=0.1).wait_for("summary")["warnings"] == []
    first.stop()


def test_full_disk_stops_with_the_whole_blocks_kept(network, start, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    try:
        capture = start(network.router, output=str(disk / "x.pcapng"))
        capture.wait_ready()
        network.ping(count=200, size=1400)
        message, hint = capture.wait_for("error")
        assert message == f"cannot write to `{disk / 'x.pcapng'}`: No space left on device"
        assert hint.startswith("the capture was stopped; its first ")
        assert len(tshark(disk / "x.pcapng", "-Y", "icmp")) > 10
        assert "ttrace" not in tables(network)
    finally:
        capture.process.kill()
        capture.process.wait()
        subprocess.run(["umount", str(disk)], check=True)


def test_closed_pipe_stops_with_one_line(network, start):
    capture = start(network.router, output="-")
    capture.wait_ready()
    capture.process.stdout.close()
    network.ping(count=3)
    assert capture.wait_for("error")[0] == "the reader of standard output is gone"


def test_interface_that_goes_away_is_a_warning_and_the_rest_goes_on(network, start):
    capture = start(network.router)
    capture.wait_ready()
    subprocess.run(["ip", "-n", network.router, "link", "del", "veth0"], check=True)
    network.run(network.server, "ping", "-q", "-c", "2", "-i", "0.002", network.router_address)
    summary = capture.stop()
    assert "interface `veth0` in root namespace went down or away" in summary["warnings"]
    assert len(tshark(capture.path, "-Y", 'icmp && frame.interface_name == "eth0"')) == 4


def rings_of(capture) -> int:
    """Packet rings in the memory of a capture."""
    return Path(f"/proc/{capture.process.pid}/maps").read_text().count("socket:[")


def wait_until(capture, condition) -> None:
    """Wait for what a capture does by itself."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        capture.wait_for("status")


def add_ports(network, *names: str) -> None:
    """Further ports of br0."""
    lines = [f"link add {name} type veth peer name {name}p netns {network.server}" for name in names]
    lines += [f"link set {name} master br0 up" for name in names]
    subprocess.run(["ip", "-n", network.router, "-batch", "-"], input="\n".join(lines), text=True, check=True)


def remove_ports(network, *names: str) -> None:
    lines = "\n".join(f"link del {name}" for name in names)
    subprocess.run(["ip", "-n", network.router, "-batch", "-"], input=lines, text=True, check=True)


def test_ring_of_an_interface_that_went_away_is_closed_with_its_packets_kept(network, start):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    network.ping(count=3)
    subprocess.run(["ip", "-n", network.router, "link", "del", "veth0"], check=True)
    wait_until(capture, lambda: rings_of(capture) == 2)
    summary = capture.stop()
    points = {point["interface"]: point["packets"] for point in summary["points"]}
    assert sorted(points) == ["br0", "eth0", "veth0"]
    rows = tshark(capture.path, "-Y", 'icmp && frame.interface_name == "veth0"')
    assert len(rows) == 6
    assert points["veth0"] == len(tshark(capture.path, "-Y", 'frame.interface_name == "veth0"'))
    assert summary["packets"] == len(tshark(capture.path, "-Y", "eth"))


def test_interface_that_goes_down_and_comes_back_is_said_once_and_captured_on(network, start):
    capture = start(network.router, trace=False)
    capture.wait_ready()
    for _ in range(3):
        for state in ("down", "up"):
            subprocess.run(["ip", "-n", network.router, "link", "set", "eth0", state], check=True)
        network.run(network.server, "ping", "-q", "-c", "1", network.router_address)
    summary = capture.stop()
    assert summary["warnings"] == ["interface `eth0` in root namespace went down or away"]
    assert len(tshark(capture.path, "-Y", 'icmp && frame.interface_name == "eth0"')) == 6


def test_more_interfaces_than_there_are_rings_come_and_go(network, start):
    capture = start(network.router, trace=False, ring_mib=2)
    capture.wait_ready()
    for turn in range(3):
        names = [f"v{turn}x{number}" for number in range(30)]
        add_ports(network, *names)
        wait_until(capture, lambda: rings_of(capture) == 33)
        remove_ports(network, *names)
        wait_until(capture, lambda: rings_of(capture) == 3)
    summary = capture.stop()
    assert len(summary["points"]) == 93
    assert not [warning for warning in summary["warnings"] if "went down or away" not in warning]


def test_interface_without_a_free_ring_is_said_once_and_captured_when_another_has_gone(network, start):
    capture = start(network.router, trace=False, ring_mib=2)
    capture.wait_ready()
    names = [f"v{number}" for number in range(MAX_ARRIVALS + 2)]
    add_ports(network, *names)
    wait_until(capture, lambda: rings_of(capture) == 3 + MAX_ARRIVALS)
    remove_ports(network, *names[:2])
    wait_until(capture, lambda: len(described(capture.path)) == 3 + MAX_ARRIVALS + 2)
    summary = capture.stop()
    full = [warning for warning in summary["warnings"] if "room for" in warning]
    assert len(full) == 1
    assert full[0].startswith(f"interface `v{MAX_ARRIVALS}` came when {3 + MAX_ARRIVALS} were captured already")


def described(path: Path) -> set[bytes]:
    """Names of the interfaces with an Ethernet description block."""
    data = path.read_bytes()
    found, offset = set(), 0
    while offset + 8 <= len(data):
        kind, length = (int.from_bytes(data[offset + at : offset + at + 4], "little") for at in (0, 4))
        if kind == 1 and data[offset + 8] == 1:
            found.add(data[offset : offset + length])
        offset += length
    return found


def test_lost_netlink_messages_are_counted_and_in_the_file(network, start):
    capture = start(network.router, trace_limit=0, buffer_mib=1)
    capture.wait_ready()
    # A process that does not run does not read: 1 MiB holds about 800 events.
    capture.process.send_signal(signal.SIGSTOP)
    network.ping(count=200)
    capture.process.send_signal(signal.SIGCONT)
    summary = capture.stop()
    assert summary["netlink_lost"] > 0
    netlink = len(summary["points"])
    assert statistics(capture.path)[netlink][1] == summary["netlink_lost"]


def test_lost_packets_are_counted_and_in_the_file(network, start):
    capture = start(network.router, interfaces=["eth0"], trace=False, ring_mib=2)
    capture.wait_ready()
    capture.process.send_signal(signal.SIGSTOP)
    network.ping(count=1500, size=1400)
    capture.process.send_signal(signal.SIGCONT)
    summary = capture.stop()
    assert summary["lost"] > 0
    received, dropped = statistics(capture.path)[0]
    assert dropped == summary["lost"]
    assert received == summary["packets"] + summary["lost"]


def statistics(path: Path) -> dict[int, tuple[int, int]]:
    """Interface id to (received, dropped) of its last statistics block."""
    data = path.read_bytes()
    found, offset = {}, 0
    while offset < len(data):
        kind = int.from_bytes(data[offset : offset + 4], "little")
        length = int.from_bytes(data[offset + 4 : offset + 8], "little")
        if kind == 5:
            body = data[offset + 8 : offset + length]
            values = (int.from_bytes(body[16:24], "little"), int.from_bytes(body[28:36], "little"))
            found[int.from_bytes(body[0:4], "little")] = values
        offset += length
    return found


def test_without_docker_containers_is_one_warning(network, start):
    capture = start(
        network.router, containers=True, duration_s=0.1, environment={"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    )
    (warning,) = capture.wait_for("summary")["warnings"]
    assert warning.startswith("no containers: cannot ask Docker at /nowhere/docker.sock")


def test_without_root_is_one_line(network, tmp_path):
    del network
    script = (
        "import os\n"
        "from ttrace.capture import CaptureOptions, run_capture\n"
        "from ttrace.errors import TtraceError\n"
        "os.setuid(65534)\n"
        "try:\n run_capture(CaptureOptions(output='x.pcapng'))\n"
        "except TtraceError as error:\n print(error.message)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    assert done.stdout == "capturing needs root (no CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN here)\n"


def test_legacy_rules_are_traced_through_nflog_and_no_legacy_table_is_created(network, start):
    network.run(network.router, "iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-p", "icmp", "-j", "ACCEPT")
    logger = "net.netfilter.nf_log.2"
    before = network.run(network.router, "sysctl", "-n", logger)
    capture = start(network.router)
    capture.wait_ready()
    network.ping(count=1)
    capture.stop()
    assert b"TRACE: raw:PREROUTING:rule:1 " in capture.path.read_bytes()
    assert network.run(network.router, "sysctl", "-n", logger) == before
    names = network.run(network.router, "cat", "/proc/net/ip_tables_names").split()
    assert names == ["raw"]


def test_second_interrupt_does_not_lose_the_file(network, start):
    capture = start(network.router)
    capture.wait_ready()
    network.ping(count=2)
    for _ in range(3):
        capture.process.send_signal(signal.SIGINT)
    summary = capture.wait_for("summary")
    assert capture.process.wait(10) == 0
    assert len(tshark(capture.path, "-Y", "icmp")) == 12
    assert json.dumps(summary)


def test_a_refused_capture_leaves_the_file_alone(network, start, tmp_path):
    running = start(network.router, output=str(tmp_path / "one.pcapng"))
    running.wait_ready()
    kept = tmp_path / "kept.pcapng"
    kept.write_bytes(b"what was there before")
    for output, words in ((kept, "cannot trace"), (tmp_path / "one.pcapng", "another capture is writing")):
        refused = start(network.router, output=str(output), force=True)
        message, _ = refused.wait_for("error")
        assert words in message
        assert refused.process.wait(10) == 1
    new = start(network.router, output=str(tmp_path / "new.pcapng"))
    new.wait_for("error")
    new.process.wait(10)
    network.ping()
    assert running.stop()["packets"] > 0
    assert kept.read_bytes() == b"what was there before"
    assert not (tmp_path / "new.pcapng").exists()
    assert subprocess.run(["capinfos", str(tmp_path / "one.pcapng")], capture_output=True, check=False).returncode == 0


def test_a_table_of_that_name_that_is_nobodys_is_named(network, start):
    network.run(network.router, "nft", "add", "table", "inet", "ttrace")
    message, hint = start(network.router).wait_for("error")
    assert "that is not a capture's" in message
    assert "nft delete table inet ttrace" in hint


def test_interrupt_ends_a_capture_that_a_script_started_in_the_background(network, tmp_path):
    command = f"{sys.executable} -c 'from ttrace.cli import main; main()' capture -w {tmp_path}/b.pcapng"
    script = f"{command} >/dev/null 2>{tmp_path}/said & echo $!"
    done = subprocess.run(
        ["ip", "netns", "exec", network.router, "sh", "-c", script], capture_output=True, text=True, check=True
    )
    pid = int(done.stdout)
    wait_for_condition(lambda: "capturing" in (tmp_path / "said").read_text(), 20.0, "the capture has begun")
    os.kill(pid, signal.SIGINT)
    wait_for_condition(lambda: "nothing was lost" in (tmp_path / "said").read_text(), 10.0, "the capture has ended")
