"""Containers as Docker tells of them."""

import subprocess

import pytest

from ttrace.capture.machine import containers
from ttrace.errors import TtraceError


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


def test_a_daemon_that_is_not_local_is_refused(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    with pytest.raises(TtraceError, match="only a local daemon"):
        containers.running_containers()
