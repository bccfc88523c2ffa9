"""The parts of a capture by themselves: journal, labels, tracing table, output, containers, rules, doctor."""

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from ttrace.capture import CaptureOptions, watch
from ttrace.capture.doctor import State, examine
from ttrace.capture.machine import containers, journal
from ttrace.capture.machine.journal import Journal, process_start, restore_stale
from ttrace.capture.machine.netns import Netns, open_container_netns, open_netns, own_netns
from ttrace.capture.rules.ruleset import read_ruleset, tables_without_owner
from ttrace.capture.rules.tracing_table import TracingTable, split_match, table_text
from ttrace.capture.sockets.arena import Arena
from ttrace.capture.sockets.bpf import accept_all, compile_filter
from ttrace.capture.sockets.ring import BLOCK_BYTES, SMALLEST_BLOCKS, open_ring, ring_budget
from ttrace.capture.stream.output import OutputFile
from ttrace.capture.stream.sources import RING_COLUMNS, STAGE_COLUMNS, Sources
from ttrace.capture.stream.staging import _take_stamp
from ttrace.capture.targets import resolve_targets
from ttrace.errors import TtraceError
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import enhanced_packet

SETTING = "net/ipv4/ip_default_ttl"


@pytest.fixture
def router(network):
    netns = open_netns(network.router)
    yield netns
    netns.close()


def read_setting(netns: Netns) -> str:
    with netns.entered():
        return Path("/proc/sys", SETTING).read_text().strip()


# Journal


def test_journal_writes_before_it_changes_and_restores(router, tmp_path):
    journal = Journal(tmp_path)
    before = read_setting(router)
    journal.set_value(router, SETTING, "77")
    record = json.loads((tmp_path / f"{os.getpid()}.json").read_text())
    assert record["started"] == process_start(os.getpid())
    assert record["changes"] == [
        {"netns": router.label, "inode": router.inode, "name": SETTING, "before": before, "after": "77"}
    ]
    assert read_setting(router) == "77"
    assert journal.restore() == []
    assert read_setting(router) == before
    assert list(tmp_path.iterdir()) == []


def test_setting_that_has_the_value_is_claimed_and_stays(router, tmp_path):
    journal = Journal(tmp_path)
    before = read_setting(router)
    journal.set_value(router, SETTING, before)
    (change,) = json.loads((tmp_path / f"{os.getpid()}.json").read_text())["changes"]
    assert (change["before"], change["after"]) == (before, before)
    assert journal.restore() == []
    assert read_setting(router) == before
    assert list(tmp_path.iterdir()) == []


def write_journal(folder: Path, netns: Netns, *, pid: int, started: str | None) -> Path:
    """A journal of another process, which found 64 and set 77."""
    change = {"netns": "root", "inode": netns.inode, "name": SETTING, "before": "64", "after": "77"}
    path = folder / f"{pid}.json"
    path.write_text(json.dumps({"pid": pid, "started": started, "changes": [change]}))
    return path


def test_setting_another_living_process_claims_is_left_and_the_last_one_restores_it(router, tmp_path):
    parent = os.getppid()
    ours = Journal(tmp_path)
    ours.set_value(router, SETTING, "77")
    other = write_journal(tmp_path, router, pid=parent, started=process_start(parent))
    assert ours.restore() == []
    assert read_setting(router) == "77"
    # The other way round: it was set when we came, and the other one has gone before us.
    ours.set_value(router, SETTING, "77")
    other.unlink()
    assert ours.restore() == []
    assert read_setting(router) == "64"


