"""Interfaces as rtnetlink lists them."""

import subprocess
from collections.abc import Iterator

import pytest

from ttrace.capture.machine.links import read_links, read_other_macs, routing
from ttrace.capture.machine.netns import open_netns

PARENT, CHILD = "ttlinks-a", "ttlinks-b"


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def parent() -> Iterator[str]:
    """A namespace with `eth0`, a macvlan child of which is in another namespace."""
    try:
        for name in (PARENT, CHILD):
            ip("netns", "add", name)
        ip("-n", PARENT, "link", "add", "eth0", "type", "veth", "peer", "name", "wire")
        ip("-n", PARENT, "link", "add", "child", "link", "eth0", "type", "macvlan", "mode", "bridge")
        ip("-n", PARENT, "link", "set", "child", "address", "02:00:00:00:00:17", "netns", CHILD)
        for name, link in ((PARENT, "wire"), (PARENT, "eth0"), (CHILD, "child")):
            ip("-n", name, "link", "set", link, "up")
        yield PARENT
    finally:
        for name in (PARENT, CHILD):
            subprocess.run(["ip", "netns", "del", name], check=False)


def test_the_parent_of_a_macvlan_device_takes_frames_for_it(parent):
    netns = open_netns(parent)
    with routing(netns) as route:
        links = read_links(route)
        others = read_other_macs(route, links)
    netns.close()
    eth0 = next(link.index for link in links if link.name == "eth0")
    assert others == {eth0: ["02:00:00:00:00:17"]}
