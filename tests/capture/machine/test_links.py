"""Interfaces as rtnetlink lists them."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from ttrace.capture import snapshots
from ttrace.capture.machine import rtnetlink
from ttrace.capture.machine.links import (
    read_addresses,
    read_links,
    read_neighbours,
    read_other_macs,
    routing,
)
from ttrace.capture.machine.netns import open_netns
from ttrace.capture.machine.nsids import namespace_ids
from ttrace.capture.machine.routes import read_routes

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


@pytest.mark.fault(
    "hostile containers",
    "a container with more routes than anybody needs",
    "20,000 of them are recorded, with a warning",
)
def test_a_list_without_end_is_read_in_part(parent, monkeypatch):
    monkeypatch.setattr(rtnetlink, "MOST", 500)
    monkeypatch.setattr(snapshots, "MOST", 500)
    batch = "".join(f"route add blackhole 11.0.{number >> 8}.{number & 255}/32\n" for number in range(3000))
    subprocess.run(["ip", "-n", parent, "-batch", "-"], input=batch, text=True, check=True)
    netns = open_netns(parent)
    warnings = []
    taken = {snapshot.kind: snapshot.data for snapshot in snapshots._network(netns, [], warnings)}
    netns.close()
    assert warnings == [f"{netns.description}: of its routes the first 500 are recorded"]
    assert 500 <= len(taken["routes"]) < 3000
    # What is asked after that has its own answer.
    assert {link["name"] for link in taken["links"]} == {"lo", "eth0", "wire"}
    assert taken["neighbours"] == [] or all("mac" in entry for entry in taken["neighbours"])


def test_lists_say_what_ip_says(parent):
    ip("-n", parent, "addr", "add", "10.3.3.1/24", "dev", "eth0")
    ip("-n", parent, "addr", "add", "10.5.5.1", "peer", "10.5.5.2", "dev", "eth0")
    ip("-n", parent, "route", "add", "10.9.0.0/16", "via", "10.3.3.7", "table", "300")
    ip("-n", parent, "neigh", "add", "10.3.3.7", "lladdr", "02:00:00:00:00:01", "dev", "eth0")
    netns, child = open_netns(parent), open_netns(CHILD)
    with routing(child) as route:
        labels = namespace_ids(child, [netns, child])
        assert [link.peer_netns for link in read_links(route, labels=labels) if link.name == "child"] == [parent]
    with routing(netns) as route:
        links = {link.index: link for link in read_links(route)}
        listed = json.loads(ip("-n", parent, "-j", "-d", "link"))
        assert {index: (link.name, link.mac, link.mtu) for index, link in links.items()} == {
            one["ifindex"]: (one["ifname"], one["address"], one["mtu"]) for one in listed
        }
        assert {"index": by_name(links, "eth0"), "address": "10.5.5.1", "prefix": 32} in read_addresses(route)
        assert {
            "family": 2, "destination": "10.9.0.0", "prefix": 16, "gateway": "10.3.3.7",
            "index": by_name(links, "eth0"), "table": 300, "type": "unicast", "protocol": "boot",
        } in read_routes(route)  # fmt: skip
        assert {
            "index": by_name(links, "eth0"), "address": "10.3.3.7", "mac": "02:00:00:00:00:01", "state": "permanent"
        } in read_neighbours(route)  # fmt: skip
    for one in (netns, child):
        one.close()


def by_name(links, name: str) -> int:
    return next(index for index, link in links.items() if link.name == name)