def test_setting_of_a_dead_process_that_a_living_one_claims_is_left_to_that_one(router, tmp_path):
    ours = Journal(tmp_path)
    with router.entered():
        Path("/proc/sys", SETTING).write_text("77")
    write_journal(tmp_path, router, pid=1, started="dead")
    ours.set_value(router, SETTING, "77")
    assert restore_stale(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [f"{os.getpid()}.json"]
    assert read_setting(router) == "77"
    assert ours.restore() == []
    assert read_setting(router) == "64"


def test_namespace_that_cannot_be_entered_does_not_stop_the_other_restores(router, tmp_path):
    ours = Journal(tmp_path)
    ours.set_value(router, SETTING, "77")
    with Path("/dev/null").open() as no_namespace:
        lost = replace(router, label="lost", fd=os.dup(router.fd))
        ours.set_value(lost, "net/ipv4/ip_forward", "0")
        os.dup2(no_namespace.fileno(), lost.fd)
    (warning,) = ours.restore()
    assert warning.startswith("could not restore net/ipv4/ip_forward to `1` in lost: cannot enter network namespace")
    assert read_setting(router) == "64"
    os.close(lost.fd)


def test_namespace_that_cannot_be_entered_does_not_stop_the_other_stale_restores(router, tmp_path, monkeypatch):
    with router.entered():
        Path("/proc/sys", SETTING).write_text("77")
    path = write_journal(tmp_path, router, pid=1, started="dead")
    record = json.loads(path.read_text())
    record["changes"].append(record["changes"][0] | {"inode": 1})
    path.write_text(json.dumps(record))

    def find(inode: int) -> Netns:
        fd = os.dup(router.fd) if inode == router.inode else os.open("/dev/null", os.O_RDONLY)
        return replace(router, fd=fd)

    monkeypatch.setattr(journal, "_find_netns", find)
    lost, restored = restore_stale(tmp_path)
    assert "could not be restored to `64`: cannot enter network namespace" in lost
    assert restored == f"{SETTING} in root: restored to `64`"
    assert read_setting(router) == "64"


def test_stale_settings_of_dead_processes_are_restored_and_living_ones_left(router, tmp_path):
    journal = Journal(tmp_path)
    journal.set_value(router, SETTING, "77")
    assert restore_stale(tmp_path) == []
    assert read_setting(router) == "77"
    path = tmp_path / f"{os.getpid()}.json"
    record = json.loads(path.read_text())
    # The same process id, another process: it was started at another time.
    path.write_text(json.dumps(record | {"started": "1"}))
    assert restore_stale(tmp_path) == [f"{SETTING} in {router.label}: restored to `64`"]
    assert read_setting(router) == "64"
    assert list(tmp_path.iterdir()) == []


def test_stale_setting_changed_by_someone_else_is_left(router, tmp_path):
    Journal(tmp_path).set_value(router, SETTING, "77")
    with router.entered():
        Path("/proc/sys", SETTING).write_text("99")
    path = tmp_path / f"{os.getpid()}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started": "1"}))
    assert restore_stale(tmp_path) == [f"{SETTING} in {router.label}: changed by someone else, left as it is"]


def test_broken_journal_is_removed_and_said(tmp_path):
    (tmp_path / "1.json").write_text("{")
    assert restore_stale(tmp_path) == [f"{tmp_path}/1.json: unreadable, removed"]
    assert restore_stale(tmp_path) == []


def test_no_journal_is_nothing_to_do(tmp_path):
    assert restore_stale(tmp_path / "absent") == []


# Namespaces


def test_own_namespace_is_root():
    netns = own_netns()
    assert (netns.label, netns.inode) == ("root", Path("/proc/self/ns/net").stat().st_ino)
    assert netns.description == "root namespace"
    netns.close()


def test_labels_of_named_process_and_path(network):
    sleeper = subprocess.Popen(["ip", "netns", "exec", network.client, "sleep", "60"])
    try:
        named = open_netns(network.client)
        while Path(f"/proc/{sleeper.pid}/ns/net").stat().st_ino != named.inode:
            pass
        by_pid, by_path = open_netns(str(sleeper.pid)), open_netns(f"/run/netns/{network.client}")
        assert named.label == by_pid.label == by_path.label == network.client
        container = open_container_netns(sleeper.pid, "web1")
        assert (container.label, container.description) == ("web1", "container web1")
        for netns in (named, by_pid, by_path, container):
            netns.close()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_unnamed_namespace_is_labelled_by_its_number():
    child = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE)
    own = Path("/proc/self/ns/net").stat().st_ino
    while (inode := Path(f"/proc/{child.pid}/ns/net").stat().st_ino) == own:
        pass
    netns = open_netns(str(child.pid))
    assert netns.label == f"net:[{inode}]"
    netns.close()
    child.communicate()


