"""The options and arguments of the command line, by name: what each takes, and its line of the help."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated

from typer import Argument, BadParameter, Option

from .cli_sizes import file_size, size


def _typed(read: Callable[[str], int]) -> Callable[[str], int]:
    """What reads a value, so that typer says what is wrong with it."""

    @wraps(read)
    def reading(text: str) -> int:
        try:
            return read(text)
        except ValueError as error:
            raise BadParameter(str(error)) from error

    return reading


_SIZE, _FILE_SIZE = _typed(size), _typed(file_size)


MEBIBYTE = 1 << 20


def in_bytes(mebibytes: int | None) -> int | None:
    """What was typed in MiB."""
    return mebibytes * MEBIBYTE if mebibytes else None


Interfaces = Annotated[
    list[str] | None,
    Option(
        "--iface", "-i", metavar="NAME", help="An interface; again for more. Default: bridges, their ports, uplinks."
    ),
]
CaptureFilter = Annotated[
    str | None,
    Option("--filter", metavar="EXPR", help="pcap-filter expression for the packets, such as 'tcp port 8080'."),
]
TraceMatch = Annotated[
    str | None,
    Option("--trace-match", metavar="NFT", help="Trace only what this nft match selects: 'tcp dport 8080'; `;` is or."),
]
TraceLimit = Annotated[
    int | None,
    Option("--trace-limit", metavar="N", min=0, help="Packets traced per second and namespace, 0: all. Default: 1000."),
]
RingMemory = Annotated[
    int | None,
    Option("--ring-mib", metavar="N", min=2, help="MiB of all packet rings together. Default: 256, 16 each at most."),
]
Snaplen = Annotated[
    int | None,
    Option("--snaplen", metavar="BYTES", min=64, max=262144, help="Bytes kept of each packet. Default: 1600."),
]
Details = Annotated[
    bool, Option("--conntrack-details", help="Switch on conntrack's timestamps and counters for this time.")
]
Netns = Annotated[
    list[str] | None, Option("--netns", metavar="NAME|PID|PATH", help="A further network namespace; again for more.")
]
Output = Annotated[str, Option("--write", "-w", metavar="FILE", help="pcapng file, `-` is stdout; of a ring its name.")]
Force = Annotated[bool, Option("--force", help="Replace a file of yours that is there.")]
InContainers = Annotated[bool, Option("--containers", help="Capture and trace inside running containers too.")]
NodeName = Annotated[str | None, Option("--node-name", metavar="N", help="Default: the host name.")]
Duration = Annotated[float | None, Option("--duration", metavar="S", min=0, help="Stop after S seconds.")]
Count = Annotated[int | None, Option("--count", metavar="N", min=1, help="Stop after N packets.")]
KernelDrops = Annotated[
    bool, Option("--kernel-drops/--no-kernel-drops", help="Record which packets the kernel drops, and why.")
]
Trace = Annotated[bool, Option("--trace/--no-trace", help="Trace netfilter meanwhile.")]
RotateSize = Annotated[
    int | None,
    Option("--rotate-size", metavar="SIZE", parser=_FILE_SIZE, help="A ring of files: begin another at this size."),
]
RotateTime = Annotated[
    float | None, Option("--rotate-time", metavar="S", min=0.1, help="A ring of files: begin another after S seconds.")
]
Keep = Annotated[
    int | None, Option("--keep", metavar="N", min=2, help="Keep the last N files of the ring. Default: all.")
]
MaxSize = Annotated[
    int | None,
    Option(
        "--max-size",
        metavar="SIZE",
        parser=_FILE_SIZE,
        help="In all: the oldest file goes, else the capture ends.",
    ),
]
MinFree = Annotated[
    int | None,
    Option("--min-free", metavar="SIZE", parser=_SIZE, help="To stay free on the disk. Default: 1 %, 64M to 1G."),
]
FreezeOn = Annotated[
    list[str] | None,
    Option("--freeze-on", metavar="drop|reset|NFT", help="Keep this part of the ring when it happens; again for more."),
]
FreezeBefore = Annotated[
    float | None, Option("--freeze-before", metavar="S", min=0, help="Kept from so long before. Default: 30.")
]
FreezeAfter = Annotated[
    float | None, Option("--freeze-after", metavar="S", min=0, help="Kept until so long after. Default: 10.")
]
FreezeMost = Annotated[
    int | None, Option("--freeze-most", metavar="N", min=1, help="Parts that are kept at most. Default: 10.")
]
ConnectionFilter = Annotated[
    str | None,
    Option("--filter", metavar="EXPR", help="Connections by what they wore anywhere: 'host 172.17.0.2 and port 8080'."),
]
VxlanPorts = Annotated[
    list[int] | None,
    Option(
        "--vxlan-port", metavar="N", min=1, max=65535, help="All UDP at this port is VXLAN, whatever is in it; again."
    ),
]
Explained = Annotated[
    list[str] | None,
    Option("--explain", metavar="FILE:FRAME", help="Why this frame is matched with others, or is not; again for more."),
]
Memory = Annotated[
    int | None,
    Option(
        "--memory",
        metavar="MIB",
        min=512,
        callback=in_bytes,
        help="MiB it may take; more goes to TMPDIR. Default: half of the free.",
    ),
]
WhyNotRules = Annotated[
    list[str] | None,
    Option("--why-not", metavar="RULE", help="Why packets did not match this rule: 'DOCKER-USER 1'; again for more."),
]
Whys = Annotated[
    list[int] | None,
    Option("--why", metavar="N", help="The evidence of this finding in full, instead of the report; again for more."),
]
Only = Annotated[
    list[str] | None,
    Option("--only", metavar="KIND|fault|notice|OUTCOME", help="What such findings are about; again for more."),
]
Captures = Annotated[
    list[str], Argument(metavar="FILE...", help="FILE, NODE=FILE or NODE/INTERFACE=FILE; a folder for all in it.")
]
MaxExpanded = Annotated[
    int | None,
    Option(
        "--max-expanded",
        metavar="MIB",
        min=1,
        callback=in_bytes,
        help="MiB that a compressed file may hold. Default: 100 times its size, and 1024 at least.",
    ),
]
CaptureName = Annotated[str, Argument(metavar="FILE", help="A capture file.")]
Prefix = Annotated[str, Option("--prefix", metavar="NAME", help="Prefix of the names of its namespaces.")]
