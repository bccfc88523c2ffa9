"""Recordings as files: a pcapng of ttrace (through tests/correlate/scene.py), or plain pcaps."""

import struct
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random

from ttrace.bench.truth.clock import Record, write_pcap
from ttrace.pcapng.blocks import BlockType, Direction, LinkType
from ttrace.tests.correlate.frames import NFLOG, attribute, message, word
from ttrace.tests.correlate.scene import DESTROYED, DUMPED, NEW, START_NS, Node, Tuple, at

from .addresses import host_of
from .conntrack import Ends
from .happened import AtDevice, ConntrackEvent, Happened, InChain
from .packets import ECHO_REPLY, ECHO_REQUEST, ICMP, ICMPV6, encoded, ethernet, frames
from .recording import Gap, Message, Recording, dumped, frames_of, messages_of
from .rule_text import snapshot
from .rules import HOOKS, OWN_TABLE
from .topology import Device, Space

_EVENTS = {"new": NEW, "update": "update", "destroyed": DESTROYED}
_PCAP_HEADER = 24
"""Bytes before the first record of a pcap."""
_RAW_KINDS = ("gre", "ipip")
"""Devices without a link layer."""


@dataclass(slots=True, kw_only=True)
class Written:
    """The files of a scene, and whose packet each frame and trace message in them is."""

    sources: list[tuple[str | None, str | None, str]] = field(default_factory=list)
    """Node, device (where the command line says them) and name of each file."""
    frames: dict[tuple[int, int], int] = field(default_factory=dict)
    """(File, frame number) to the number of the packet."""
    messages: dict[tuple[int, int], int] = field(default_factory=dict)
    """The same of trace messages."""
    points: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """id() of a point to its frames or messages."""


def write(recordings: list[Recording], happened: Happened, folder: Path, random: Random) -> Written:
    """Write everything that was recorded."""
    written = Written()
    for recording in recordings:
        if recording.form == "pcap":
            _write_pcaps(recording, happened, folder, written)
        else:
            _write_pcapng(recording, happened, folder, written, random)
    return written


def _bytes(point: AtDevice, recording: Recording) -> list[bytes]:
    """The frames that a point shows: one, or the fragments of a datagram."""
    shown = frames(point.outer or point.packet, partial=point.partial)
    if point.missing is not None:
        del shown[point.missing]
    if not _is_ethernet(point.device, recording):
        return shown
    return [ethernet(data, point.device.mac, point.next_mac) for data in shown]


def _cut(path: Path, recording: Recording) -> int:
    """End a file where the recording breaks off, in the middle of whatever is there; returns its size."""
    data = path.read_bytes()
    kept = max(round(len(data) * recording.cut_at), _PCAP_HEADER)
    path.write_bytes(data[:kept])
    return kept


def _is_ethernet(device: Device, recording: Recording) -> bool:
    return recording.ethernet and device.kind not in _RAW_KINDS


# --- pcap -------------------------------------------------------------------------------------------------------------


def _write_pcaps(recording: Recording, happened: Happened, folder: Path, written: Written) -> None:
    of_device: dict[Device, list[tuple[float, bytes, AtDevice, int]]] = {device: [] for device in recording.devices}
    for point, story in frames_of(recording, happened):
        for piece, data in enumerate(_bytes(point, recording)):
            of_device[point.device].append((point.time_us + piece, data, point, story))
    for device, shown in of_device.items():
        shown.sort(key=lambda one: one[0])
        space = "" if device.space.is_root else f"-{device.space.label}"
        name = f"{recording.host.name}{space}-{device.name}.pcap"
        records, times = [], []
        for time_us, data, _, _ in shown:
            kept = data[: recording.snaplen] if recording.snaplen else data
            records.append(Record(at(time_us), len(data), kept))
            times.append(recording.clock.read(at(time_us), START_NS))
        link = LinkType.ETHERNET if _is_ethernet(device, recording) else LinkType.RAW
        write_pcap(folder / name, link, records, times, nano=recording.nano)
        size = _cut(folder / name, recording)
        ends = accumulate((16 + len(record.data) for record in records), initial=_PCAP_HEADER)
        whole = sum(end <= size for end in ends) - 1
        file = len(written.sources)
        named = (recording.host.name, f"{device.space.label}-{device.name}" if space else device.name)
        written.sources.append((*(named if recording.named else (None, None)), name))
        for number, (_, _, point, story) in enumerate(shown[: max(whole, 0)], 1):
            written.frames[file, number] = story
            written.points.setdefault(id(point), []).append((file, number))