@pytest.fixture
def named(monkeypatch, tmp_path, network):
    """A function that gives the client's namespace another `ip netns` name, in a folder of this test's own."""
    source = f"/run/netns/{network.client}"
    monkeypatch.setattr("ttrace.capture.machine.netns.NAMED_DIRECTORY", tmp_path / "netns")
    (tmp_path / "netns").mkdir()

    def give(name: str) -> str:
        (tmp_path / "netns" / name).symlink_to(source)
        return name

    return give


@pytest.mark.parametrize(
    ("name", "label"), [("root", "netns:root"), ("netns:web1", "netns:netns:web1"), ("blue", "blue")]
)
def test_named_namespace_is_never_taken_for_the_nodes_own(named, name, label):
    netns = open_netns(named(name))
    assert (netns.label, netns.is_root) == (label, False)
    netns.close()


def test_container_named_root_is_not_the_nodes_own_namespace():
    child = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE)
    own = Path("/proc/self/ns/net").stat().st_ino
    while Path(f"/proc/{child.pid}/ns/net").stat().st_ino == own:
        pass
    netns = open_container_netns(child.pid, "root")
    assert (netns.label, netns.container, netns.is_root) == ("container:root", "root", False)
    assert netns.description == "container root"
    netns.close()
    child.communicate()
    host = open_container_netns(os.getpid(), "on-the-host")
    assert (host.label, host.is_root) == ("root", True)
    host.close()


def test_entering_comes_back(router):
    before = Path("/proc/self/ns/net").stat().st_ino
    with router.entered():
        assert Path("/proc/self/ns/net").stat().st_ino == router.inode
    assert Path("/proc/self/ns/net").stat().st_ino == before


# Tracing table


def test_buckets_share_the_limit():
    text = table_text(match=None, limit=1000)
    assert "rate 500/second burst 500 packets" in text
    assert text.count("rate 250/second burst 250 packets") == 2
    assert "limit" not in table_text(match=None, limit=0)


def test_alternatives_are_rules_of_their_own():
    assert split_match("tcp dport 80; tcp sport { 80, 81 }") == ["tcp dport 80", "tcp sport { 80, 81 }"]
    assert split_match(None) == [""]


@pytest.mark.parametrize("match", ["", ";", "tcp dport 80 }", "} {", "a\nb", "tcp dport 80 # x", 'iif "x"'])
def test_match_that_is_no_plain_match_is_refused(match):
    with pytest.raises(TtraceError, match="--trace-match"):
        split_match(match)


@pytest.mark.parametrize(
    "match", [None, "udp dport 53", "icmp type echo-request", "ip saddr 10.0.0.0/8", "tcp dport 1"]
)
@pytest.mark.parametrize("limit", [0, 1, 1000])
def test_table_loads_with_every_kind_of_match_and_goes_with_its_socket(network, router, match, limit):
    table = TracingTable(router)
    table.load(match=match, limit=limit)
    listed = network.run(network.router, "nft", "list", "table", "inet", "ttrace")
    assert "flags owner" in listed
    assert listed.count("chain ") == 7
    table.close()
    assert "ttrace" not in network.run(network.router, "nft", "list", "tables")


# Rules


def test_tables_with_an_owner_are_left_out_of_the_json():
    text = (
        "table ip nat {\n\tchain a {\n\t}\n}\n"
        "table inet ttrace { # progname x\n\tflags owner\n}\n"
        "table inet f {\n\tset s {\n\t\tflags owner\n\t}\n}\n"
    )
    assert tables_without_owner(text) == [("ip", "nat"), ("inet", "f")]


