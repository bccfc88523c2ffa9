"""Two nodes with two containers each, on one machine: the places of all scenes.

    c1, c2 - docker0 - [a] - eth0 ===== eth0 - [b] - docker0 - s1, s2

Containers have the addresses .2 and .3 of their node's bridge, 172.17.0.1/24 on a and 172.18.0.1/24 on b (fd17::1/64,
fd18::1/64). The nodes are 192.168.77.1 and .2 (fd77::1, fd77::2). The far end of a container's eth0 is called v1, v2.

With a node in the middle, m, a is next to its eth0, 192.168.77.3 (fd77::3), and b to its eth1, 192.168.78.3 (fd78::3);
b is 192.168.78.2 (fd78::2).
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from ttrace.lab import DockerLab
from ttrace.lab.namespace import (
    NETNS_DIRECTORY,
    add_namespace,
    add_wire,
    delete_namespaces,
    inside,
    ip_batch,
    netns_path,
    set_sysctl,
)
from ttrace.lab.process import run

HERE = Path(__file__).parent
PREFIX = f"ttruth{os.getpid()}"
"""Several benches may run at the same time."""
PLACES = ("a", "m", "b", "c1", "c2", "s1", "s2")
NODES = {"a": ("17", "1", ("c1", "c2")), "b": ("18", "2", ("s1", "s2"))}
"""Subnet of docker0, number of the node's own address, containers."""
PYTHON = [sys.executable, "-I", "-S"]


def _remove_left_behind():
    """The namespaces of a bench that was killed."""
    for path in NETNS_DIRECTORY.glob("ttruth*-*"):
        pid = path.name.removeprefix("ttruth").partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            delete_namespaces([path.name])


