"""The labs really come up, carry traffic, and leave nothing behind, however they end. Needs root and Docker."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ttrace.errors import TtraceError
from ttrace.lab import DockerLab, LightLab, attach, docker, down, status, wait_until
from ttrace.lab.namespace import add_namespace, delete_namespaces
from ttrace.lab.process import running_processes
from ttrace.lab.state import LabState
from ttrace.lab.teardown import members

NODES = [("web1", "192.168.77.2", "web2"), ("web2", "192.168.77.1", "web1")]


def unique_prefix(name: str) -> str:
    return f"t{os.getpid()}{name}"


def leftovers(prefix: str) -> list[str]:
    """Everything on this machine that bears the lab's prefix."""
    found = [str(path) for path in Path("/run/netns").glob(f"{prefix}-*")]
    found += [
        str(path) for path in (Path("/run/ttrace-lab", prefix), Path("/var/lib/ttrace-lab", prefix)) if path.exists()
    ]
    for pattern in (f"ttrace-lab-{prefix}-*", f"*/ttrace-lab-{prefix}-*"):
        found += [str(path) for path in Path("/sys/fs/cgroup").glob(pattern)]
    found += [line for line in Path("/proc/net/unix").read_text().splitlines() if f"ttrace-lab/{prefix}/" in line]
    for process in running_processes():
        for name in ("cmdline", "mountinfo", "cgroup"):
            path = Path(f"/proc/{process.pid}", name)
            try:
                text = path.read_text(errors="replace")
            except OSError:
                continue
            if f"{prefix}-master" in text or f"{prefix}-slave" in text or f"ttrace-lab/{prefix}/" in text:
                found.append(f"{path}: {text[:200]}")
    return found


def host_links() -> list[str]:
    return sorted(path.name for path in Path("/sys/class/net").iterdir())


def assert_reaches_each_other(lab: DockerLab | LightLab) -> None:
    fetch = ["wget", "-q", "-O", "-"]
    for client, address, server in NODES:
        page = lab.in_container(client, [*fetch, f"http://{address}:8080/mark/{client}"], timeout_s=5.0).stdout
        assert page == f"hello from {server}\n"


@pytest.fixture(scope="module")
def docker_lab() -> Iterator[DockerLab]:
    links = host_links()
    with DockerLab(unique_prefix("d")) as lab:
        yield lab
    assert leftovers(lab.prefix) == []
    assert host_links() == links


@pytest.fixture(scope="module")
def light_lab() -> Iterator[LightLab]:
    with LightLab(unique_prefix("l"), extra_containers=True) as lab:
        yield lab
    assert leftovers(lab.prefix) == []


def test_published_http_reaches_the_other_container(docker_lab: DockerLab) -> None:
    assert_reaches_each_other(docker_lab)


def test_large_page_is_whole(docker_lab: DockerLab) -> None:
    output = docker_lab.in_container("web1", ["sh", "-c", "wget -q -O - http://192.168.77.2:8080/large | wc -c"]).stdout
    assert int(output) == 1 << 20


@pytest.mark.parametrize(("client", "address", "_server"), NODES)
def test_udp_echo_answers_two_hundred_at_once(docker_lab: DockerLab, client: str, address: str, _server: str) -> None:
    assert docker_lab.in_container(client, ["udp-exchange", address, "9000", "200"]).stdout == "200\n"


def test_two_hundred_parallel_requests(docker_lab: DockerLab) -> None:
    script = "for n in $(seq 200); do wget -q -O - http://192.168.77.2:8080/mark/$n & done; wait"
    output = docker_lab.in_container("web1", ["sh", "-c", script]).stdout
    assert output == "hello from web2\n" * 200


def test_ping_from_container_to_other_node(docker_lab: DockerLab) -> None:
    assert (
        " 0% packet loss" in docker_lab.in_container("web1", ["ping", "-c", "2", "-i", "0.01", "192.168.77.2"]).stdout
    )


def test_own_published_port_goes_through_the_proxy(docker_lab: DockerLab) -> None:
    page = docker_lab.in_container("web1", ["wget", "-q", "-O", "-", "http://192.168.77.1:8080/"]).stdout
    assert page == "hello from web1\n"


def test_a_node_is_its_container_for_in_container(docker_lab: DockerLab) -> None:
    assert docker_lab.in_container("slave", ["hostname"]).stdout == "web2\n"


def test_popen_knows_the_engine_of_its_node(docker_lab: DockerLab) -> None:
    with docker_lab.popen("slave", ["sh", "-c", "echo $DOCKER_HOST; ip -o -4 address show eth0"]) as process:
        output, _ = process.communicate(timeout=10)
    assert docker_lab.nodes["slave"].docker_host in output
    assert "192.168.77.2/24" in output


def test_popen_in_a_container_can_be_terminated(docker_lab: DockerLab) -> None:
    with docker_lab.popen("web1", ["ping", "192.168.77.2"]) as process:
        assert process.stdout is not None
        assert "PING" in process.stdout.readline()
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM


