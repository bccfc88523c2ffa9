"""Links, addresses and neighbours are what `ip` of iproute2 says: another program that asks the same kernel."""

import json
import os
import subprocess

import pytest

from ttrace.capture.machine.counters import read_counters
from ttrace.capture.machine.link_settings import link_settings
from ttrace.capture.machine.links import (
    ARPHRD_ETHER,
    read_addresses,
    read_links,
    read_neighbours,
    read_other_macs,
    routing,
)
from ttrace.capture.machine.netns import open_netns

NAME = f"ttroute{os.getpid()}"
SET_UP = """
link add br0 type bridge stp_state 1
link add port0 type veth peer name in0
link set port0 master br0
link set port0 type bridge_slave hairpin on isolated on learning off
link add vx0 type vxlan id 7 local 10.1.0.1 remote 10.1.0.2 dstport 4790 nolearning ttl 9
link add mac0 link in0 type macvlan mode bridge
link add ghost type veth peer name other
link set ghost mtu 1400 group 5
link set lo up
link set br0 up
link set port0 up
link set in0 up
link set mac0 up
addr add 10.1.0.1/24 dev br0
addr add 10.3.0.1 peer 10.3.0.2/32 dev in0
addr add fd00::1/64 dev br0 nodad
neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 dev br0 nud permanent
neigh add fd00::9 lladdr 02:00:00:00:00:0a dev br0 nud stale
"""


def ip(*arguments: str) -> list[dict]:
    done = subprocess.run(["ip", "-n", NAME, "-json", "-details", *arguments], capture_output=True, check=True)
    return json.loads(done.stdout or "[]")


@pytest.fixture(scope="module")
def netns():
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    try:
        subprocess.run(["ip", "-n", NAME, "-batch", "-"], input=SET_UP, text=True, check=True)
        opened = open_netns(NAME)
        yield opened
        opened.close()
    finally:
        subprocess.run(["ip", "netns", "del", NAME], check=True)


def test_links_are_those_of_ip(netns):
    with routing(netns) as route:
        found = {link.index: link for link in read_links(route)}
    told = {one["ifindex"]: one for one in ip("link")}
    assert found.keys() == told.keys()
    for index, one in told.items():
        link = found[index]
        assert (link.name, link.mtu, link.up) == (one["ifname"], one["mtu"], "UP" in one["flags"])
        assert link.kind == one.get("linkinfo", {}).get("info_kind")
        assert link.mac == (one["address"] if link.hardware_type == ARPHRD_ETHER or link.is_loopback else None)
        assert link.master == next((i for i, other in told.items() if other["ifname"] == one.get("master")), None)
        assert link.peer_index == next((i for i, other in told.items() if other["ifname"] == one.get("link")), None)
        assert link.longest_bytes >= one["gso_max_size"] + 128


def test_settings_of_links_are_those_of_ip(netns):
    with routing(netns) as route:
        found = {message["index"]: link_settings(message) for message in route.links()}
    for one in ip("link"):
        settings = found[one["ifindex"]]
        assert settings.get("operstate") == one["operstate"]
        assert settings.get("qdisc") == one["qdisc"]
        assert settings.get("group", 0) == {"default": 0}.get(one["group"], one["group"] if one["group"] != "5" else 5)
    by_name = {one["ifname"]: (one, found[one["ifindex"]]) for one in ip("link")}
    one, settings = by_name["port0"]
    port = one["linkinfo"]["info_slave_data"]
    assert settings["port"]["hairpin"] == port["hairpin"] == True  # noqa: E712 - 1 and True
    assert settings["port"]["isolated"] == port["isolated"] == True  # noqa: E712
    assert settings["port"]["learning"] == port["learning"] == False  # noqa: E712
    one, settings = by_name["br0"]
    data = one["linkinfo"]["info_data"]
    assert settings["bridge"]["stp"] == data["stp_state"] == 1
    assert settings["bridge"]["mcast_snooping"] == data["mcast_snooping"]
    one, settings = by_name["vx0"]
    data = one["linkinfo"]["info_data"]
    assert settings["tunnel"]["id"] == data["id"] == 7
    assert (settings["tunnel"]["local"], settings["tunnel"]["remote"]) == (data["local"], data["remote"])
    assert settings["tunnel"]["port"] == data["port"] == 4790
    assert (settings["tunnel"]["ttl"], settings["tunnel"]["learning"]) == (9, 0)


def test_addresses_are_those_of_ip(netns):
    with routing(netns) as route:
        found = {(one["index"], one["address"], one["prefix"]) for one in read_addresses(route)}
    told = {(one["ifindex"], each["local"], each["prefixlen"]) for one in ip("addr") for each in one["addr_info"]}
    assert found == told
    assert any(address == "10.3.0.1" for _, address, _ in found)  # ours, and not the peer's


def test_neighbours_are_those_of_ip(netns):
    names = {one["ifname"]: one["ifindex"] for one in ip("link")}
    with routing(netns) as route:
        found = {(one["index"], one["address"], one["mac"]): one["state"] for one in read_neighbours(route)}
    for one in ip("neigh"):
        assert found[names[one["dev"]], one["dst"], one["lladdr"]].upper() in one["state"]
    assert found[names["br0"], "fd00::9", "02:00:00:00:00:0a"] == "stale"


def test_other_addresses_of_an_interface_are_those_of_its_children(netns):
    told = {one["ifname"]: one for one in ip("link")}
    with routing(netns) as route:
        found = read_other_macs(route, read_links(route))
    assert told["mac0"]["address"] in found[told["in0"]["ifindex"]]


def test_counters_of_links_are_those_of_ip(netns):
    subprocess.run(
        ["ip", "netns", "exec", NAME, "ping", "-qc2", "-i0.01", "127.0.0.1"], check=True, capture_output=True
    )
    with routing(netns) as route:
        found = read_counters(netns, route.links())["links"]
    (told,) = ip("-statistics", "link", "show", "dev", "lo")
    assert found["lo"]["rx_packets"] == told["stats64"]["rx"]["packets"] > 0
    assert found["lo"]["tx_packets"] == told["stats64"]["tx"]["packets"]
