"""The trace messages of a file, of nftrace and of iptables-legacy: events, and the headers that came with them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...kernels.njit import njit
from ..protocols import ETHERTYPE_IPV4, ETHERTYPE_IPV6
from ..schema import SIGHTING, TRACE_EVENT
from ..sightings import EVALUATION
from .attributes import Scratch
from .legacy_trace import decode_legacy_trace
from .messages import RawMessages
from .nftrace import FOREIGN, WITH_HEADER, decode_nftrace
from .numbers import ABSENT, NFT_TRACE, NO_VERDICT, ULOG_PACKET

TYPES = (NFT_TRACE, ULOG_PACKET)


class Traced(NamedTuple):
    """What the trace of a file says; fields as in KernelMessages."""

    events: npt.NDArray[np.void]
    headers: npt.NDArray[np.void]
    names: dict[int, str]
    malformed: int


def decode_traces(raw: RawMessages) -> Traced:
    """Decode the messages of both kinds, which keep their order. A malformed one is counted and left out."""
    events, headers = np.zeros(raw.which.size + 1, TRACE_EVENT), np.zeros(raw.which.size + 1, SIGHTING)
    if raw.which.size == 0:
        return Traced(events[:0], headers[:0], {}, 0)
    scratch = Scratch.of(raw.reach)
    e, h, malformed = _decode(raw.data, raw.rows, raw.which, raw.file, events, headers, scratch)
    return Traced(events[:e], headers[:h], scratch.names_in(raw.data), malformed)


@njit(cache=True, nogil=True)
def _decode(data, messages, which, file, events, headers, scratch):
    """(events, headers, malformed messages) filled in and counted; of the two tables, one row more is there."""
    e = h = malformed = 0
    for i in which:
        message = messages[i]
        row, header = events[e], headers[h]
        _begin(row, message, file)
        if message.type == NFT_TRACE:
            state = decode_nftrace(data, message.start, message.end, row, header, scratch)
        else:
            state = decode_legacy_trace(data, message.start, message.end, row, header, scratch)
        if state == WITH_HEADER:
            row.header = h
            header.time_ns = message.time_ns
            header.frame = message.frame
            header.file = file
            header.namespace = message.namespace
            header.kind = EVALUATION
            header.ethertype = ETHERTYPE_IPV4 if header.ip_version == 4 else ETHERTYPE_IPV6
            h += 1
        if state >= 0:
            e += 1
        else:
            malformed += state != FOREIGN
            events[e] = np.zeros(1, events.dtype)[0]
    return e, h, malformed


@njit(cache=True)
def _begin(row, message, file):
    """What each event has, and what it has not until an attribute says it."""
    row.time_ns = message.time_ns
    row.file = file
    row.frame = message.frame
    row.namespace = message.namespace
    row.family = message.family
    row.policy = ABSENT
    row.conntrack_direction = ABSENT
    row.hook = ABSENT
    row.verdict = NO_VERDICT
    row.header = -1
