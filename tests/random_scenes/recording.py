"""Who records what of a scene: which devices, with which clock, for how long, and what gets lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from ttrace.bench.truth.clock import Clock

from .happened import AtDevice, ConntrackEvent, Happened, InChain
from .packets import TCP, UDP
from .topology import Device, Host, Space, World

_PROTOCOLS = {"tcp": TCP, "udp": UDP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """For some time a capture loses a part of what it should record, and says how much."""

    from_us: float
    until_us: float
    share: float


@dataclass(eq=False, slots=True, kw_only=True)
class Recording:
    """What is recorded on one node."""

    host: Host
    form: str
    """`pcapng`: one file as `ttrace capture` writes it; `pcap`: a file for each device, as tcpdump does."""
    devices: list[Device]
    begin_us: float
    end_us: float
    clock: Clock
    snapshots: bool = True
    conntrack: bool = True
    traced: float = 0
    """Part of the packets that are traced."""
    shared_ids: bool = False
    """Later packets of a flow have the trace id of an earlier one."""
    late_us: float = 100
    """Trace messages are received up to so much later."""
    filter: str | None = None
    """`tcp` or `udp`: nothing else is recorded."""
    snaplen: int = 0
    ethernet: bool = True
    named: bool = True
    """The command line says which node and device a pcap is of."""
    nano: bool = False
    cut_at: float = 1
    """The file ends behind this part of its bytes."""
    gaps: dict[Device | Space, Gap] = field(default_factory=dict)
    """A namespace: of its messages."""

    @property
    def spaces(self) -> list[Space]:
        """The namespaces that are recorded."""
        return [space for space in self.host.spaces if any(d.space is space for d in self.devices)]

    @property
    def is_good(self) -> bool:
        """Nothing is missing in it that a capture can hold, and its clock is right."""
        all_devices = {device for space in self.host.spaces for device in space.devices}
        whole = self.cut_at == 1 and not self.gaps and not self.snaplen and self.filter is None and self.begin_us == 0
        told = self.form == "pcapng" and self.snapshots and self.conntrack
        return told and whole and self.clock == Clock() and set(self.devices) == all_devices

    def covers(self, time_us: float) -> bool:
        return self.begin_us <= time_us < self.end_us


def choose_recordings(world: World, random: Random, until_us: float) -> list[Recording]:
    """All nodes well, or most of them, at least one, with all that can go wrong."""
    if random.random() < 0.3:
        return [_well(host, random, until_us) for host in world.nodes]
    found = []
    sure = random.choice([host for host in world.nodes if host.containers] or world.nodes)
    for host in world.nodes:
        if host is not sure and random.random() < 0.15:
            continue
        found.append(_recording(host, random, until_us))
    _set_clocks(found, random)
    return found


def _well(host: Host, random: Random, until_us: float) -> Recording:
    devices = [device for space in host.spaces for device in space.devices]
    late_us = random.choice([50, 400])
    return Recording(
        host=host, form="pcapng", devices=devices, begin_us=0, end_us=until_us, clock=Clock(), late_us=late_us,
        traced=random.choice([0, 1, 1]), shared_ids=random.random() < 0.4,
    )  # fmt: skip


def _recording(host: Host, random: Random, until_us: float) -> Recording:
    form = "pcap" if random.random() < 0.3 else "pcapng"
    devices = [d for d in host.root.devices if d.kind != "loopback" or random.random() < 0.5]
    if random.random() < 0.5:
        kept = [d for d in devices if random.random() < 0.6]
        devices = kept or [random.choice(devices)]
    if random.random() < 0.35:
        devices += [d for space in host.containers for d in space.devices if d.kind == "veth"]
    late, early = random.random() < 0.15, random.random() < 0.15
    found = Recording(
        host=host, form=form, devices=devices, clock=Clock(),
        begin_us=random.uniform(0.2, 0.5) * until_us if late else 0,
        end_us=random.uniform(0.5, 0.8) * until_us if early else until_us,
        snaplen=random.choice([0, 0, 0, 0, 128, 96, 64]), ethernet=random.random() < 0.8,
        named=random.random() < 0.6, nano=random.random() < 0.3,
    )  # fmt: skip
    if form == "pcapng":
        found.snapshots = random.random() < 0.85
        found.conntrack = random.random() < 0.85
        found.traced = random.choice([0, 1, 1, 1, 0.4]) if found.conntrack else 0
        found.shared_ids, found.late_us = random.random() < 0.4, random.choice([50, 400, 20_000])
        if random.random() < 0.2:
            found.gaps = dict(_gaps(found, random, until_us))
        if random.random() < 0.1:
            found.filter = random.choice(["tcp", "udp"])
    if random.random() < 0.12:
        found.cut_at = random.uniform(0.6, 0.98)
    return found


def _gaps(recording: Recording, random: Random, until_us: float) -> Iterator[tuple[Device | Space, Gap]]:
    for place in [*recording.devices, *recording.spaces]:
        if random.random() < 0.4:
            begin_us = random.uniform(0.1, 0.7) * until_us
            length_us = random.uniform(0.05, 0.3) * until_us
            yield place, Gap(from_us=begin_us, until_us=begin_us + length_us, share=random.choice([0.3, 1]))


def _set_clocks(recordings: list[Recording], random: Random) -> None:
    """The clock of one is right; the others may be wrong in every way."""
    for recording in recordings[1:]:
        shift_s = random.choice([0, 0, 0.0004, -0.03, 1.7, -4, 86_400, -7 * 365 * 86_400])
        drift = random.choice([0, 0, 0, 15, -80])
        recording.clock = Clock(shift_ns=round(shift_s * 1e9), drift_ppm=drift)
        if random.random() < 0.12:
            step = random.choice([-400_000_000, 400_000_000])
            recording.clock = Clock(shift_ns=round(shift_s * 1e9), step_ns=step, step_after_ns=1_500_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing the kernel says, and when that is received."""

    time_us: float
    of: InChain | ConntrackEvent
    story: int
    """Number of the packet; 0 for conntrack."""
    trace_id: int = 0


