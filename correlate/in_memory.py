"""The pipeline, stage by stage: files -> tables -> packets -> hops -> rewrites and outcomes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..kernels.threads import run_all
from ..pcapng.read import CaptureFile, read_capture
from ..pcapng.record_times import RecordTimes
from ..pcapng.shrinking import refuse_shorter
from .clocks.align import align_clocks
from .clocks.reference_time import frames_set_back
from .decode.files import decode_packets
from .decode.observations import Observations
from .flows.repeated_sequences import begun_sequences, repeated_sequences
from .flows.servers import Servers, Talks
from .netfilter.messages import KernelMessages
from .netfilter.rule_history import build_histories
from .netfilter.rules import parse_rulesets
from .netfilter.sources import decode_messages
from .nodes.file_facts import file_facts
from .nodes.limits import within_limits
from .nodes.merged import take_apart
from .nodes.pieces import name_pieces
from .nodes.rings import in_ring_order
from .nodes.snapshots import NodeSnapshots, gather_snapshots
from .nodes.sources import Source, parse_sources
from .nodes.surroundings import find_surroundings
from .nodes.topology import Topology, build_topology
from .outcomes.coverage import Coverage, find_coverage
from .outcomes.next_node import Arrivals
from .pipeline import (
    Setting,
    conclude,
    count_passages,
    delays_by_addresses,
    delays_by_connections,
    follow,
    link,
    prepare,
)
from .progress import Progress, unheard
from .result.correlation import Correlation


def correlate_captures(
    files: Sequence[str | Source],
    progress: Progress = unheard,
    *,
    vxlan_ports: Sequence[int] = (),
    max_expanded: int | None = None,
) -> Correlation:
    """Reconstruct every hop and rewrite from the captures of one or more nodes.

    `files`: paths, `NODE=path` or `NODE/INTERFACE=path`. `vxlan_ports`: UDP ports of VXLAN, beside what is known by its
    content. `max_expanded`: most bytes that may come out of a compressed file (pcapng/spool.py). Raises TtraceError
    when a file cannot be used.
    """
    sources = parse_sources(files)
    progress("reading", None)
    captures, sources = take_apart([read_capture(s.path, max_expanded) for s in sources], sources)
    captures, sources = in_ring_order(captures, sources, captures)
    sources = name_pieces(captures, sources)
    snapshots = gather_snapshots(captures, sources)
    topology = within_limits(build_topology(captures, sources, snapshots))
    progress("decoding", None)
    decoded, reach = decode_packets(captures, topology, vxlan_ports)
    messages = run_all(
        lambda file: decode_messages(captures[file], file, topology.file_namespaces[file], reach), range(len(captures))
    )
    refuse_shorter()
    return correlate_decoded(captures, snapshots, topology, decoded, messages, reach, progress)


def correlate_decoded(
    captures: list[CaptureFile],
    snapshots: NodeSnapshots,
    topology: Topology,
    decoded: Observations,
    messages: list[KernelMessages],
    reach: npt.NDArray[np.int64],
    progress: Progress,
) -> Correlation:
    """The stages behind decoding. `reach`: with which the contents were made (decode/compared_bytes.py)."""
    rulesets = parse_rulesets(topology, snapshots)
    setting = Setting(
        files=file_facts(captures, [capture.records.size for capture in captures], snapshots), topology=topology,
        rulesets=rulesets, reach=reach, set_back=frames_set_back(captures),
        arrivals=Arrivals.of(topology, decoded.rows), repeated=repeated_sequences(*begun_sequences(decoded.rows)),
        crowded=np.empty(0, np.uint64), servers=Servers.of([Talks.of(decoded.rows)]),
        histories=build_histories([told for one in messages for told in one.ruleset], rulesets), clocks=[],
        coverage=Coverage(start_ns={}, end_ns={}, gaps={}, files={}),
    )  # fmt: skip
    part = prepare(decoded, messages, setting)
    progress("aligning clocks", None)
    setting = replace(setting, clocks=align_clocks(delays_by_addresses(part, setting), topology))
    progress("linking connections", None)
    link(part, setting)
    times = [RecordTimes.of(capture) for capture in captures]
    if setting.clocks_follow_connections(times):
        setting = setting.by_connections(delays_by_connections(part, setting))
    setting = replace(setting, coverage=find_coverage(setting.files, times, topology, setting.clocks))
    followed = follow(part, setting, progress)
    result = conclude(followed, setting, count_passages(followed).summed())
    result.opened.update(enumerate(captures))
    result.surroundings = find_surroundings(snapshots, topology)
    return result