class Network:
    """A context manager; everything is gone afterwards."""

    def __init__(self, *, wire=None, log=None, bridge_nf=True, middle=False, same_addresses=False):
        """`same_addresses`: docker0 of b has the addresses of that of a, Docker's default."""
        self._wire, self._log, self._bridge_nf, self._middle = wire, log, bridge_nf, middle
        self._nodes = NODES | ({"b": ("17", *NODES["b"][1:])} if same_addresses else {})
        self._links = {"a": "77", "b": "78" if middle else "77"}
        self._running = []
        self._carrier = None

    def path(self, place):
        return netns_path(f"{PREFIX}-{place}")

    def __enter__(self):
        _remove_left_behind()
        try:
            self._bring_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.end_wire()
        for process in self._running:
            process.kill()
            process.communicate()
        delete_namespaces(f"{PREFIX}-{place}" for place in PLACES)

    def _bring_up(self):
        """Make everything."""
        for place in PLACES:
            if place == "m" and not self._middle:
                continue
            add_namespace(f"{PREFIX}-{place}")
            # Else the first packet of a case waits two seconds for the routers' link-local addresses.
            set_sysctl(self.path(place), "net/ipv6/conf/default/accept_dad", 0)
        if self._middle:
            self._add_middle()
        elif self._wire is None:
            add_wire(f"{PREFIX}-a", f"{PREFIX}-b")
        else:
            words = [str(HERE / "wire.py"), self.path("a"), self.path("b"), str(self._log), self._wire.arguments()]
            self._carrier = self.start(None, [*PYTHON, *words])
        for node, (subnet, number, containers) in self._nodes.items():
            link = self._links[node]
            commands = ["link add docker0 type bridge mcast_snooping 0", f"address add 172.{subnet}.0.1/24 dev docker0"]
            commands += [f"address add fd{subnet}::1/64 dev docker0 nodad"]
            commands += [f"address add 192.168.{link}.{number}/24 dev eth0"]
            commands += [f"address add fd{link}::{number}/64 dev eth0 nodad", "link set docker0 up", "link set eth0 up"]
            ip_batch(f"{PREFIX}-{node}", commands)
            self._forward(node)
            set_sysctl(self.path(node), "net/bridge/bridge-nf-call-iptables", int(self._bridge_nf))
            for index, container in enumerate(containers, 1):
                self._add_container(node, container, index, subnet)
        for node, other in (("a", "b"), ("b", "a")):
            subnet, number, _ = self._nodes[other]
            link = self._links[node]
            if self._middle:
                routes = [f"route add default via 192.168.{link}.3", f"route add default via fd{link}::3"]
                ip_batch(f"{PREFIX}-{node}", routes)
            elif subnet != self._nodes[node][0]:
                self._add_route(node, subnet, link, number)

    def _add_middle(self):
        netns = f"{PREFIX}-m"
        ends = (("eth0", "a", "77"), ("eth1", "b", "78"))
        for interface, node, link in ends:
            ip_batch(None, [f"link add {interface} netns {netns} type veth peer name eth0 netns {PREFIX}-{node}"])
            commands = [f"address add 192.168.{link}.3/24 dev {interface}", f"link set {interface} up"]
            ip_batch(netns, [*commands, f"address add fd{link}::3/64 dev {interface} nodad"])
        self._forward("m")
        for _, node, link in ends:
            subnet, number, _ = self._nodes[node]
            self._add_route("m", subnet, link, number)

    def _forward(self, node):
        for sysctl in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            set_sysctl(self.path(node), sysctl, 1)

    def _add_route(self, node, subnet, link, number):
        """To a node's containers."""
        routes = [f"route add 172.{subnet}.0.0/24 via 192.168.{link}.{number}"]
        ip_batch(f"{PREFIX}-{node}", [*routes, f"route add fd{subnet}::/64 via fd{link}::{number}"])

    def _add_container(self, node, name, index, subnet):
        netns = f"{PREFIX}-{name}"
        ip_batch(
            f"{PREFIX}-{node}",
            [f"link add v{index} type veth peer name eth0 netns {netns}", f"link set v{index} master docker0 up"],
        )
        commands = [f"address add 172.{subnet}.0.{index + 1}/24 dev eth0", "link set eth0 up"]
        commands += [f"address add fd{subnet}::{index + 1}/64 dev eth0 nodad"]
        commands += [f"route add default via 172.{subnet}.0.1", f"route add default via fd{subnet}::1"]
        ip_batch(netns, commands)

    def do(self, place, command):
        """Run a command line in a namespace."""
        return run([*inside(self.path(place)), *shlex.split(command)])

    def start(self, place, argv):
        """Start a process and wait until it says that it is ready."""
        where = [] if place is None else inside(self.path(place))
        process = subprocess.Popen([*where, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._running.append(process)
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        return process

    def serve(self, place):
        self.start(place, [*PYTHON, str(HERE / "marks.py"), "serve"])

    def tunnel(self, kind):
        """A device `tn0` on both nodes, see tunnel.py."""
        for node, local, remote in (("a", "1", "2"), ("b", "2", "1")):
            ends = [f"192.168.77.{number}" for number in (local, remote)]
            self.start(node, [*PYTHON, str(HERE / "tunnel.py"), kind, *ends])

    def send(self, jobs):
        """Run the jobs of all places at the same time, to their ends."""
        clients = [
            subprocess.Popen([*inside(self.path(place)), *PYTHON, str(HERE / "marks.py"), "send", json.dumps(of_place)])
            for place, of_place in jobs.items()
        ]
        for client in clients:
            assert client.wait(timeout=60) == 0

    def end_wire(self):
        """The wire writes its log and ends."""
        if self._carrier is not None:
            self._carrier.terminate()
            assert self._carrier.wait(timeout=20) == 0, self._carrier.stderr.read()
            self._carrier = None


class DockerNetwork(Network):
    """Two real Docker engines: a and b are the lab's nodes, c1 and s1 its containers."""

    def _bring_up(self):
        self._lab = DockerLab(PREFIX).up()

    def __exit__(self, *_):
        self._lab.down()

    def path(self, place):
        nodes, containers = {"a": "master", "b": "slave"}, {"c1": "web1", "s1": "web2"}
        if place in nodes:
            return self._lab.nodes[nodes[place]].netns_path
        return f"/proc/{self._lab.container_pid(containers[place])}/ns/net"