def test_container_pid_is_its_web_server(docker_lab: DockerLab) -> None:
    assert Path(f"/proc/{docker_lab.container_pid('web1')}/comm").read_text() == "nginx\n"


def test_a_restarted_container_is_found_again() -> None:
    with DockerLab(unique_prefix("a")) as lab:
        before = lab.container_pid("web1")
        lab.command("master", ["docker", "restart", "web1"])
        assert lab.container_pid("web1") != before
        assert lab.in_container("web1", ["hostname"]).stdout == "web1\n"
    assert leftovers(lab.prefix) == []


def test_another_process_can_use_a_lab_that_is_up(docker_lab: DockerLab) -> None:
    assert attach(docker_lab.prefix).in_container("web1", ["hostname"]).stdout == "web1\n"
    assert [node.state for node in status(docker_lab.prefix)] == ["up", "up"]
    assert status(docker_lab.prefix)[1].containers == {"web2": "172.18.0.2"}


def test_a_second_lab_of_the_same_prefix_is_refused(docker_lab: DockerLab) -> None:
    with pytest.raises(TtraceError, match="exists already"):
        DockerLab(docker_lab.prefix).up()
    assert_reaches_each_other(docker_lab)


def test_a_command_that_fails_says_so(docker_lab: DockerLab) -> None:
    with pytest.raises(TtraceError, match=r"exit code 1: .*no such thing"):
        docker_lab.command("master", ["sh", "-c", "echo no such thing >&2; exit 1"])
    assert docker_lab.command("master", ["false"], check=False).returncode == 1


def test_a_command_that_hangs_is_killed(docker_lab: DockerLab) -> None:
    with pytest.raises(TtraceError, match=r"longer than 0\.2 s"):
        docker_lab.in_container("web1", ["sleep", "1000.5"], timeout_s=0.2)
    processes = docker_lab.in_container("web1", ["ps"]).stdout
    assert "1000.5" not in processes


def rules_of(lab: DockerLab | LightLab, node: str) -> set[str]:
    saved = lab.command(node, ["iptables-save"]).stdout.splitlines()
    return {line for line in saved if line.startswith("-A")}


def test_light_lab_has_the_rules_that_docker_writes(docker_lab: DockerLab) -> None:
    with LightLab(unique_prefix("r")) as light:
        for node in ("master", "slave"):
            assert rules_of(light, node) == rules_of(docker_lab, node)


def test_light_lab_reaches_the_other_container(light_lab: LightLab) -> None:
    assert_reaches_each_other(light_lab)
    page = light_lab.in_container("web1b", ["wget", "-q", "-O", "-", "http://192.168.77.2:8081/"]).stdout
    assert page == "hello from web2b\n"


ECHO_CLIENT = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as client:
    client.settimeout(5)
    client.connect((sys.argv[2], 9000))
    client.sendall(b"payload")
    print(client.recv(100).decode())
