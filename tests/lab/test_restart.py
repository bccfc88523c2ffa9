"""A Docker engine that is restarted, and containers that come back, while a capture runs."""

import os
import signal
import subprocess

import pytest

from ttrace.lab import DockerLab, wait_until
from ttrace.lab.engine import start_engine, wait_for_engine
from ttrace.lab.image import find_program
from ttrace.lab.process import running_processes
from ttrace.lab.recording import ttrace_command
from ttrace.lab.state import LabState
from ttrace.tests.capture.conftest import tshark
from ttrace.tests.capture.test_capture import snapshots


@pytest.mark.fault(
    "changes",
    "Docker is killed and started again, and its container with it, while a capture with `--containers` runs",
    "the new container's interface and rules are in the file; nothing is lost",
)
def test_docker_is_restarted_while_a_capture_runs(tmp_path):
    file = tmp_path / "master.pcapng"
    with DockerLab(f"t{os.getpid()}re") as lab:
        command = ttrace_command("capture", "-w", str(file), "--containers", "--trace-limit", "0")
        with lab.popen("master", command, stdout=subprocess.DEVNULL) as capture:
            try:
                assert any("capturing" in line for line in capture.stderr)
                restart(lab, "master")
                wait_until(lambda: fetched(lab) == "hello from web1\n", 10.0, "the container's server is there again")
            finally:
                capture.send_signal(signal.SIGINT)
            said = capture.communicate(timeout=30)[1]
    assert capture.returncode == 0, said
    assert "LOST" not in said
    assert "Traceback" not in said
    assert len(tshark(file, "-Y", 'http.request.uri == "/again"')) >= 2  # the uplink, docker0, the container's port
    found = snapshots(file)
    assert "DNAT" in found["stop", "ruleset", "root"]["iptables"]["ip"]


def fetched(lab: DockerLab) -> str:
    """What the other node gets from the published port."""
    fetch = ["wget", "-q", "-O", "-", "http://192.168.77.1:8080/again"]
    return lab.in_container("web2", fetch, check=False, timeout_s=10.0).stdout


def restart(lab: DockerLab, name: str) -> None:
    """Kill the engine of a node and all it runs, start it again, and its container."""
    node = lab.nodes[name]
    options = lab._engine_options(node, str(find_program("dockerd", "docker.io")), None)
    pid = int((options.run_directory / "docker.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: pid not in {process.pid for process in running_processes()}, 30.0, "the engine has ended")
    process = start_engine(options)
    LabState.load(lab.prefix).add_process(process)
    engine = wait_for_engine(options, process)
    engine._request("POST", f"/containers/{node.container}/start")
