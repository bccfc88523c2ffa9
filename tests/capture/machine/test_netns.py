"""Network namespaces and their labels."""

import os
import subprocess
from pathlib import Path

import pytest

from ttrace.capture.machine.netns import open_container_netns, open_netns, own_netns


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
