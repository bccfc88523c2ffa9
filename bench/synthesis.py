"""Large captures of a known size: TCP connections from a container through MASQUERADE on one node and DNAT on the
other.

Made with NumPy in the format of `ttrace capture` (docs/file-format.md), with the conntrack messages that the kernels
would have sent, and with trace events of every tenth packet (traced.py) or without. For measurements only: tests use
recorded traffic.
"""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import interface_description, section_header

from .traced import messages_per_connection, trace_blocks

_HEADERS: Final = 54  # 14 Ethernet, 20 IPv4, 20 TCP
_SMALL: Final = 100
"""Bytes of payload, unless told otherwise."""


_PIECE: Final = 25_000
"""Connections that are made at a time, where there are many."""


@cache
def _block_type(payload: int) -> np.dtype:
    """An enhanced packet block with so many bytes of payload."""
    padding = -(_HEADERS + payload) % 4
    return np.dtype(
        [
            ("type", "<u4"),
            ("length", "<u4"),
            ("interface", "<u4"),
            ("high", "<u4"),
            ("low", "<u4"),
            ("captured", "<u4"),
            ("original", "<u4"),
            ("ethernet", "S12"),
            ("ethertype", ">u2"),
            ("version", "u1"),
            ("tos", "u1"),
            ("ip_length", ">u2"),
            ("ip_id", ">u2"),
            ("fragment", ">u2"),
            ("ttl", "u1"),
            ("protocol", "u1"),
            ("ip_checksum", ">u2"),
            ("source", ">u4"),
            ("destination", ">u4"),
            ("source_port", ">u2"),
            ("destination_port", ">u2"),
            ("sequence", ">u4"),
            ("acknowledgment", ">u4"),
            ("offset", "u1"),
            ("flags", "u1"),
            ("window", ">u2"),
            ("checksum", ">u2"),
            ("urgent", ">u2"),
            ("payload", "u1", payload),
            ("pad", f"S{padding}"),
            ("option", "<u2"),
            ("option_length", "<u2"),
            ("direction", "<u4"),
            ("end", "<u4"),
            ("length_again", "<u4"),
        ]
    )


_POINTS: Final = {"master": ("veth1", "docker0", "eth0"), "slave": ("eth0", "docker0", "veth2")}
_INDEXES: Final = {"eth0": 2, "docker0": 3}
_VETH_INDEX: Final = 5
"""As in pcaps/docker-demo, from which the trace events come."""
_CONTAINER, _MASTER, _SLAVE, _SERVER = 0xAC110002, 0xC0A84D01, 0xC0A84D02, 0xAC120002
START_NS: Final = 1_700_000_000_000_000_000


