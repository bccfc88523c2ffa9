"""The pipeline for captures that are larger than the memory: the same stages, part by part.

A part holds whole connections, with everything that could be joined to them; so it is correlated as if there were no
others, but for what the stages need to know of all packets. That is found by the survey, or summed up between two
rounds over the parts: what packets say of the clocks, and where they went on to.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Final, TypeVar

from ...pcapng.chunks import ChunkedFile, open_in_chunks
from ..clocks.align import align_clocks
from ..clocks.delays import Pairs, add_delays
from ..findings.clues import AllClues
from ..netfilter.rule_history import build_histories
from ..netfilter.rules import parse_rulesets
from ..nodes.file_facts import file_facts
from ..nodes.limits import within_limits
from ..nodes.merged import take_files_apart
from ..nodes.pieces import name_files
from ..nodes.rings import in_ring_order
from ..nodes.snapshots import NodeSnapshots, gather_snapshots
from ..nodes.sources import Source, parse_sources
from ..nodes.surroundings import find_surroundings
from ..nodes.topology import build_topology
from ..outcomes.coverage import Coverage, find_coverage
from ..outcomes.passages import PassageCounts
from ..pipeline import Setting
from ..progress import Progress
from .decoding import Decoder
from .distribution import Distribution, PartTables, distribute
from .flow_groups import Assignment, FlowGroups
from .memory import parts_at_once
from .result import Order, PartedCorrelation
from .survey import Survey, survey
from .tasks import (
    PartWork,
    Shared,
    conclude_part,
    follow_packets,
    forget_shared,
    link_connections,
    make_sightings,
)
from .work_folder import WorkFolder, save
from .worker_pool import WorkerPool

MOST_PARTS: Final = 200
"""In each round a part costs some milliseconds, and reading and writing two files, however small it is."""

Answer = TypeVar("Answer")


def correlate_in_parts(
    files: Sequence[str | Source],
    progress: Progress,
    *,
    most: int,
    workers: int,
    vxlan_ports: Sequence[int] = (),
    opened: Sequence[ChunkedFile] | None = None,
) -> PartedCorrelation:
    """Reconstruct every hop and rewrite, with about `most` sightings in memory for each of `workers` processes.

    Arguments and errors otherwise as for `correlate_captures`. What is in a part that is too large to be divided is in
    memory all the same, with fewer others at a time: `PartedCorrelation.largest` says how many sightings that was.
    `opened`: the captures, where they have been opened before.
    """
    sources = parse_sources(files)
    opened = open_files(sources, progress) if opened is None else opened
    opened, sources = take_files_apart(opened, sources)
    opened, sources = in_ring_order([chunked.capture for chunked in opened], sources, opened)
    sources = name_files(opened, sources)
    captures = [chunked.capture for chunked in opened]
    snapshots = gather_snapshots(captures, sources)
    topology = within_limits(build_topology(captures, sources, snapshots))
    decoder = Decoder(files=opened, topology=topology, vxlan_ports=vxlan_ports)
    folder = WorkFolder()
    try:
        surveyed = survey(decoder, folder, lambda done: progress("surveying", done))
        assignment = _divide(surveyed.groups, most)
        distribution = distribute(decoder, surveyed, assignment, folder, lambda done: progress("distributing", done))
        surveyed.groups.close()
        at_once = parts_at_once(workers, most, assignment.wanted, assignment.largest)
        rounds = _Rounds(folder, WorkerPool(at_once), assignment.parts, progress)
        found = rounds.all(_setting(decoder, snapshots, surveyed), surveyed, distribution)
    except BaseException:
        folder.close()  # whatever still holds the error
        raise
    return PartedCorrelation(
        setting=found.setting, folder=folder, parts=rounds.parts, orders=found.orders, clues=found.clues,
        largest=assignment.largest, surroundings=find_surroundings(snapshots, topology), opened=opened,
    )  # fmt: skip


def open_files(sources: Sequence[Source], progress: Progress, max_expanded: int | None = None) -> list[ChunkedFile]:
    """The captures, to be read in pieces. Raises TtraceError when one cannot be read. `max_expanded`: most bytes that
    may come out of a compressed one (pcapng/spool.py)."""
    opened = []
    for number, source in enumerate(sources):

        def walked(done: int, size: int, number: int = number) -> None:
            progress("reading", (number + done / max(size, 1)) / len(sources))

        opened.append(open_in_chunks(source.path, walked, max_expanded))
    return opened


def _divide(groups: FlowGroups, most: int) -> Assignment:
    """Parts of about `most` sightings, or of more where they would be too many."""
    assignment = groups.assign(most)
    if assignment.parts > MOST_PARTS:
        assignment = groups.assign(most * -(-assignment.parts // MOST_PARTS))
    return assignment


def _setting(decoder: Decoder, snapshots: NodeSnapshots, surveyed: Survey) -> Setting:
    """What is known before the first round."""
    captures = [chunked.capture for chunked in decoder.files]
    rulesets = parse_rulesets(decoder.topology, snapshots)
    return Setting(
        files=file_facts(captures, [chunked.size for chunked in decoder.files], snapshots),
        topology=decoder.topology, rulesets=rulesets, reach=surveyed.reach,
        set_back=surveyed.set_back, arrivals=surveyed.arrivals, repeated=surveyed.repeated,
        crowded=surveyed.groups.crowded, servers=surveyed.servers,
        histories=build_histories(surveyed.ruleset, rulesets),
        clocks=[], coverage=Coverage(start_ns={}, end_ns={}, gaps={}, files={}), chain_heads=surveyed.chain_heads,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the last round leaves, beside the parts."""

    setting: Setting
    orders: list[Order]
    clues: AllClues


