"""Whose a socket is."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ttrace.capture.machine import owners
from ttrace.capture.machine.owners import Owner, Owners

NAME = Path("/proc/self/comm").read_text().strip()


def inode_of(one: socket.socket) -> int:
    return os.fstat(one.fileno()).st_ino


@pytest.fixture(autouse=True)
def enough_time(monkeypatch):
    monkeypatch.setattr(owners, "_MOST_S", 60.0)


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_of_several_that_have_it_open_the_first_process_is_named(listening):
    listening.set_inheritable(True)
    script = f"import os; os.dup({listening.fileno()}); print(flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", script], pass_fds=[listening.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        child.stdout.readline()
        known = Owners({})
        assert known.look_for([inode_of(listening)])
        child.communicate(b"\n")
    first = min(os.getpid(), child.pid)  # the kernel begins anew with small numbers when they are used up
    assert known.of(inode_of(listening)) == Owner(first, NAME, None)


def test_what_was_found_stays_known_and_what_was_not_is_not_looked_for_again(listening, monkeypatch):
    known = Owners({})
    assert known.look_for([inode_of(listening), 1])
    monkeypatch.setattr(owners, "_processes", lambda: pytest.fail("looked again"))
    assert known.look_for([inode_of(listening), 1])
    assert known.of(1) is None


@pytest.mark.fault("capture", "more processes than can be looked at in time", "owners are left out, with a warning")
def test_it_ends_when_its_time_is_over(listening, monkeypatch):
    monkeypatch.setattr(owners, "_MOST_S", -1.0)
    known = Owners({})
    assert not known.look_for([inode_of(listening)])
    assert known.of(inode_of(listening)) is None


@pytest.mark.parametrize(
    ("cgroup", "container"),
    [
        ("0::/system.slice/docker-{id}.scope\n", "web1"),
        ("12:pids:/docker/{id}\n0::/system.slice/docker.service\n", "web1"),
        ("0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-{other}.scope\n", "cdcdcdcdcdcd"),
        ("0::/../{id}/init\n", "web1"),
        ("0::/user.slice/user-1000.slice/session-1.scope\n", None),
    ],
)
def test_the_container_is_known_by_the_cgroup(listening, monkeypatch, cgroup, container):
    text = owners._text
    made = cgroup.format(id="ab" * 32, other="cd" * 32)
    monkeypatch.setattr(owners, "_text", lambda pid, name: made if name == "cgroup" else text(pid, name))
    known = Owners({"ab" * 32: "web1"})
    assert known.look_for([inode_of(listening)])
    assert known.of(inode_of(listening)) == Owner(os.getpid(), NAME, container)
