"""What a capture is asked to do, and what it says while it runs and when it is done."""

from dataclasses import dataclass
from typing import Final

from ..errors import TtraceError, UsageError

DEFAULT_SNAPLEN: Final = 1_600
"""Keeps every packet of ordinary size whole, and the start of a GSO super-packet (up to 65,226 bytes).

Measured on two cores, three capture points, 10 Gbit/s of TCP: with everything kept 85 % of the packets were lost, with
1,600 bytes none. No step of the correlation needs more.
"""


FREEZE_WORDS: Final = ("drop", "reset")
"""What may freeze a ring, beside an nft match."""
RINGS_MIB: Final = 256
"""Memory of all packet rings together."""
LARGEST_DEFAULT_RING_MIB: Final = 16
"""What one ring gets at most, unless more is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOptions:
    """The settings of one capture; the command line and tests fill it in."""

    interfaces: tuple[str, ...] = ()
    """Interfaces to capture on; empty: docker0, other bridges, their ports, and the uplinks."""
    output: str = ""
    """File to write; `-` is stdout; empty is `NODE-YYYYmmdd-HHMMSS.pcapng` in the current directory.

    A file is made, readable by its owner alone, and never through a symbolic link."""
    force: bool = False
    """Whether it may take the place of a file of one's own that is there."""
    filter: str | None = None
    """pcap-filter expression, applied in the kernel to packets (not to trace events)."""
    netns: tuple[str, ...] = ()
    """Further network namespaces: name of `ip netns`, process id, or path."""
    node_name: str | None = None
    """Name of this node in the file; default is the host name."""
    duration_s: float | None = None
    """Stop after this many seconds."""
    count: int | None = None
    """Stop after this many packets, over all capture points."""
    snaplen: int = DEFAULT_SNAPLEN
    """Bytes kept of each packet."""
    trace: bool = True
    """Load the tracing table and record netfilter's trace events."""
    trace_match: str | None = None
    """nft match that chooses the packets to trace (`tcp dport 8080`); `;` separates alternatives."""
    trace_limit: int = 1_000
    """Packets traced per second and namespace; 0 is no limit."""
    containers: bool = False
    """Also capture inside the network namespace of every running container."""
    ring_mib: int | None = None
    """Memory of all packet rings together, MiB; each gets at least 2. None: 256, and 16 for each at most."""
    buffer_mib: int = 32
    """Netlink receive buffer per namespace, MiB."""
    kernel_drops: bool = True
    """Record which packets the kernel drops, and why."""
    conntrack_details: bool = False
    """Switch conntrack's timestamps and counters on for the session (restored afterwards)."""
    rotate_size: int | None = None
    """Begin another file when the current one has so many bytes."""
    rotate_time_s: float | None = None
    """Begin another file every so many seconds."""
    keep: int | None = None
    """Keep so many files, the current one among them, and remove older ones; None: all."""
    max_size: int | None = None
    """Bytes of all files together: with rotation the oldest goes then, else the capture ends."""
    min_free: int | None = None
    """Bytes that are to stay free on the file system of the output; None: 1 % of it, 64 MiB to 1 GiB."""

    freeze_on: tuple[str, ...] = ()
    """What makes a part of the ring be kept: `drop`, `reset`, or an nft match."""
    freeze_before_s: float = 30.0
    """From so long before that."""
    freeze_after_s: float = 10.0
    """Until so long behind it."""
    freeze_most: int = 10
    """Parts that are kept; later ones are not."""

    @property
    def freeze_matches(self) -> tuple[str, ...]:
        """The nft matches among what freezes the ring."""
        return tuple(text for text in self.freeze_on if text not in FREEZE_WORDS)

    @property
    def rotates(self) -> bool:
        """Whether the output is a ring of files."""
        return self.rotate_size is not None or self.rotate_time_s is not None

    def refuse_contradictions(self) -> None:
        """Raises UsageError for settings that mean nothing together."""
        if self.keep is not None and not self.rotates:
            raise UsageError(
                "--keep is for a ring of files", "say when to change files: `--rotate-size`, `--rotate-time`"
            )
        if self.rotates and self.output == "-":
            raise UsageError("stdout is no ring of files", "name the ring with `-w`, or leave out `--rotate-…`")
        if self.freeze_on and not self.rotates:
            raise UsageError("--freeze-on keeps a part of a ring of files", "add `--rotate-size` or `--rotate-time`")
        if "drop" in self.freeze_on and not self.trace:
            raise UsageError("--freeze-on drop is found in the trace", "leave out `--no-trace`")
        if None not in (self.max_size, self.rotate_size) and self.max_size < 2 * self.rotate_size:  # type: ignore[operator]
            raise UsageError(
                f"--max-size {self.max_size:,} has no room for two files of --rotate-size {self.rotate_size:,}",
                "one is written while the one before is kept",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureStatus:
    """What has been recorded so far."""

    elapsed_s: float
    packets: int
    bytes: int
    """Bytes written to the file."""
    trace_events: int
    conntrack_events: int
    lost: int
    """Packets and netlink messages lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSummary:
    """What one capture point recorded."""

    netns: str
    interface: str
    packets: int
    lost: int
    """Packets that passed the filter and found the ring full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceSummary:
    """What the netlink socket of one namespace recorded."""

    netns: str
    messages: int
    trace_events: int
    conntrack_events: int
    """Events after the start; the dump of the table that was there before is not counted."""
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSummary:
    """The result of a capture."""

    file: str
    """Path of the (last) file, `-` for stdout."""
    is_there: bool
    """Whether that path still leads to what was written."""
    node: str
    duration_s: float
    bytes: int
    points: tuple[PointSummary, ...]
    namespaces: tuple[NamespaceSummary, ...]
    trace_events: int
    conntrack_events: int
    netlink_lost: int
    warnings: tuple[str, ...]
    """One line each: what did not go as asked without ending the capture."""
    files: tuple[str, ...] = ()
    """Of a ring: the files that are there, the oldest first."""
    removed: int = 0
    """Files of the ring that were removed."""
    frozen: tuple[str, ...] = ()
    """Folders with the parts of the ring that were kept."""
    ending: str = ""
    """Why it ended by itself, other than by its duration or count: a limit that was asked for."""

    @property
    def packets(self) -> int:
        """Packets written, over all capture points."""
        return sum(point.packets for point in self.points)

    @property
    def lost(self) -> int:
        """Packets lost, over all capture points."""
        return sum(point.lost for point in self.points)


class BrokenOffError(TtraceError):
    """A capture that had to end before it was asked to: its file can be written no more, or be read by nobody."""

    def __init__(self, why: TtraceError, summary: CaptureSummary) -> None:
        super().__init__(why.message, why.hint)
        self.summary = summary
        """What was recorded until then, and what was lost."""
