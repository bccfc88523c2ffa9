"""Plain captures written down in a few lines: one pcap per point, without interfaces, directions or anything of the
kernel."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from ttrace.correlate import Correlation, correlate_captures
from ttrace.correlate.result.values import Path as PacketPath

from .same_in_parts import assert_same_in_parts
from .scene import at

End = tuple[str, int]
Views = Mapping[str, tuple[End, End]]
"""Per point, in the order of the way: source and destination there."""
Build = Callable[[End, End, int], Packet]
"""Source, destination, TTL -> the packet."""


@dataclass
class Plain:
    """Some points, each with a clock of its own. Times are microseconds."""

    ahead_us: Mapping[str, float]
    """Of each point: how far its clock is ahead."""
    copies_us: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Of a mirror: how much later each further copy of a frame comes."""
    _records: list[tuple[str, float, bytes]] = field(default_factory=list)

    def see(self, point: str, time_us: float, packet: Packet) -> None:
        for later in (0, *self.copies_us.get(point, ())):
            self._records.append((point, time_us + later + self.ahead_us[point], bytes(packet)))

    def send(
        self, time_us: float, views: Views, build: Build, *, ttl: int = 64, each_us: float = 60, without: str = ""
    ) -> None:
        """A packet passes the points, one hop from each to the next; `without`: points that miss it."""
        for hop, (point, (source, destination)) in enumerate(views.items()):
            if point not in without:
                self.see(point, time_us + hop * each_us, build(source, destination, ttl - hop))

    def write(self, folder: Path) -> list[str]:
        files = []
        for point in self.ahead_us:
            file = folder / f"{point}.pcap"
            with file.open("wb") as out:
                out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 101))
                for name, time_us, data in sorted(self._records, key=lambda record: record[1]):
                    if name == point:
                        seconds, ns = divmod(at(time_us), 10**9)
                        out.write(struct.pack("<IIII", seconds, ns, len(data), len(data)) + data)
            files.append(str(file))
        return files

    def correlate(self, folder: Path) -> Correlation:
        """In memory and, to the same result, in parts."""
        files = self.write(folder)
        result = correlate_captures(files)
        assert_same_in_parts(files, result)
        return result


def back(views: Views) -> Views:
    """The way of the answers."""
    return {point: (views[point][1], views[point][0]) for point in reversed(views)}


def tcp(flags: str, seq: int, ack: int = 0, ip_id: int = 0, payload: bytes = b"", window: int = 8192) -> Build:
    def build(source: End, destination: End, ttl: int) -> Packet:
        header = TCP(sport=source[1], dport=destination[1], flags=flags, seq=seq, ack=ack, window=window)
        return ip(source, destination, ttl, ip_id) / header / payload

    return build


def udp(payload: bytes, ip_id: int = 0) -> Build:
    def build(source: End, destination: End, ttl: int) -> Packet:
        return ip(source, destination, ttl, ip_id) / UDP(sport=source[1], dport=destination[1]) / payload

    return build


def ip(source: End, destination: End, ttl: int, ip_id: int) -> Packet:
    if ":" in source[0]:
        return IPv6(src=source[0], dst=destination[0], hlim=ttl)
    return IP(src=source[0], dst=destination[0], ttl=ttl, id=ip_id, flags="DF")


def talk(plain: Plain, time_us: float, views: Views, isn: int, *, turns: int = 2, ip_id: int = 100) -> None:
    """A TCP connection: handshake, then `turns` of request and answer, 10 ms apart."""
    answers = back(views)
    plain.send(time_us, views, tcp("S", isn, 0, ip_id))
    plain.send(time_us + 5_000, answers, tcp("SA", isn + 7_000, isn + 1, ip_id + 500))
    plain.send(time_us + 5_300, views, tcp("A", isn + 1, isn + 7_001, ip_id + 1))
    middle(plain, time_us + 10_000, views, isn, turns=turns, ip_id=ip_id + 2)


def middle(plain: Plain, time_us: float, views: Views, isn: int, *, turns: int = 2, ip_id: int = 100) -> None:
    """The part of it behind the handshake."""
    answers = back(views)
    mine, theirs = isn + 1, isn + 7_001
    for turn in range(turns):
        start = time_us + 10_000 * turn
        plain.send(start, views, tcp("PA", mine, theirs, ip_id + 2 * turn, b"request  %d" % turn))
        plain.send(start + 5_000, answers, tcp("PA", theirs, mine + 10, ip_id + 500 + turn, b"answer   %d" % turn))
        plain.send(start + 5_300, views, tcp("A", mine + 10, theirs + 10, ip_id + 2 * turn + 1))
        mine, theirs = mine + 10, theirs + 10


def numbers(path: PacketPath) -> dict[str, list[int]]:
    """Per file, the frames of a path."""
    found: dict[str, list[int]] = {}
    for hop in path.hops:
        found.setdefault(Path(hop.file).stem, []).append(hop.frame)
    return found
