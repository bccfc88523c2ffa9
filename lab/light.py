"""The same topology as DockerLab without Docker: it is up in a fraction of a second."""

import hashlib
import ipaddress
import os
import sys
from functools import partial
from pathlib import Path

from .base import Lab
from .docker_rules import PublishedPort, docker_rules
from .namespace import add_namespace, inside, ip_batch, netns_path, set_sysctl
from .node import ECHO_PORT, HTTP_PORT, PUBLISHED_HTTP_PORT, Container, Node, lay_out_nodes
from .process import listens, run, start_detached
from .state import LabState, run_directory
from .waiting import wait_until


class LightLab(Lab):
    """Two nodes and their containers as network namespaces, with the links and rules that Docker would make.

    Containers: web1 on master and web2 on slave, as in DockerLab; with `extra_containers` also web1b and web2b, which
    publish 8081 and 9001. They serve HTTP on port 80 (published as 8080) and echo UDP (published) and TCP on port
    9000. A command in a container sees the files and processes of this machine: only the network is its own.

    `iptables` is the program that writes the rules: `iptables-nft`, `iptables-legacy`, or None for no rules, so no
    published ports. `overlapping` gives both nodes the subnet 172.17.0.0/16; `bridge_nf` is
    net.bridge.bridge-nf-call-iptables of both nodes.
    """

    kind = "light"

    def __init__(
        self,
        prefix: str = "ttlight",
        *,
        iptables: str | None = "iptables-nft",
        extra_containers: bool = False,
        overlapping: bool = False,
        bridge_nf: bool = True,
    ) -> None:
        options = {
            "iptables": iptables,
            "extra_containers": extra_containers,
            "overlapping": overlapping,
            "bridge_nf": bridge_nf,
        }
        super().__init__(prefix, lay_out_nodes(prefix, overlapping=overlapping), options)

    def _namespaces(self) -> list[str]:
        containers = [name for node in self.nodes.values() for name in self._container_addresses(node)]
        return [*super()._namespaces(), *(self._container_netns(name) for name in containers)]

    def _container_netns(self, container: str) -> str:
        return f"{self.prefix}-{container}"

    def _container_addresses(self, node: Node) -> dict[str, str]:
        """Name and address of the containers of a node, in the order of their published ports."""
        addresses = {node.container: node.container_address}
        if self._options["extra_containers"]:
            addresses[f"{node.container}b"] = str(ipaddress.ip_address(node.container_address) + 1)
        return addresses

    def _bring_up(self, state: LabState) -> None:
        self._add_nodes(bridge_nf=self._options["bridge_nf"])
        pids = {}
        for node in self.nodes.values():
            self._add_bridge(node)
            for name, address in self._container_addresses(node).items():
                self._add_container(node, name, address)
                pids[name] = self._start_servers(state, node, name, address)
            self._write_rules(node)
        for name, pid in pids.items():
            for protocol, port in (("tcp", HTTP_PORT), ("tcp", ECHO_PORT), ("udp", ECHO_PORT)):
                wait_until(partial(listens, pid, protocol, port), 10.0, f"`{name}` listens on {protocol} port {port}")

    def _add_bridge(self, node: Node) -> None:
        commands = ["link add docker0 type bridge", f"address add {node.bridge_address} dev docker0"]
        ip_batch(node.netns, [*commands, "link set docker0 up"])
        set_sysctl(node.netns_path, "net/ipv4/ip_forward", 1)

    def _add_container(self, node: Node, name: str, address: str) -> None:
        netns = self._container_netns(name)
        add_namespace(netns)
        veth = f"veth{hashlib.sha256(netns.encode()).hexdigest()[:7]}"
        # Docker derives the MAC address of a container from its IPv4 address.
        mac = "02:42:" + ipaddress.IPv4Address(address).packed.hex(":")
        ip_batch(
            node.netns,
            [
                f"link add {veth} type veth peer name eth0 address {mac} netns {netns}",
                f"link set {veth} master docker0 up",
            ],
        )
        bridge = ipaddress.ip_interface(node.bridge_address)
        ip_batch(
            netns,
            [
                f"address add {address}/{bridge.network.prefixlen} dev eth0",
                "link set eth0 up",
                f"route add default via {bridge.ip}",
            ],
        )

    def _start_servers(self, state: LabState, node: Node, name: str, address: str) -> int:
        path = netns_path(self._container_netns(name))
        program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("servers.py")), name]
        log = run_directory(self.prefix) / f"{name}.log"
        process = start_detached([*inside(path), *program], log, os.environ)
        state.add_process(process)
        state.add_container(Container(name, node.name, address, path, process.pid))
        return process.pid

    def _write_rules(self, node: Node) -> None:
        iptables = self._options["iptables"]
        if iptables is None:
            return
        ports = [
            port
            for offset, address in enumerate(self._container_addresses(node).values())
            for port in (
                PublishedPort("tcp", PUBLISHED_HTTP_PORT + offset, address, HTTP_PORT),
                PublishedPort("udp", ECHO_PORT + offset, address, ECHO_PORT),
            )
        ]
        subnet = str(ipaddress.ip_interface(node.bridge_address).network)
        run([*inside(node.netns_path), f"{iptables}-restore", "--wait"], stdin_text=docker_rules(subnet, ports))

    def _inside_container(self, container: Container, *, own_pids: bool) -> list[str]:  # noqa: ARG002 - no pids of its own
        return inside(container.netns_path)

    def _container_environment(self) -> dict[str, str]:
        return dict(os.environ)
