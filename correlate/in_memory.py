"""The pipeline, stage by stage: files -> tables -> packets -> hops -> rewrites and outcomes."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ..errors import TtraceError
from ..pcapng.read import CaptureFile, is_packet_interface, read_capture
from .clocks.align import align_clocks, frames_set_back
from .decode.compared_bytes import common_reach, whole_reach
from .decode.fragments import adopt_first_fragment
from .decode.frames import Observations, count_packets, dissect_packets, put_together
from .flows.ties_by_content import begun_sequences, repeated_sequences
from .netfilter.messages import KernelMessages, decode_messages
from .netfilter.rules import Ruleset, parse_ruleset
from .nodes.topology import Source, Topology, build_topology
from .outcomes.coverage import Coverage, FileTimes, find_coverage
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
from .result.correlation import Correlation
from .schema import SIGHTING

Progress = Callable[[str], None]


def correlate_captures(
    files: Sequence[str | Source], progress: Progress | None = None, *, vxlan_ports: Sequence[int] = ()
) -> Correlation:
    """Reconstruct every hop and rewrite from the captures of one or more nodes.

    `files`: paths, `NODE=path` or `NODE/INTERFACE=path`. `progress` is called with the name of each stage.
    `vxlan_ports`: UDP ports of VXLAN, beside what is known by its content. Raises TtraceError when a file cannot be
    used.
    """
    say = progress or (lambda _stage: None)
    sources = parse_sources(files)
    say("reading")
    captures = [read_capture(s.path) for s in sources]
    topology = build_topology(captures, sources)
    say("decoding")
    decoded, reach = _decode_packets(captures, topology, vxlan_ports)
    messages = [decode_messages(c, i, topology.file_namespaces[i], reach) for i, c in enumerate(captures)]
    return correlate_decoded(captures, topology, decoded, messages, reach, say)


def correlate_decoded(
    captures: list[CaptureFile],
    topology: Topology,
    decoded: Observations,
    messages: list[KernelMessages],
    reach: npt.NDArray[np.int64],
    say: Progress,
) -> Correlation:
    """The stages behind decoding. `reach`: with which the contents were made (reach.py)."""
    setting = Setting(
        captures=captures, topology=topology, rulesets=parse_rulesets(topology), reach=reach,
        set_back=[_set_back(capture) for capture in captures],
        arrivals=Arrivals.of(topology, decoded.rows), repeated=repeated_sequences(*begun_sequences(decoded.rows)),
        changes=np.concatenate([m.ruleset_changes_ns for m in messages]), clocks=[],
        coverage=Coverage(start_ns={}, end_ns={}, gaps={}, files={}),
    )  # fmt: skip
    part = prepare(decoded, messages, setting)
    say("aligning clocks")
    setting.clocks = align_clocks(delays_by_addresses(part, setting), topology)
    say("linking connections")
    link(part, setting)
    if setting.clocks_follow_connections:
        setting.clocks = align_clocks(delays_by_connections(part, setting), topology)
    setting.coverage = find_coverage(captures, [FileTimes.of(c) for c in captures], topology, setting.clocks)
    followed = follow(part, setting, say)
    return conclude(followed, setting, count_passages(followed).summed())


def parse_sources(files: Sequence[str | Source]) -> list[Source]:
    """What the command line names. Raises TtraceError for nothing, and for what is named twice."""
    if not files:
        raise TtraceError("no capture to correlate", "name at least one file: `ttrace correlate a.pcapng b.pcapng`")
    sources = [Source.parse(f) if isinstance(f, str) else f for f in files]
    _refuse_twice(sources)
    return sources


def _refuse_twice(sources: list[Source]) -> None:
    seen: set[str] = set()
    for source in sources:
        path = os.path.realpath(source.path)
        if path in seen and source.path != "-":
            raise TtraceError(f"`{source.path}` is given twice", "each packet in it would be counted as two")
        seen.add(path)


def _decode_packets(
    captures: list[CaptureFile], topology: Topology, vxlan_ports: Sequence[int]
) -> tuple[Observations, npt.NDArray[np.int64]]:
    """The packets of all files, and the reach (reach.py) with which their contents were made."""
    counts = [count_packets(capture) for capture in captures]
    # What is no packet may be a trace message, so each record has a row; what is not used of the room costs nothing.
    room = sum(capture.records.size for capture in captures)

    def dissect(reach: npt.NDArray[np.int64] | None) -> tuple[npt.NDArray[np.void], list[Observations]]:
        table, ends = np.zeros(room, SIGHTING), np.cumsum([0, *counts]).tolist()
        return table, [
            dissect_packets(
                capture, i, topology.places[i], topology.file_namespaces[i], reach, vxlan_ports,
                table[ends[i] : ends[i + 1]],
            )
            for i, capture in enumerate(captures)
        ]  # fmt: skip

    table, files = dissect(None)
    reach = common_reach([f.kept for f in files])
    if (reach < whole_reach()).any():
        del table, files
        table, files = dissect(reach)
    for file in files:
        adopt_first_fragment(file.rows)
    return put_together(table[: sum(counts)], files, table), reach


def parse_rulesets(topology: Topology) -> dict[int, list[Ruleset]]:
    """Namespace index to its snapshots of rules, earliest first."""
    return {
        namespace.index: [
            parse_ruleset(data, time_ns)
            for time_ns, data in topology.rulesets.get((namespace.node, namespace.label), [])
        ]
        for namespace in topology.namespaces
    }


def _set_back(capture: CaptureFile) -> npt.NDArray[np.int64]:
    """Frames before which the clock had been set back."""
    packets = np.array([is_packet_interface(i) for i in capture.interfaces] + [False], np.bool_)
    kept = np.flatnonzero(packets[np.minimum(capture.records["interface"], packets.size - 1)])
    return frames_set_back(kept + 1, capture.records["time_ns"][kept])
