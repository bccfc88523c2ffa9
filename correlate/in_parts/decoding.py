"""Captures in slices: frames and kernel messages decoded slice by slice, as if the files had been decoded at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...pcapng.chunks import ChunkedFile
from ...pcapng.read import CaptureFile
from ..decode.files import files_together
from ..decode.fragments import adopt_first_fragment
from ..decode.frames import observations_by_chunk
from ..decode.observations import Observations, concatenate
from ..netfilter.messages import KernelMessages
from ..netfilter.sources import decode_messages
from ..nodes.topology import Topology
from ..progress import Done
from ..schema import OUTER

_RECORDS = 1 << 17
"""Decoded at once: 40 MB of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """What is to be decoded, and what has to be known for it."""

    files: Sequence[ChunkedFile]
    topology: Topology
    vxlan_ports: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some records of one file."""

    file: int
    capture: CaptureFile
    """With the records of this slice; with none where `observations` are the fragments of the file."""
    observations: Observations


def slices(decoder: Decoder, reach: npt.NDArray[np.int64], done: Done) -> Iterator[Slice]:
    """All captured packets of all files, file by file; of each capture the fragments come last, all together.

    Only then is it known which of them belong to one datagram. `reach`: see decode/compared_bytes.py.
    """
    total = sum(chunked.capture.data.size for chunked in decoder.files) or 1
    before = 0
    last_files = {last for _, last in files_together(decoder.topology.piece_of)}
    withheld: list[Observations] = []
    for file, chunked in enumerate(decoder.files):
        places, namespaces = decoder.topology.places[file], decoder.topology.file_namespaces[file]
        for chunk, decoded in observations_by_chunk(
            chunked, file, places, namespaces, reach, decoder.vxlan_ports, records_per_chunk=_RECORDS
        ):
            seen = decoded
            pieces = (seen.rows["fragment"] != 0) & (seen.rows["ip_version"] > 0)
            if pieces.any():
                withheld.append(_take(seen, pieces, np.zeros_like(seen.kept)))
                seen = _take(seen, ~pieces, seen.kept)
            yield Slice(file=file, capture=chunk.capture, observations=seen)
            done((before + chunk.consumed) / total)
        if withheld and file in last_files:
            fragments, withheld = concatenate(withheld), []
            adopt_first_fragment(fragments.rows)
            yield Slice(
                file=file, capture=replace(chunked.capture, records=chunked.capture.records[:0]), observations=fragments
            )
        before += chunked.capture.data.size


def messages_of(decoder: Decoder, piece: Slice, reach: npt.NDArray[np.int64]) -> KernelMessages:
    """The kernel messages of a slice."""
    return decode_messages(piece.capture, piece.file, decoder.topology.file_namespaces[piece.file], reach)


def _take(observations: Observations, rows: npt.NDArray[np.bool_], kept: npt.NDArray[np.int64]) -> Observations:
    """Some of the rows, with their outer headers; `kept`: the counts that go with them."""
    taken = observations.rows.take(np.flatnonzero(rows))
    outers = np.empty(0, OUTER)
    inside = np.flatnonzero(taken["outer"])
    if inside.size:
        outers = observations.outers.take(taken["outer"][inside].astype(np.int64) - 1)
        taken["outer"][inside] = np.arange(1, inside.size + 1)
    return Observations(rows=taken, outers=outers, kept=kept)