# --- pcapng -----------------------------------------------------------------------------------------------------------


def _write_pcapng(recording: Recording, happened: Happened, folder: Path, written: Written, random: Random) -> None:
    node = _node(recording)
    noted: list[tuple[int, int, object, int]] = []  # first and last record, point, packet; 0 for conntrack
    _note_frames(node, recording, happened, noted, random)
    if recording.conntrack:
        for space in recording.spaces:
            if space.rules is not None:
                _note_messages(node, recording, space, happened, noted, random)
    path = Path(node.write(folder))
    _cut(path, recording)
    whole = _whole_frames(path.read_bytes())
    file, numbers = len(written.sources), node.frame_numbers()
    written.sources.append((None, None, path.name))
    for first, last, point, story in noted:
        for number in (numbers[record] for record in range(first, last)):
            if number <= whole and story:
                table = written.frames if isinstance(point, AtDevice) else written.messages
                table[file, number] = story
                written.points.setdefault(id(point), []).append((file, number))


def _node(recording: Recording) -> Node:
    """The node with what its snapshots say of it."""
    host = recording.host
    node = Node(
        host.name, boot_id=f"boot of {host.name}", snapshots=recording.snapshots, snaplen=recording.snaplen,
        clock=lambda time_ns: recording.clock.read(time_ns, START_NS), begin_us=recording.begin_us,
    )  # fmt: skip
    for space in recording.spaces if host.root in recording.spaces else [host.root, *recording.spaces]:
        container = None if space.is_root else space.label
        node.netns(space.label, container=container, bridge_nf=space.bridge_nf, ruleset=snapshot(space.rules))
        for device in space.devices:
            node.interface(
                device.name, device.index, netns=space.label,
                kind=None if device.kind == "loopback" else device.kind,
                master=device.master.index if device.master else None,
                peer=device.peer.space.label if device.peer else None,
                addresses=[host_of(address) for address in device.addresses],
                captured=device in recording.devices, filter_text=recording.filter,
                link_type=LinkType.ETHERNET if _is_ethernet(device, recording) else LinkType.RAW,
            )  # fmt: skip
        if recording.conntrack and space in recording.spaces:
            node.listen(space.label)
    if recording.snapshots:
        _describe(node, recording)
    return node


def _describe(node: Node, recording: Recording) -> None:
    """The snapshots of containers and of the capture itself."""
    containers = [
        {"id": space.label, "name": space.label,
         "addresses": [host_of(a) for d in space.devices if d.kind == "veth" for a in d.addresses]}
        for space in recording.host.containers
    ]  # fmt: skip
    node.snapshot("containers", containers)
    facts = {"started_ns": node.clock(at(recording.begin_us)), "ended_ns": node.clock(at(recording.end_us))}
    node.snapshot("capture", facts, moment="stop", time_us=recording.end_us)


def _note_frames(
    node: Node, recording: Recording, happened: Happened, noted: list[tuple[int, int, object, int]], random: Random
) -> None:
    lost: Counter[Device] = Counter()
    for point, story in frames_of(recording, happened):
        if _is_lost(recording.gaps.get(point.device), point.time_us, random):
            lost[point.device] += 1
            continue
        first = node.noted
        for piece, data in enumerate(_bytes(point, recording)):
            direction = Direction.IN if point.direction == "in" else Direction.OUT
            node.see(point.device.name, direction, point.time_us + piece, data, netns=point.space.label)
        noted.append((first, node.noted, point, story))
    for device in recording.devices:
        gap = recording.gaps.get(device)
        if gap is not None:
            node.lost(device.name, gap.from_us, 0, netns=device.space.label)
            node.lost(device.name, gap.until_us, lost[device], netns=device.space.label)
        node.lost(device.name, recording.end_us, lost[device], netns=device.space.label)