class _Rounds:
    """The rounds over the parts; between two of them the parts are in files."""

    def __init__(self, folder: WorkFolder, pool: WorkerPool, parts: int, progress: Progress) -> None:
        self._folder, self._pool, self._progress = folder, pool, progress
        self._count = parts
        self.parts: list[str] = []
        """The file of each, of the last round."""
        self._staying = [folder.new_name(f"staying-{number}") for number in range(parts)]

    def all(self, setting: Setting, surveyed: Survey, distribution: Distribution) -> _Found:
        """One after the other, with what each needs of all parts summed up before."""
        shared = Shared(setting=setting, names=surveyed.names, malformed=surveyed.malformed)
        tables = [distribution.part(number) for number in range(self._count)]
        nothing: Pairs = {}
        delays = reduce(add_delays, self._run("aligning clocks", make_sightings, shared, tables), nothing)
        distribution.close()
        shared = shared.where(clocks=align_clocks(delays, setting.topology))
        if shared.setting.clocks_follow_connections(surveyed.times):
            delays = reduce(add_delays, self._run("linking connections", link_connections, shared), nothing)
            shared = replace(shared, setting=shared.setting.by_connections(delays))
        shared = shared.where(
            coverage=find_coverage(setting.files, surveyed.times, setting.topology, shared.setting.clocks)
        )
        counts = reduce(PassageCounts.with_, self._run("following packets", follow_packets, shared))
        shared = replace(shared, passages=counts.summed())
        orders, clues = [], AllClues()
        for order, found in self._run("explaining rewrites and outcomes", conclude_part, shared):
            orders.append(order)
            clues.add(found)
        return _Found(setting=shared.setting, orders=orders, clues=clues)

    def _run(
        self, stage: str, task: Callable[[PartWork], Answer], shared: Shared, tables: Sequence[PartTables] = ()
    ) -> Iterator[Answer]:
        """One round: what the task says of each part."""
        shared_file = self._folder.new_name("shared")
        save(shared_file, shared)
        works = [
            PartWork(
                number=number, shared=shared_file, tables=tables[number] if tables else None,
                before=self.parts[number] if self.parts else None, after=self._folder.new_name(f"part-{number}"),
                staying=self._staying[number],
            )
            for number in range(self._count)
        ]  # fmt: skip
        try:
            for work, answer in zip(
                works, self._pool.run(task, works, lambda done: self._progress(stage, done)), strict=True
            ):
                if work.before is not None:
                    Path(work.before).unlink()
                yield answer
        finally:
            forget_shared()
        Path(shared_file).unlink()
        self.parts = [work.after for work in works]
