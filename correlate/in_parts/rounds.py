"""The pipeline for captures that are larger than the memory: the same stages, part by part.

A part holds whole connections, with everything that could be joined to them; so it is correlated as if there were no
others, but for what the stages need to know of all packets. That is found by the survey, or summed up between two
rounds over the parts: what packets say of the clocks, and where they went on to.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Final

from ...pcapng.stream import CaptureStream, open_capture
from ..clocks.align import align_clocks
from ..clocks.delays import Pairs, add_delays
from ..netfilter.rules import parse_rulesets
from ..nodes.file_facts import file_facts
from ..nodes.snapshots import gather_snapshots
from ..nodes.sources import Source, parse_sources
from ..nodes.topology import build_topology
from ..outcomes.coverage import Coverage, find_coverage
from ..outcomes.passages import PassageCounts, Passages
from ..pipeline import (
    Followed,
    Linked,
    Setting,
    conclude,
    count_passages,
    delays_by_addresses,
    delays_by_connections,
    follow,
    link,
    prepare,
)
from ..progress import Done, Progress
from ..result.correlation import Correlation
from .decoding import Decoder
from .distribution import Distribution, distribute
from .memory import parts_at_once
from .result import Order, PartedCorrelation
from .survey import survey
from .worker_pool import Workshop

MOST_PARTS: Final = 200
"""Each needs two open files."""


def correlate_in_parts(
    files: Sequence[str | Source],
    progress: Progress,
    *,
    most: int,
    workers: int,
    vxlan_ports: Sequence[int] = (),
    streams: Sequence[CaptureStream] | None = None,
) -> PartedCorrelation:
    """Reconstruct every hop and rewrite, with about `most` sightings in memory for each of `workers` processes.

    Arguments and errors otherwise as for `correlate_captures`. What is in a part that is too large to be divided is in
    memory all the same, with fewer others at a time: `PartedCorrelation.largest` says how many sightings that was.
    `streams`: the captures, where they have been opened before.
    """
    sources = parse_sources(files)
    if streams is None:
        streams = open_streams(sources, progress)
    captures = [stream.capture for stream in streams]
    snapshots = gather_snapshots(captures, sources)
    topology = build_topology(captures, sources, snapshots)
    decoder = Decoder(streams=streams, topology=topology, vxlan_ports=vxlan_ports)
    surveyed = survey(decoder, lambda done: progress("surveying", done))
    wanted = most
    assignment = surveyed.groups.assign(wanted)
    if assignment.parts > MOST_PARTS:
        wanted *= -(-assignment.parts // MOST_PARTS)
        assignment = surveyed.groups.assign(wanted)
    distribution = distribute(decoder, surveyed, assignment, lambda done: progress("distributing", done))
    surveyed.groups.close()
    setting = Setting(
        files=file_facts(captures, [stream.size for stream in streams], snapshots),
        topology=topology, rulesets=parse_rulesets(topology, snapshots), reach=surveyed.reach,
        set_back=surveyed.set_back,
        arrivals=surveyed.arrivals, repeated=surveyed.repeated, changes=surveyed.changes, clocks=[],
        coverage=Coverage(start_ns={}, end_ns={}, gaps={}, files={}), chain_heads=surveyed.chain_heads,
    )  # fmt: skip
    shop = Workshop(assignment.parts, parts_at_once(workers, most, wanted, assignment.largest))
    rounds = _Rounds(setting, distribution, shop, progress)
    setting.clocks = align_clocks(rounds.delays_by_addresses(), topology)
    if setting.clocks_follow_connections:
        setting.clocks = align_clocks(rounds.link(), topology)
    setting.coverage = find_coverage(setting.files, surveyed.times, topology, setting.clocks)
    passages = rounds.follow().summed()
    orders = rounds.conclude(passages)
    distribution.close()
    return PartedCorrelation(setting=setting, shop=shop, orders=orders, largest=assignment.largest)


def open_streams(sources: Sequence[Source], progress: Progress) -> list[CaptureStream]:
    """The captures, to be read in pieces. Raises TtraceError when one cannot be read."""
    streams = []
    for number, source in enumerate(sources):

        def walked(done: int, size: int, number: int = number) -> None:
            progress("reading", (number + done / max(size, 1)) / len(sources))

        streams.append(open_capture(source.path, walked))
    return streams


class _Rounds:
    """The rounds over the parts, and what each sums up."""

    def __init__(self, setting: Setting, distribution: Distribution, shop: Workshop, progress: Progress) -> None:
        self._setting, self._distribution, self._shop, self._progress = setting, distribution, shop, progress

    def _done(self, stage: str) -> Done:
        return lambda done: self._progress(stage, done)

    def delays_by_addresses(self) -> Pairs:
        """Sightings, and what they say of the clocks."""

        def task(number: int, _: None) -> tuple[Linked, Pairs]:
            part = prepare(self._distribution.observations(number), self._distribution.messages(number), self._setting)
            return part, delays_by_addresses(part, self._setting)

        nothing: Pairs = {}
        return reduce(add_delays, self._shop.run(task, self._done("aligning clocks")), nothing)

    def link(self) -> Pairs:
        """Connections, and what they say of the clocks."""

        def task(_: int, part: Linked) -> tuple[Linked, Pairs]:
            link(part, self._setting)
            return part, delays_by_connections(part, self._setting)

        nothing: Pairs = {}
        return reduce(add_delays, self._shop.run(task, self._done("linking connections")), nothing)

    def follow(self) -> PassageCounts:
        """Paths, and where they went on to."""

        def task(_: int, part: Linked) -> tuple[Followed, PassageCounts]:
            if part.connections is None:
                link(part, self._setting)
            followed = follow(part, self._setting)
            return followed, count_passages(followed)

        return reduce(PassageCounts.with_, self._shop.run(task, self._done("following packets")))

    def conclude(self, passages: Passages) -> list[Order]:
        """Results, and in which order their paths and connections come among all."""

        def task(_: int, part: Followed) -> tuple[Correlation, Order]:
            result = conclude(part, self._setting, passages)
            # What all parts share is not written with each.
            kept = replace(result, files=[], topology=None, coverage=None)  # type: ignore[arg-type]
            return kept, Order.of(result)

        return list(self._shop.run(task, self._done("explaining rewrites and outcomes")))