def _is_lost(gap: Gap | None, time_us: float, random: Random) -> bool:
    return gap is not None and gap.from_us <= time_us < gap.until_us and random.random() < gap.share


def _note_messages(
    node: Node,
    recording: Recording,
    space: Space,
    happened: Happened,
    noted: list[tuple[int, int, object, int]],
    random: Random,
) -> None:
    for event in dumped(recording, space, happened):
        _conntrack(node, recording.begin_us, event, DUMPED)
    lost, gap = 0, recording.gaps.get(space)
    for said in messages_of(recording, space, happened, random):
        if _is_lost(gap, said.time_us, random):
            lost += 1
            continue
        first = node.noted
        if isinstance(said.of, ConntrackEvent):
            _conntrack(node, said.time_us, said.of, _EVENTS[said.of.what])
        elif space.rules.style == "legacy" and said.of.chain.table != OWN_TABLE:
            _legacy_trace(node, said, said.of)
        else:
            _trace(node, said, said.of)
        noted.append((first, node.noted, said.of, said.story))
    if gap is not None:
        node.lost("netfilter", gap.from_us, 0, netns=space.label)
        node.lost("netfilter", gap.until_us, lost, netns=space.label)


def _conntrack(node: Node, time_us: float, event: ConntrackEvent, what: str) -> None:
    original, reply = (_tuple(ends, which) for which, ends in enumerate((event.entry.original, event.reply)))
    node.conntrack(
        time_us, original, reply, event=what, protocol=event.entry.original[0], ct_id=event.entry.number,
        status=event.status, netns=event.space.label,
    )  # fmt: skip


def _tuple(ends: Ends, direction: int) -> Tuple:
    """As conntrack tells it: an echo has an identifier and a type."""
    protocol, source, source_port, destination, destination_port = ends
    if protocol in (ICMP, ICMPV6):
        version = 4 if protocol == ICMP else 6
        destination_port = (ECHO_REQUEST, ECHO_REPLY)[direction][version][0]
    return (source, source_port), (destination, destination_port)


def _indexes(run: InChain) -> tuple[int, int]:
    return run.iif.index if run.iif else 0, run.oif.index if run.oif else 0


def _trace(node: Node, said: Message, run: InChain) -> None:
    iif, oif = _indexes(run)
    node.trace(
        said.time_us, encoded(run.outer or run.packet), run.chain.name, table=run.chain.table, netns=run.space.label,
        family=run.chain.family, trace_id=said.trace_id, iif=iif, oif=oif, ct=run.conntrack,
        rules=[(m.chain, m.handle, m.verdict) for m in run.evaluation.matches],
        policy=run.evaluation.verdict if run.evaluation.by_policy else None,
    )  # fmt: skip


def _legacy_trace(node: Node, said: Message, run: InChain) -> None:
    """TRACE of iptables-legacy: a message of NFLOG for each rule, with the whole packet."""
    packet = run.outer or run.packet
    iif, oif = _indexes(run)
    head = struct.pack(">HBB", 0x0800 if packet.version == 4 else 0x86DD, HOOKS.index(run.chain.hook or ""), 0)
    devices = (word(4, iif) if iif else b"") + (word(5, oif) if oif else b"")
    lines = [(m.chain, "rule" if m.handle else "return", m.number) for m in run.evaluation.matches]
    if run.evaluation.by_policy:
        lines = [line for line in lines if line[:2] != (run.chain.name, "return")]
        lines.append((run.chain.name, "policy", len(run.chain.rules) + 1))
    for chain, kind, number in lines:
        prefix = attribute(10, f"TRACE: {run.chain.table}:{chain}:{kind}:{number} \0".encode())
        body = attribute(1, head) + devices + prefix + attribute(9, encoded(packet)[:128])
        node.message(said.time_us, message(NFLOG, body, family=2 if packet.version == 4 else 10), netns=run.space.label)


def _whole_frames(data: bytes) -> int:
    """How many packet blocks are whole."""
    found = position = 0
    while position + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, position)
        position += length
        found += kind == BlockType.ENHANCED_PACKET and position <= len(data)
    return found