def test_ruleset_pairs_text_json_and_iptables_of_one_generation(router):
    table = TracingTable(router)
    table.load(match=None, limit=0)
    for _ in range(20):
        rules = read_ruleset(router)
        assert rules["consistent"] is True
        assert rules["generation"] > 0
        assert {"ttrace"}.isdisjoint(json.dumps(rules["json"]).split('"'))
        assert "handle" in rules["nft"]
        assert "-j MASQUERADE" in rules["iptables"]["ip"]
    table.close()


# Filters


def test_filter_and_snaplen_become_a_program(router):
    with router.entered():
        program = compile_filter("tcp port 80", snaplen=96, link_type=LinkType.ETHERNET, interface="eth0")
        raw = compile_filter("tcp port 80", snaplen=96, link_type=LinkType.RAW, interface="tun0")
    assert len(program) % 8 == 0
    assert accept_all(96) in program
    assert raw != program
    assert compile_filter("  ", snaplen=96, link_type=LinkType.RAW, interface="x") == accept_all(96)


# Output


def test_a_write_that_ends_inside_a_block_keeps_the_whole_ones(tmp_path, monkeypatch):
    path = tmp_path / "x.pcapng"
    block = enhanced_packet(interface=0, time_ns=0, data=bytes(50))
    output = OutputFile(str(path))
    output.begin()
    output.append(block)
    real = os.write
    room = [len(block) * 2 + 7]

    def full(fd, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = real(fd, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr("ttrace.capture.stream.output.os.write", full)
    with pytest.raises(TtraceError, match="No space left on device") as raised:
        output.append(block * 5)
    monkeypatch.undo()
    output.close()
    assert path.read_bytes() == block * 3
    assert f"{len(block) * 3} bytes" in raised.value.hint


def test_file_of_sudo_belongs_to_the_caller(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "2345")
    output = OutputFile(str(tmp_path / "x"))
    output.begin()
    output.close()
    status = (tmp_path / "x").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 2345, 0o600)


def test_fifo_without_a_reader_is_one_message(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = OutputFile(str(path))
    os.close(reader)
    with pytest.raises(TtraceError, match=r"the reader of `.*/fifo` is gone"):
        output.append(enhanced_packet(interface=0, time_ns=0, data=bytes(50)))
    output.close()


def test_what_is_no_file_keeps_its_owner_with_sudo(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "2345")
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    OutputFile(str(path)).close()
    os.close(reader)
    assert path.stat().st_uid == os.getuid()


# Rings


def mib(blocks: int) -> float:
    return blocks * BLOCK_BYTES / (1 << 20)


@pytest.mark.parametrize(
    ("ring_mib", "points", "share"),
    [(None, 1, 16), (None, 16, 16), (None, 64, 4), (None, 500, 2), (64, 1, 64), (2, 9, 2)],
)
def test_rings_share_the_memory_but_each_gets_enough(ring_mib, points, share):
    assert mib(ring_budget(ring_mib, points).share_blocks) == share


def test_a_ring_of_a_later_interface_gets_what_is_left():
    budget = ring_budget(None, 16)
    assert mib(budget.next_blocks(0)) == 16
    assert mib(budget.next_blocks(250 * 4)) == 6
    assert mib(budget.next_blocks(300 * 4)) == 2


def open_eth(arena: Arena, netns: Netns, name: str, blocks: int = SMALLEST_BLOCKS):
    with netns.entered():
        return open_ring(
            arena, netns, interface=name, index=1, link_type=LinkType.ETHERNET, mac=b"", program=accept_all(64),
            blocks=blocks,
        )  # fmt: skip


def mapped_rings(pid: int | str = "self") -> int:
    """Packet rings that are in the memory of a process."""
    return Path(f"/proc/{pid}/maps").read_text().count("socket:[")


def test_ring_on_an_interface_that_is_gone_leaves_no_memory(router):
    before = mapped_rings()
    arena = Arena(slots=1, slot_bytes=SMALLEST_BLOCKS * BLOCK_BYTES)
    for _ in range(3):
        with pytest.raises(TtraceError, match="cannot capture on `gone0`"):
            open_eth(arena, router, "gone0")
        assert (arena.free_slots, mapped_rings()) == (1, before)
    ring = open_eth(arena, router, "eth0")
    assert (arena.free_slots, mapped_rings()) == (0, before + 1)
    ring.close()
    ring.close()
    assert (arena.free_slots, mapped_rings()) == (1, before)
    arena.close()


@pytest.mark.parametrize(
    ("blocks", "hint"),
    [
        (16, "each capture point needs 4 MiB of memory: give all of them together less with `--ring-mib N`"),
        (8, "each capture point needs 2 MiB of memory, the least there is: capture on fewer with `--iface NAME`"),
    ],
)
def test_no_memory_for_a_ring_names_the_option(router, monkeypatch, blocks, hint):
    class NoMemory(socket.socket):
        def setsockopt(self, *arguments):
            if arguments[1] == 5:  # PACKET_RX_RING
                raise OSError(12, "Cannot allocate memory")
            super().setsockopt(*arguments)

    monkeypatch.setattr("ttrace.capture.sockets.ring.socket.socket", NoMemory)
    with pytest.raises(TtraceError) as raised:
        open_eth(Arena(slots=1, slot_bytes=blocks * BLOCK_BYTES), router, "eth0", blocks)
    assert raised.value.hint == hint


def test_interface_that_cannot_be_captured_is_said_once(network, router, monkeypatch):
    def refuse(*arguments):
        link = arguments[-1]
        raise TtraceError(f"cannot capture on `{link.name}`")

    monkeypatch.setattr(watch, "open_point", refuse)
    session = SimpleNamespace(
        rings=[], sockets=[], options=CaptureOptions(), warnings=[], arena=SimpleNamespace(free_slots=1),
        targets=SimpleNamespace(targets=[SimpleNamespace(netns=router)]),
    )  # fmt: skip
    stop_fd, other_fd = os.pipe()
    watching = watch.Watch(session, None, SimpleNamespace(fd=stop_fd))
    for mtu in ("1400", "1401", "1402"):
        network.run(network.router, "ip", "link", "set", "veth0", "mtu", mtu)
        watching.wait(5)
    watching.close()
    os.close(stop_fd)
    os.close(other_fd)
    assert sorted(session.warnings) == ["cannot capture on `br0`", "cannot capture on `veth0`"]


# Containers


class FakeDocker(BaseHTTPRequestHandler):
    """Answers like the Docker Engine API for one container."""

    answers: ClassVar[dict] = {}

    def do_GET(self):
        body = json.dumps(self.answers.get(self.path)).encode()
        self.send_response(200 if self.path in self.answers else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


@pytest.fixture
def docker(tmp_path, monkeypatch, network):
    """A Docker daemon with a container `web1` in the client's namespace, and one that has just ended."""
    process = subprocess.Popen(["ip", "netns", "exec", network.client, "cat"], stdin=subprocess.PIPE)
    named = open_netns(network.client)
    while Path(f"/proc/{process.pid}/ns/net").stat().st_ino != named.inode:
        pass
    named.close()
    FakeDocker.answers = {
        "/containers/json": [{"Id": "abc"}, {"Id": "gone"}],
        "/containers/abc/json": {
            "Id": "abc", "Name": "/web1", "Config": {"Image": "nginx"}, "State": {"Pid": process.pid},
            "NetworkSettings": {
                "Networks": {"bridge": {"IPAddress": "10.9.0.2", "GlobalIPv6Address": ""}}, "Ports": {},
            },
        },
    }  # fmt: skip
    path = tmp_path / "docker.sock"

    class UnixServer(HTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self):
            self.socket.bind(str(path))
            self.server_name, self.server_port = "docker", 0

    server = UnixServer(("", 0), FakeDocker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    yield process.pid
    server.shutdown()
    thread.join()
    server.server_close()
    process.communicate()


def test_containers_are_listed_with_name_process_and_addresses(docker):
    (container,) = containers.running_containers()
    assert (container.name, container.pid, container.image) == ("web1", docker, "nginx")
    assert container.addresses == ("10.9.0.2",)


def test_containers_are_captured_under_their_names(docker, network, start):
    capture = start(network.router, containers=True)
    capture.wait_ready()
    network.ping(count=1)
    summary = capture.stop()
    assert ("web1", "eth0") in {(point["netns"], point["interface"]) for point in summary["points"]}
    command = [
        "tshark",
        "-N",
        "n",
        "-r",
        str(capture.path),
        "-Y",
        "icmp.type == 8",
        "-T",
        "fields",
        "-e",
        "ip.src_host",
    ]
    assert "web1" in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert docker


def test_container_names_are_known_without_capturing_in_them(docker, router):
    with router.entered():
        targets = resolve_targets(CaptureOptions())
    assert [target.netns.label for target in targets.targets] == ["root"]
    assert [(container.name, label) for container, label in targets.containers] == [("web1", "web1")]
    assert next(link for link in targets.targets[0].links if link.name == "veth0").peer_netns == "web1"
    targets.close()
    assert docker


def test_named_namespace_beside_a_container_of_that_name_has_a_label_of_its_own(
    docker, network, router, monkeypatch, tmp_path
):
    monkeypatch.setattr("ttrace.capture.machine.netns.NAMED_DIRECTORY", tmp_path / "netns")
    (tmp_path / "netns").mkdir()
    (tmp_path / "netns" / "web1").symlink_to(f"/run/netns/{network.server}")
    with router.entered():
        targets = resolve_targets(CaptureOptions(netns=("web1",), containers=True))
    assert [target.netns.label for target in targets.targets] == ["root", "netns:web1", "web1"]
    peers = {link.name: link.peer_netns for link in targets.targets[0].links}
    assert (peers["eth0"], peers["veth0"]) == ("netns:web1", "web1")
    targets.close()
    assert docker


def test_a_process_id_of_a_container_gets_the_containers_name(docker, router):
    with router.entered():
        targets = resolve_targets(CaptureOptions(netns=(str(docker),)))
    assert {target.netns.label for target in targets.targets} == {"root", "web1"}
    targets.close()


def test_a_daemon_that_is_not_local_is_refused(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    with pytest.raises(TtraceError, match="only a local daemon"):
        containers.running_containers()


# Doctor


def test_doctor_finds_a_capable_machine_and_changes_nothing(network, router):
    before = network.run(network.router, "nft", "list", "ruleset")
    with router.entered():
        findings = {finding.name: finding for finding in examine()}
    assert network.run(network.router, "nft", "list", "ruleset") == before
    for name in ("rights", "libpcap", "libnftables", "tracing table", "netfilter events", "packet rings"):
        assert findings[name].state is State.OK, findings[name]
    assert findings["interfaces"].text.endswith("br0, veth0, eth0")


# Imports


def test_no_heavy_import_with_the_package():
    heavy = "{'numpy', 'numba', 'pandas', 'scapy', 'pyroute2'}"
    script = f"import sys, ttrace.capture; print(sorted({heavy} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"


def test_times_of_messages_never_go_back_unless_the_clock_is_set_back():
    arena = np.zeros(64, np.uint64)
    stages = np.zeros((1, STAGE_COLUMNS), np.int64)
    source = Sources(
        octets=arena.view(np.uint8), halfwords=arena.view(np.uint16), words=arena.view(np.uint32),
        longwords=arena.view(np.int64), rings=np.zeros((0, RING_COLUMNS), np.int64), stages=stages,
        times=np.zeros(1, np.int64),
    )  # fmt: skip
    second = 1_000_000_000
    taken = [int(_take_stamp(source, 0, now_ns, 0)) for now_ns in (9 * second, 9 * second - 1_000, 4 * second)]
    assert taken == [9 * second, 9 * second, 4 * second]
