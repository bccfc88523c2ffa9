"""What other tools make of captures: saved through a filter, cut, merged. As tshark, editcap and mergecap do it: the
descriptions of interfaces stay, statistics go, and so does the header's comment where several files become one."""

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Blocks = list[tuple[int, bytes]]
"""(type, body) in the order of a file."""
SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6


def blocks_of(path: str | Path) -> Blocks:
    """The blocks of a little-endian pcapng file."""
    data, at, found = Path(path).read_bytes(), 0, []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        found.append((kind, data[at + 8 : at + length - 4]))
        at += length
    return found


def write(path: Path, blocks: Iterator[tuple[int, bytes]] | Blocks) -> str:
    """A file of these blocks."""
    whole = b""
    for kind, body in blocks:
        size = struct.pack("<I", len(body) + 12)
        whole += struct.pack("<I", kind) + size + body + size
    path.write_bytes(whole)
    return str(path)


def link_types(blocks: Blocks) -> list[int]:
    """Of each interface."""
    return [struct.unpack_from("<H", body)[0] for kind, body in blocks if kind == INTERFACE]


def interface_of(body: bytes) -> int:
    """Of a packet block."""
    return struct.unpack_from("<I", body)[0]


def time_of(body: bytes) -> int:
    """Of a packet block, in its units."""
    high, low = struct.unpack_from("<II", body, 4)
    return high << 32 | low


def packet_data(body: bytes) -> bytes:
    """Of a packet block."""
    return body[20 : 20 + struct.unpack_from("<I", body, 12)[0]]


def saved(path: str | Path, out: Path, keep: Callable[[int, bytes], bool]) -> str:
    """`tshark -Y … -w`: packets that `keep` says, by link type and bytes."""
    blocks = blocks_of(path)
    types = link_types(blocks)
    return write(
        out,
        (
            (kind, body)
            for kind, body in blocks
            if kind != STATISTICS and (kind != PACKET or keep(types[interface_of(body)], packet_data(body)))
        ),
    )


def tcp_frames(link_type: int, data: bytes) -> bool:
    """`-Y tcp`, of Ethernet and IPv4."""
    return link_type == 1 and data[12:14] == b"\x08\x00" and data[23] == 6


def split(path: str | Path, folder: Path, count: int) -> list[str]:
    """`editcap -c`: files of so many packets each."""
    blocks = [block for block in blocks_of(path) if block[0] != STATISTICS]
    head = [block for block in blocks if block[0] != PACKET]
    packets = [block for block in blocks if block[0] == PACKET]
    stem = Path(path).stem
    return [
        write(folder / f"{stem}_{number:05}_20261129120000.pcapng", head + packets[start : start + count])
        for number, start in enumerate(range(0, len(packets), count))
    ]


def merged(paths: Sequence[str | Path], out: Path) -> str:
    """`mergecap -w`: one section, all descriptions first, then all packets by time (of nanoseconds)."""
    whole: Blocks = [(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    packets: Blocks = []
    base = 0
    for path in paths:
        blocks = blocks_of(path)
        whole += [block for block in blocks if block[0] == INTERFACE]
        packets += [
            (kind, struct.pack("<I", base + interface_of(body)) + body[4:]) for kind, body in blocks if kind == PACKET
        ]
        base = len(whole) - 1
    return write(out, whole + sorted(packets, key=lambda block: time_of(block[1])))


def joined(paths: Sequence[str | Path], out: Path) -> str:
    """`cat`: one section behind the other."""
    out.write_bytes(b"".join(Path(path).read_bytes() for path in paths))
    return str(out)
