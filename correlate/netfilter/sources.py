"""The kinds of kernel messages there are, and how the messages of a file are decoded.

Trace messages become chain evaluations (evaluations.py), conntrack messages say what is translated, and changes of the
rules which snapshot held. Every other kind of message is one sighting of a packet, and is a SightingSource: all that
ttrace knows of it stands in its own module here, which is named in SIGHTING_SOURCES. Matching, ordering, parts and
reports need no more than that.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...pcapng.read import CaptureFile
from ..decode.compared_bytes import whole_reach
from ..sightings import EVALUATION, FRAME
from . import conntrack_messages, ruleset_changes, trace_messages
from .drops import DROPS
from .messages import FoundMessages, KernelMessages, RawMessages, SightingSource, find_messages

SIGHTING_SOURCES: Final[list[SightingSource]] = [DROPS]
"""The kinds of messages each of which is one sighting."""


def source_of_kind(kind: int) -> SightingSource:
    """The source whose sightings are of this kind. Raises StopIteration when none is."""
    return next(source for source in SIGHTING_SOURCES if source.kind == kind)


def kind_names() -> list[str]:
    """What hops are called in the JSON contract, by the kind of their sighting."""
    names = {FRAME: "interface", EVALUATION: "chain"} | {source.kind: source.name for source in SIGHTING_SOURCES}
    return [names.get(kind, "") for kind in range(max(names) + 1)]


def decode_messages(
    capture: CaptureFile,
    file: int,
    namespaces: npt.NDArray[np.uint16],
    reach: npt.NDArray[np.int64] | None = None,
) -> KernelMessages:
    """Decode every kernel message of one capture file.

    `namespaces` gives the namespace index of each of the file's interfaces; `reach` says how many bytes of the
    transport headers count (decode/compared_bytes.py; default: all there are). A malformed message is counted and left
    out.
    """
    found = find_messages(capture, namespaces)

    def raw(types: tuple[int, ...]) -> RawMessages:
        return _raw(capture, file, found, types, whole_reach() if reach is None else reach)

    trace = trace_messages.decode_traces(raw(trace_messages.TYPES))
    entries, malformed_entries = conntrack_messages.decode_conntrack(raw(conntrack_messages.TYPES))
    said, malformed = {}, found.malformed + trace.malformed + malformed_entries
    for source in SIGHTING_SOURCES:
        said[source.kind], wrong = source.decode(raw(source.types))
        malformed += wrong
    return KernelMessages(
        events=trace.events, headers=trace.headers, conntrack=entries, names=trace.names,
        ruleset=ruleset_changes.ruleset_changes(raw(ruleset_changes.TYPES)), malformed=malformed, said=said,
    )  # fmt: skip


def _raw(
    capture: CaptureFile, file: int, found: FoundMessages, types: tuple[int, ...], reach: npt.NDArray[np.int64]
) -> RawMessages:
    which = found.of_types(*types)
    return RawMessages(data=capture.data, file=file, rows=found.rows, which=which, reach=reach)