def synthesize(directory: Path, packets: int, per_connection: int = 20, *, traced: bool = False) -> list[Path]:
    """Write master.pcapng and slave.pcapng with about `packets` frames together, six for each packet; returns the
    paths. `traced`: the first two packets of each connection are, on both nodes."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    connections = max(packets // 6 // per_connection, 1)
    time_ns = _times(rng, np.arange(connections), per_connection)
    paths = []
    for number, (node, points) in enumerate(_POINTS.items()):
        path = directory / f"{node}.pcapng"
        with path.open("wb") as file:
            file.write(_head(node, points))
            file.write(_conntrack(node, np.arange(connections)))
            _table(number, np.arange(connections), time_ns, _SMALL).tofile(file)
            if traced:
                file.write(_trace(node, time_ns))
        paths.append(path)
    return paths


def synthesize_large(directory: Path, size: int, payload: int = 440, per_connection: int = 20) -> list[Path]:
    """The same with about `size` bytes in both files together and `payload` bytes in each packet, written in pieces of
    a second, so that files of any size can be made; returns the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{node}.pcapng" for node in _POINTS]
    connections = max(size // (6 * per_connection * _block_type(payload).itemsize), 1)
    each = min(connections, _PIECE)
    pieces = connections // each
    for number, (path, (node, points)) in enumerate(zip(paths, _POINTS.items(), strict=True)):
        rng = np.random.default_rng(7)
        with path.open("wb") as file:
            file.write(_head(node, points))
            for piece in range(pieces):
                connection = np.arange(piece * each, (piece + 1) * each)
                # What comes behind a piece begins when its last connection has ended.
                time_ns = _times(rng, connection, per_connection) + piece * per_connection * 1_000_000
                file.write(_conntrack(node, connection))
                _table(number, connection, time_ns, payload).tofile(file)
    return paths


def _times(rng, connection, per_connection):
    """When each packet of each connection leaves the container (connection, step)."""
    step = np.arange(per_connection)
    jitter = rng.integers(0, 5_000, (connection.size, per_connection))
    return START_NS + connection[:, None] * 40_000 + step[None, :] * 1_000_000 + jitter


def _table(number, connections, time_ns, payload):
    """All frames of one node in the order of their times; `number`: 0 or 1, `time_ns`: connection, step."""
    connection = np.repeat(connections, time_ns.shape[1])
    step = np.tile(np.arange(time_ns.shape[1]), connections.size)
    points = 3
    # Not np.concatenate: it would turn the big-endian columns into native ones.
    table = np.empty(points * connection.size, _block_type(payload))
    for index in range(points):
        rows = slice(index * connection.size, (index + 1) * connection.size)
        table[rows] = _frames(index + 3 * number, index, connection, step, time_ns.reshape(-1), payload)
    when = (table["high"].astype(np.int64) << 32) | table["low"]
    return table[np.argsort(when, kind="stable")]


def _head(node: str, points: tuple[str, ...]) -> bytes:
    head = section_header(node=node, system="Linux synthetic", application="ttrace bench")
    for point in (*points, "netfilter"):
        netlink = point == "netfilter"
        facts = {
            "netns": "root",
            "inode": 1,
            "ifindex": _INDEXES.get(point, _VETH_INDEX),
            "container": None,
            "what": "netlink" if netlink else "packets",
        }
        head += interface_description(
            link_type=LinkType.NETLINK if netlink else LinkType.ETHERNET,
            name=point,
            description="root namespace",
            facts=facts,
            snaplen=0,
            mac=None,
            filter_text=None,
        )
    return head


def write_trace(path: Path, messages: int) -> None:
    """Write master's file with about `messages` trace messages, of as many connections as it takes, and nothing
    else."""
    connections = max(messages // messages_per_connection("master"), 1)
    time_ns = START_NS + np.arange(connections)[:, None] * 40_000 + np.arange(2)[None, :] * 1_000_000
    path.write_bytes(_head("master", _POINTS["master"]) + _trace("master", time_ns))


def _trace(node: str, time_ns: np.ndarray) -> bytes:
    """The trace messages of all connections in the order of their times; `time_ns`: connection, step."""
    # From the point where a packet enters the node; its messages take less than the 10 us to the next one.
    enters = (10_000, 30_000) if node == "master" else (30_000, 10_000)
    times = [time_ns[:, step] + at for step, at in enumerate(enters)]
    numbers = np.arange(len(time_ns))
    blocks = [rows for part in trace_blocks(node, len(_POINTS[node]), numbers, times) for rows in part]
    return b"".join(blocks[i].tobytes() for i in np.argsort(np.concatenate(times), kind="stable"))


def _frames(stage, index, connection, step, time_ns, payload):
    """One block per packet at one capture point; `stage` 0 to 5 is its place on the way from client to server."""
    forward = step % 2 == 0
    block = np.zeros(connection.size, _block_type(payload))
    size = _HEADERS + payload
    block["type"], block["length"], block["length_again"] = 6, block.itemsize, block.itemsize
    block["interface"] = index
    at = time_ns + np.where(forward, stage, 5 - stage) * 10_000
    block["high"], block["low"] = at >> 32, at & 0xFFFFFFFF
    block["captured"] = block["original"] = size
    block["ethernet"], block["ethertype"] = b"\x02\x42\xac\x11\x00\x02\x02\x42\xac\x11\x00\x01", 0x0800
    block["version"], block["ip_length"], block["protocol"] = 0x45, size - 14, 6
    block["ip_id"] = (connection * 31 + step) & 0xFFFF
    block["ttl"] = 64 - np.where(forward, stage, 5 - stage) // 2
    port = (20_000 + connection % 40_000).astype(np.uint32)
    client = np.where(stage < 2, _CONTAINER + connection // 40_000, _MASTER).astype(np.uint32)
    server = np.where(stage < 4, _SLAVE, _SERVER).astype(np.uint32)
    server_port = np.where(stage < 4, 8080, 80).astype(np.uint32)
    block["source"], block["destination"] = np.where(forward, client, server), np.where(forward, server, client)
    block["source_port"] = np.where(forward, port, server_port)
    block["destination_port"] = np.where(forward, server_port, port)
    block["sequence"] = (connection * 1_000_003 + step * 100) & 0xFFFFFFFF
    block["acknowledgment"] = np.where(step == 0, 0, (connection * 7_000_003 + step * 100) & 0xFFFFFFFF)
    block["offset"], block["window"] = 0x50, 502
    block["flags"] = np.where(step == 0, 0x02, np.where(step == 1, 0x12, 0x18))
    block["payload"] = (step[:, None] + np.arange(payload)[None, :]) & 0xFF
    inward = (stage in (0, 3)) or (stage == 1)
    block["option"], block["option_length"] = 2, 4
    block["direction"] = np.where(forward == inward, 1, 2)
    return block


_CT: Final = np.dtype(
    [
        ("type", "<u4"),
        ("length", "<u4"),
        ("interface", "<u4"),
        ("high", "<u4"),
        ("low", "<u4"),
        ("captured", "<u4"),
        ("original", "<u4"),
        ("pseudo", "V16"),
        ("nl_length", "<u4"),
        ("nl_type", "<u2"),
        ("nl_flags", "<u2"),
        ("nl_seq", "<u8"),
        ("family", "u1"),
        ("nf_version", "u1"),
        ("res", "<u2"),
        ("original_tuple", "V52"),
        ("reply_tuple", "V52"),
        ("id_head", "<u4"),
        ("id", ">u4"),
        ("status_head", "<u4"),
        ("status", ">u4"),
        ("length_again", "<u4"),
    ]
)
_TUPLE: Final = np.dtype(
    [
        ("head", "<u4"),
        ("ip", "<u4"),
        ("source_head", "<u4"),
        ("source", ">u4"),
        ("destination_head", "<u4"),
        ("destination", ">u4"),
        ("proto", "<u4"),
        ("number_head", "<u4"),
        ("number", "u1"),
        ("pad", "V3"),
        ("sport_head", "<u4"),
        ("sport", ">u2"),
        ("pad2", "V2"),
        ("dport_head", "<u4"),
        ("dport", ">u2"),
        ("pad3", "V2"),
    ]
)


def _attribute(length: int, kind: int) -> int:
    return length | kind << 16


def _tuple(kind, source, destination, sport, dport):
    found = np.zeros(source.size, _TUPLE)
    found["head"] = _attribute(_TUPLE.itemsize, 0x8000 | kind)
    found["ip"] = _attribute(20, 0x8001)
    found["source_head"], found["source"] = _attribute(8, 1), source
    found["destination_head"], found["destination"] = _attribute(8, 2), destination
    found["proto"] = _attribute(28, 0x8002)
    found["number_head"], found["number"] = _attribute(5, 1), 6
    found["sport_head"], found["sport"] = _attribute(6, 2), sport
    found["dport_head"], found["dport"] = _attribute(6, 3), dport
    return found.view(f"V{_TUPLE.itemsize}").reshape(-1)


def _conntrack(node, connection):
    row = np.zeros(connection.size, _CT)
    size = _CT.itemsize
    row["type"], row["length"], row["length_again"], row["interface"] = 6, size, size, 3
    at = START_NS + connection * 40_000 + 40_000
    row["high"], row["low"] = at >> 32, at & 0xFFFFFFFF
    message = size - 32 - 16
    row["captured"] = row["original"] = message + 16
    row["nl_length"], row["nl_type"], row["nl_flags"], row["family"] = message, 0x0100, 0x0600, 2
    port = 20_000 + connection % 40_000
    client = _CONTAINER + connection // 40_000
    full = np.full(connection.size, 1, np.uint32)
    if node == "master":
        original = _tuple(1, client, full * np.uint32(_SLAVE), port, 8080)
        reply = _tuple(2, full * np.uint32(_SLAVE), full * np.uint32(_MASTER), 8080, port)
    else:
        original = _tuple(1, full * np.uint32(_MASTER), full * np.uint32(_SLAVE), port, 8080)
        reply = _tuple(2, full * np.uint32(_SERVER), full * np.uint32(_MASTER), 80, port)
    row["original_tuple"], row["reply_tuple"] = original, reply
    row["id_head"], row["id"] = _attribute(8, 12), connection + 1
    row["status_head"], row["status"] = _attribute(8, 3), 0x18E
    return row.tobytes()
