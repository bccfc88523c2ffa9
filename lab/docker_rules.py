"""The iptables rules that Docker writes for its default bridge, as input for iptables-restore."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of a container that the node answers on, as `docker run -p` makes it."""

    protocol: str
    """`tcp` or `udp`."""
    node_port: int
    container_address: str
    container_port: int


def docker_rules(subnet: str, ports: Iterable[PublishedPort]) -> str:
    """The nat and filter tables that Docker 20.10 with its userland proxy makes for docker0 with this subnet."""
    published = list(ports)
    return "\n".join([*_nat_table(subnet, published), *_filter_table(published), ""])


def _nat_table(subnet: str, ports: list[PublishedPort]) -> list[str]:
    return [
        "*nat",
        ":PREROUTING ACCEPT [0:0]",
        ":INPUT ACCEPT [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        ":POSTROUTING ACCEPT [0:0]",
        ":DOCKER - [0:0]",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
        f"-A POSTROUTING -s {subnet} ! -o docker0 -j MASQUERADE",
        *(
            f"-A POSTROUTING -s {port.container_address}/32 -d {port.container_address}/32 "
            f"-p {port.protocol} -m {port.protocol} --dport {port.container_port} -j MASQUERADE"
            for port in ports
        ),
        "-A DOCKER -i docker0 -j RETURN",
        *(
            f"-A DOCKER ! -i docker0 -p {port.protocol} -m {port.protocol} --dport {port.node_port} "
            f"-j DNAT --to-destination {port.container_address}:{port.container_port}"
            for port in ports
        ),
        "COMMIT",
    ]


def _filter_table(ports: list[PublishedPort]) -> list[str]:
    return [
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD DROP [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        ":DOCKER - [0:0]",
        ":DOCKER-ISOLATION-STAGE-1 - [0:0]",
        ":DOCKER-ISOLATION-STAGE-2 - [0:0]",
        ":DOCKER-USER - [0:0]",
        "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
        "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -o docker0 -j DOCKER",
        "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
        "-A FORWARD -i docker0 -o docker0 -j ACCEPT",
        *(
            f"-A DOCKER -d {port.container_address}/32 ! -i docker0 -o docker0 "
            f"-p {port.protocol} -m {port.protocol} --dport {port.container_port} -j ACCEPT"
            for port in ports
        ),
        "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2",
        "-A DOCKER-ISOLATION-STAGE-1 -j RETURN",
        "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP",
        "-A DOCKER-ISOLATION-STAGE-2 -j RETURN",
        "-A DOCKER-USER -j RETURN",
        "COMMIT",
    ]
