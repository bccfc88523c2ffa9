"""What happens in a lab while it is recorded: the scenes of the demo and of pcaps/."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .base import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Traffic with a known truth."""

    name: str
    title: str
    act: Callable[[Lab], None]
    truth: tuple[str, ...]
    """What is true of a recording of it, in sentences."""


def _http(lab: Lab) -> None:
    lab.in_container("web1", ["wget", "-qO-", f"http://{lab.nodes['slave'].address}:8080/mark/http"])


def _http_reverse(lab: Lab) -> None:
    lab.in_container("web2", ["wget", "-qO-", f"http://{lab.nodes['master'].address}:8080/mark/http-reverse"])


def _both_ways(lab: Lab) -> None:
    _http(lab)
    _http_reverse(lab)


def _ping(lab: Lab) -> None:
    lab.in_container("web1", ["ping", "-c", "3", "-i", "0.2", lab.nodes["slave"].address])


def _udp(lab: Lab) -> None:
    lab.in_container("web1", ["udp-exchange", lab.nodes["slave"].address, "9000", "3"])


def _dropped(lab: Lab) -> None:
    rule = ["DOCKER-USER", "-s", f"{lab.nodes['master'].address}/32", "-p", "tcp", "--dport", "80", "-j", "DROP"]
    lab.command("slave", ["iptables", "-I", *rule])
    try:
        url = f"http://{lab.nodes['slave'].address}:8080/mark/dropped"
        lab.in_container("web1", ["timeout", "2.5", "wget", "-qO-", url], check=False)
    finally:
        lab.command("slave", ["iptables", "-D", *rule])


def _masquerade(node: str, subnet: str, old: str, new: str) -> str:
    return f"On {node} the rule `-s {subnet} ! -o docker0 -j MASQUERADE` of POSTROUTING turns source {old} into {new}."


def _dnat(node: str, protocol: str, old: str, port: int, new: str) -> str:
    rule = f"! -i docker0 -p {protocol} -m {protocol} --dport {port} -j DNAT --to-destination {new}"
    return f"On {node} the rule `{rule}` of DOCKER turns destination {old}:{port} into {new}."


_OUT_OF_MASTER: Final = _masquerade("master", "172.17.0.0/24", "172.17.0.2", "192.168.77.1")
_ALL_ARRIVE: Final = ("Every reply has both undone.", "Every TCP packet arrives.")

SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene(
            name="http",
            title="web1 on master fetches a page of web2 on slave through published port 8080",
            act=_http,
            truth=(_OUT_OF_MASTER, _dnat("slave", "tcp", "192.168.77.2", 8080, "172.18.0.2:80"), *_ALL_ARRIVE),
        ),
        Scene(
            name="http-reverse",
            title="web2 on slave fetches a page of web1 on master through published port 8080",
            act=_http_reverse,
            truth=(
                _masquerade("slave", "172.18.0.0/24", "172.18.0.2", "192.168.77.2"),
                _dnat("master", "tcp", "192.168.77.1", 8080, "172.17.0.2:80"),
                *_ALL_ARRIVE,
            ),
        ),
        Scene(
            name="ping",
            title="web1 on master pings slave three times",
            act=_ping,
            truth=(
                _OUT_OF_MASTER,
                "Slave itself answers: the requests end in its INPUT hook, the replies begin in its OUTPUT hook.",
                "Master turns the destination of every reply back into 172.17.0.2.",
                "There are three requests and three replies, and all arrive.",
            ),
        ),
        Scene(
            name="udp",
            title="web1 on master exchanges three datagrams with the UDP echo of web2 through published port 9000",
            act=_udp,
            truth=(
                _OUT_OF_MASTER,
                _dnat("slave", "udp", "192.168.77.2", 9000, "172.18.0.2:9000"),
                "Three datagrams go, three come back with both undone.",
            ),
        ),
        Scene(
            name="dropped",
            title="a rule in DOCKER-USER on slave drops the connection of web1",
            act=_dropped,
            truth=(
                "DOCKER-USER rule 1, `-s 192.168.77.1/32 -p tcp -m tcp --dport 80 -j DROP`, drops every SYN on slave.",
                "That is behind the DNAT of 192.168.77.2:8080 to 172.18.0.2:80.",
                "The SYN and its retransmissions are the only TCP packets.",
            ),
        ),
        Scene(
            name="demo",
            title="a request each way: web1 to slave:8080, then web2 to master:8080",
            act=_both_ways,
            truth=("It is http, then http-reverse.",),
        ),
    )
}


def versions(lab: Lab) -> str:
    """The programs a recording was made with, for its description."""
    found = []
    for argv in (["uname", "-sr"], ["dockerd", "--version"], ["iptables", "--version"], ["nft", "--version"]):
        done: subprocess.CompletedProcess[str] = lab.command("master", argv, check=False)
        found.append(done.stdout.strip().splitlines()[0] if done.stdout.strip() else f"no {argv[0]}")
    return "; ".join(found)