def frames_of(recording: Recording, happened: Happened) -> Iterator[tuple[AtDevice, int]]:
    """What passes its devices while it lasts, with the number of the packet."""
    wanted = set(recording.devices)
    for story in happened.stories:
        for point in story.points:
            if not isinstance(point, AtDevice) or point.device not in wanted or not recording.covers(point.time_us):
                continue
            if recording.filter is None or (point.outer or point.packet).protocol == _PROTOCOLS[recording.filter]:
                yield point, story.number


def messages_of(recording: Recording, space: Space, happened: Happened, random: Random) -> list[Message]:
    """What the kernel says of a namespace, in the order of its socket."""
    said: list[tuple[float, int, InChain | ConntrackEvent, int, int]] = []
    ids = _TraceIds(random=random, shared=recording.shared_ids)
    for story in happened.stories:
        if random.random() >= recording.traced:
            continue
        for point in story.points:
            if isinstance(point, InChain) and point.space is space and recording.covers(point.time_us):
                trace_id = ids.of(story.number, (story.connection, story.forward), point)
                said.append((point.time_us, len(said), point, story.number, trace_id))
    if recording.conntrack:
        for event in happened.conntrack:
            if event.space is space and recording.covers(event.time_us):
                said.append((event.time_us, len(said), event, 0, 0))
    found: list[Message] = []
    received_us = 0.0
    for time_us, _, what, story, trace_id in sorted(said, key=lambda one: one[:2]):
        received_us = max(received_us, time_us + random.uniform(0.02, 1) * recording.late_us)
        found.append(Message(time_us=received_us, of=what, story=story, trace_id=trace_id))
    return found


@dataclass(eq=False, slots=True, kw_only=True)
class _TraceIds:
    """Trace ids: one for several packets of a flow, but never for two at the same time; another behind a bridge port
    whose packets pass prerouting there."""

    random: Random
    shared: bool
    _mine: dict[object, int] = field(default_factory=dict)
    _of_flow: dict[object, tuple[int, float]] = field(default_factory=dict)
    """Id, and when its last packet was seen."""

    def of(self, story: int, flow: object, point: InChain) -> int:
        bridged = point.space.bridge_nf and point.iif is not None and point.iif.kind == "bridge"
        place = bridged and point.chain.hook == "prerouting", point.outer is not None
        key = story, place
        if key not in self._mine:
            known, last_us = self._of_flow.get((flow, place), (0, 0.0))
            usable = self.shared and known and point.time_us > last_us + 2_000
            self._mine[key] = known if usable else self.random.randrange(1, 2**32)
        self._of_flow[flow, place] = self._mine[key], max(point.time_us, self._of_flow.get((flow, place), (0, 0.0))[1])
        return self._mine[key]


def dumped(recording: Recording, space: Space, happened: Happened) -> list[ConntrackEvent]:
    """The entries that are there when it begins."""
    entries: dict[int, ConntrackEvent] = {}
    for event in happened.conntrack:
        if event.space is space and event.time_us < recording.begin_us:
            entries[event.entry.number] = event
    return [event for event in entries.values() if event.what != "destroyed"]