"""


@pytest.mark.parametrize(("protocol", "address"), [("udp", "192.168.77.2"), ("tcp", "172.17.0.3")])
def test_light_lab_echoes(light_lab: LightLab, protocol: str, address: str) -> None:
    argv = [sys.executable, "-I", "-S", "-c", ECHO_CLIENT, protocol, address]
    assert light_lab.in_container("web1", argv).stdout == "payload\n"


@pytest.mark.parametrize("iptables", ["iptables-nft", "iptables-legacy"])
@pytest.mark.parametrize("lab_type", [DockerLab, LightLab])
def test_variants_of_a_lab(lab_type: type[DockerLab] | type[LightLab], iptables: str) -> None:
    with lab_type(unique_prefix("v"), iptables=iptables, overlapping=True, bridge_nf=False) as lab:
        assert {node.container_address for node in lab.nodes.values()} == {"172.17.0.2"}
        assert_reaches_each_other(lab)
        for node in lab.nodes:
            assert "MASQUERADE" in lab.command(node, [f"{iptables}-save"]).stdout
            assert lab.command(node, ["cat", "/proc/sys/net/bridge/bridge-nf-call-iptables"]).stdout == "0\n"
    assert leftovers(lab.prefix) == []


def test_light_lab_without_rules_publishes_nothing() -> None:
    with LightLab(unique_prefix("n"), iptables=None) as lab:
        fetch = ["curl", "--silent", "--max-time", "2", "http://192.168.77.2:8080/"]
        assert lab.in_container("web1", fetch, check=False).returncode != 0
        assert lab.command("slave", ["curl", "--silent", "http://172.18.0.2/"]).stdout == "hello from web2\n"


def test_down_ends_every_process_and_may_be_repeated() -> None:
    lab = DockerLab(unique_prefix("e")).up()
    try:
        with lab.popen("master", ["sleep", "1000"], stdout=None, stderr=None) as sleeper:
            state = LabState.load(lab.prefix)
            assert state is not None
            processes = members(state)
            commands = {Path(f"/proc/{process.pid}/comm").read_text().strip() for process in processes}
            assert commands >= {"dockerd", "containerd", "containerd-shim", "docker-proxy", "nginx", "perl", "sleep"}
            down(lab.prefix)
            assert sleeper.wait(timeout=10) == -signal.SIGKILL
        assert not any(process.is_running() for process in processes)
        assert leftovers(lab.prefix) == []
        assert status(lab.prefix) == []
    finally:
        lab.down()


def test_dockerd_that_is_not_installed() -> None:
    prefix = unique_prefix("m")
    with pytest.raises(TtraceError, match="not installed") as caught:
        DockerLab(prefix, dockerd="/nowhere/dockerd").up()
    assert caught.value.hint == "`apt install docker.io`"
    assert leftovers(prefix) == []


@pytest.mark.fault("lab", "dockerd does not start", "one line; nothing is left")
def test_engine_that_does_not_start(tmp_path: Path) -> None:
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\necho 'no engine today' >&2\nexit 1\n")
    program.chmod(0o755)
    prefix = unique_prefix("f")
    with pytest.raises(TtraceError, match=r"the Docker engine of `master` .*no engine today"):
        DockerLab(prefix, dockerd=str(program)).up()
    assert leftovers(prefix) == []


@pytest.mark.fault("lab", "a container does not start", "one line; nothing is left")
def test_container_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "START_COMMAND", ["/nowhere"])
    prefix = unique_prefix("c")
    with pytest.raises(TtraceError, match="the Docker engine refused"):
        DockerLab(prefix).up()
    assert leftovers(prefix) == []


STARTER = "import sys; from ttrace.lab import DockerLab; lab = DockerLab(sys.argv[1]).up(); input(); lab.down()"


def start_elsewhere(prefix: str) -> subprocess.Popen[str]:
    """Bring a lab up in another process, which then waits to be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, prefix],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def is_at_work(group: int) -> bool:
    """Whether any process of a group is left: who is killed leaves what it had begun, as `ip netns add`."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def reached(prefix: str, stage: str) -> bool:
    state = LabState.load(prefix)
    return (
        state is not None
        and {
            "claimed": True,
            "engine": bool(state.processes),
            "container": bool(state.containers),
            "ready": state.ready,
        }[stage]
    )


@pytest.mark.parametrize("stage", ["claimed", "engine", "container", "ready"])
@pytest.mark.fault("lab", "kill -9 while the lab starts", "`lab down` removes all")
def test_down_after_the_starter_was_killed(stage: str) -> None:
    prefix = unique_prefix("k")
    try:
        with start_elsewhere(prefix) as starter:
            wait_until(lambda: reached(prefix, stage), 60.0, f"the lab is {stage}")
            subprocess.run(["bash", "-c", f"kill -9 {starter.pid}"], check=True)
        wait_until(lambda: not is_at_work(starter.pid), 10.0, "what it had begun is done")
        state = LabState.load(prefix)
        assert state is not None  # it may have come further before the signal arrived
        assert [node.state for node in status(prefix)] == ["up" if state.ready else "broken"] * 2
    finally:
        down(prefix)
    assert leftovers(prefix) == []


@pytest.mark.parametrize("stage", ["claimed", "engine"])
@pytest.mark.fault("lab", "Ctrl-C twice while the lab starts", "nothing is left")
def test_pressing_ctrl_c_twice_while_the_lab_starts(stage: str) -> None:
    prefix = unique_prefix("i")
    try:
        with start_elsewhere(prefix) as starter:
            wait_until(lambda: reached(prefix, stage), 60.0, f"the lab is {stage}")
            for _ in range(3):
                starter.send_signal(signal.SIGINT)
            _, errors = starter.communicate(timeout=60)
        assert errors.strip().endswith("KeyboardInterrupt")
        assert leftovers(prefix) == []
    finally:
        down(prefix)


def test_up_replaces_a_lab_that_was_left_half_started() -> None:
    prefix = unique_prefix("h")
    try:
        with start_elsewhere(prefix) as starter:
            wait_until(lambda: reached(prefix, "engine"), 60.0, "an engine is started")
            starter.kill()
        with DockerLab(prefix) as lab:
            assert_reaches_each_other(lab)
    finally:
        down(prefix)
    assert leftovers(prefix) == []


def test_down_without_a_lab_is_fine() -> None:
    down(unique_prefix("x"))
    assert status(unique_prefix("x")) == []


def test_attach_without_a_lab() -> None:
    with pytest.raises(TtraceError, match="is not up"):
        attach(unique_prefix("x"))


@pytest.mark.parametrize("prefix", ["", "../etc", "Upper", "a" * 17, "9lives"])
def test_bad_prefix(prefix: str) -> None:
    with pytest.raises(TtraceError, match="prefix"):
        DockerLab(prefix)


def test_a_lab_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TtraceError, match="only root"):
        LightLab(unique_prefix("u")).up()


def test_a_namespace_of_somebody_else_is_left_alone() -> None:
    prefix = unique_prefix("o")
    name = f"{prefix}-slave"
    add_namespace(name)
    try:
        with pytest.raises(TtraceError, match="no lab made it"):
            LightLab(prefix).up()
        down(prefix)
        assert Path("/run/netns", name).exists()
    finally:
        delete_namespaces([name])
