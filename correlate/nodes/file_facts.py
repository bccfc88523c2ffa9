"""What is known of a capture file without its bytes: small values that can be kept, and sent elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...pcapng.read import CaptureFile, Interface, Statistics, is_packet_interface
from .snapshots import NodeSnapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One capture file."""

    path: str
    """As it is called in messages and results."""
    records: int
    """Packet blocks: frames, kernel messages and snapshots. They are Wireshark's frames 1 to this."""
    interfaces: tuple[Interface, ...]
    statistics: tuple[Statistics, ...]
    """In the order of the file."""
    malformed: int
    """Packet blocks and snapshots that could not be read."""
    truncated: bool
    """It ends inside a block."""

    @property
    def captures_packets(self) -> tuple[bool, ...]:
        """Per interface: it is a capture point."""
        return tuple(is_packet_interface(interface) for interface in self.interfaces)


def file_facts(captures: Sequence[CaptureFile], records: Sequence[int], snapshots: NodeSnapshots) -> list[FileFacts]:
    """The facts of all files; `records`: how many each has."""
    return [
        FileFacts(
            path=capture.path,
            records=count,
            interfaces=tuple(capture.interfaces),
            statistics=tuple(capture.statistics),
            malformed=capture.malformed + damaged,
            truncated=capture.truncated_at is not None,
        )
        for capture, count, damaged in zip(captures, records, snapshots.damaged, strict=True)
    ]
