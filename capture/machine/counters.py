"""What the kernel counts in a network namespace, and on the whole node; what is 0 is left out (docs/file-format.md).

Sources: net/ipv4/proc.c, net/ipv6/proc.c, net/netfilter/nf_conntrack_standalone.c, softnet_seq_show of
net/core/net-procfs.c.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from .netns import Netns, plain_text
from .route_messages import Message

Counts = dict[str, int]

_NET: Final = "/proc/thread-self/net"
"""Not /proc/net: that is the namespace of the main thread."""
_MOST_BYTES: Final = 1 << 20
_SOFTNET: Final = ("processed", "dropped", "time_squeeze")
_LINK: Final = (
    "rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped", "collisions", "rx_over_errors",
    "rx_crc_errors", "rx_fifo_errors", "rx_missed_errors", "tx_carrier_errors", "tx_fifo_errors",
)  # fmt: skip


def read_counters(netns: Netns, links: list[Message]) -> dict[str, object]:
    """As `counters` of docs/file-format.md; `links`: of `Routing`. What cannot be read is not there."""
    found: dict[str, object] = {}
    with netns.entered():
        for name, read in (("snmp", _in_two_lines), ("netstat", _in_two_lines), ("snmp6", _line_by_line)):
            with suppress(OSError, ValueError):
                found[name] = read(_text(name))
        with suppress(OSError, ValueError):
            found["conntrack"] = _of_each_cpu(_text("stat/nf_conntrack"))
    found["links"] = _of_links(links)
    return found


def read_node_counters() -> dict[str, object]:
    """The same of the whole node: how the kernel's receive queues fare."""
    with suppress(OSError, ValueError):
        rows = [[int(word, 16) for word in line.split()[:3]] for line in _text("softnet_stat").splitlines()]
        return {"softnet": {name: sum(row[i] for row in rows) for i, name in enumerate(_SOFTNET)}}
    return {}


def _text(name: str) -> str:
    with Path(_NET, name).open() as file:
        return file.read(_MOST_BYTES)


def _in_two_lines(text: str) -> Counts:
    """`Tcp: InSegs OutSegs`, then `Tcp: 5 7`: named as nstat does (`TcpInSegs`)."""
    lines = text.splitlines()
    found: Counts = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        group, *words = names.split()
        numbers = map(int, values.split()[1:])
        found |= {group.rstrip(":") + word: number for word, number in zip(words, numbers, strict=False) if number}
    return found


def _line_by_line(text: str) -> Counts:
    words = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and int(pair[1])}


def _of_each_cpu(text: str) -> Counts:
    """Names, then a line of hexadecimal numbers for each CPU; `entries` is the same in each."""
    head, *lines = text.splitlines()
    rows = [[int(word, 16) for word in line.split()] for line in lines]
    sums = {name: sum(row[i] for row in rows) for i, name in enumerate(head.split())}
    if rows:
        sums["entries"] = rows[0][0]
    return {name: number for name, number in sums.items() if number}


def _of_links(links: list[Message]) -> dict[str, Counts]:
    found: dict[str, Counts] = {}
    for link in links:
        name = link.get_attr("IFLA_IFNAME")
        counts = link.get_attr("IFLA_STATS64") or link.get_attr("IFLA_STATS") or {}
        text = plain_text(name.rstrip(b"\0") if isinstance(name, bytes) else name.encode())
        found[text] = {one: counts[one] for one in _LINK if counts.get(one)}
    return found
