"""What of two sightings was compared to find out whether they are one packet: the fields, and their values.

`content` (schema.py) is a hash: here is what it was made of, read from the columns and, where there is no column, from
the captured bytes. Which bytes those are, says decode/compared_bytes.py.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from ..decode.compared_bytes import (
    ABOUT,
    ARP_BYTES,
    FLOW_LABEL,
    ICMP_BYTES,
    OTHER_BYTES,
    SCTP_BYTES,
    SCTP_TAG,
    TCP_FLAGS_END,
    TCP_REACH,
    UDP_BYTES,
    WHOLE,
)
from ..decode.icmp import is_query
from ..decode.ip import dissect_network
from ..decode.link_layer import network_start
from ..decode.payload import contradict
from ..packets.datagrams import is_datagram
from ..protocols import DCCP, ETHERTYPE_ARP, FRAGMENT_OFFSET, ICMP, ICMPV6, SCTP, TCP, UDP, UDP_LITE
from ..result.correlation import Correlation
from ..result.words import protocol_name, tcp_flags_text
from ..schema import NOTE_CUT, NOTE_ERROR, SIGHTING
from ..sightings import FRAME

_LIKE_UDP: Final = (UDP, DCCP, UDP_LITE)
"""Protocols whose checksum ends where that of UDP does."""
_BOTH_ICMP: Final = (ICMP, ICMPV6)
_WHOLE, _FRAGMENTED = "whole", "fragmented"
MISSING: Final = "none"
"""In place of a value that a packet does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedField:
    """One thing that NAT does not change."""

    name: str
    """A column of SIGHTING, or one of `first_bytes`, `flow_label`, `verification_tag`, `about`."""
    value: int | str
    """Bytes in hexadecimal, TCP flags by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A compared field in which another packet differs from the explained one."""

    name: str
    """As of a ComparedField; or `protocol`, or `datagram` where only one of them came in fragments."""
    value: int | str
    """Of the other packet."""
    own: int | str
    """Of the explained one."""


class PayloadCheck(StrEnum):
    """What comparing two payloads said, by a digest of each (decode/payload.py: contradict)."""

    EQUAL = "equal"
    CHECKSUM = "checksum"
    """Not all of it was captured on both sides, but the checksums, less what NAT changes in them, are equal."""
    DIFFERENT = "different"
    """The payloads differ, or where one was cut, such checksums."""
    PARTIAL = "partial"
    """Not all of it was captured on both sides, and a checksum says nothing."""
    NONE = "none"
    """There is none, or none that stays the same."""


@dataclass(frozen=True, slots=True)
class _Located:
    """Where the innermost datagram of a frame is in its file."""

    data: npt.NDArray[np.uint8]
    network: int
    transport: int
    end: int
    """Of its captured bytes."""

    def bytes_at(self, start: int, end: int) -> bytes:
        """The captured bytes of the file from `start` on, up to `end`."""
        return self.data[start : min(end, self.end)].tobytes()


def compared_fields(result: Correlation, sighting: int) -> tuple[ComparedField, ...]:
    """What the content of a captured frame was made of; the most telling first."""
    row = result.sightings[sighting]
    if is_datagram(row) and row["ip_version"] == 6:
        return (ComparedField(name="datagram", value=f"{int(row['content']) & 0xFFFFFFFF:08x}"),)
    if is_datagram(row):
        return (ComparedField(name="ip_id", value=int(row["ip_id"])),)
    if row["ip_version"] == 0:
        return _other_fields(result, sighting)
    reach = int(result.reach[int(row["ip_version"] == 6)])
    at = _locate(result, sighting)
    by_ip = _network_fields(row, at, reach)
    by_transport = _transport_fields(row, at, reach)
    # A TCP stream numbers its bytes; of a datagram the identification tells most.
    return (*by_transport, *by_ip) if row["protocol"] == TCP else (*by_ip, *by_transport)


def differences(result: Correlation, own: int, other: int) -> tuple[Difference, ...]:
    """The compared fields in which the frame `other` differs from the frame `own`; the most telling first."""
    a, b = result.sightings[own], result.sightings[other]
    protocols = [protocol_name(int(row["protocol"]), int(row["ethertype"])) for row in (a, b)]
    if protocols[0] != protocols[1]:
        return (Difference(name="protocol", value=protocols[1], own=protocols[0]),)
    if is_datagram(a) != is_datagram(b):
        kinds = [_FRAGMENTED if is_datagram(row) else _WHOLE for row in (a, b)]
        return (Difference(name="datagram", value=kinds[1], own=kinds[0]),)
    mine = {field.name: field.value for field in compared_fields(result, own)}
    its = {field.name: field.value for field in compared_fields(result, other)}
    return tuple(
        Difference(name=name, value=its.get(name, MISSING), own=mine.get(name, MISSING))
        for name in dict.fromkeys((*mine, *its))
        if mine.get(name) != its.get(name)
    )


def check_payload(result: Correlation, own: int, other: int) -> PayloadCheck:
    """What the payloads of two sightings say."""
    a, b = result.sightings[own], result.sightings[other]
    if payloads_contradict((a["payload"], a["residue"]), (b["payload"], b["residue"])):
        return PayloadCheck.DIFFERENT
    if not _has_payload(a):
        return PayloadCheck.NONE
    if a["payload"] and b["payload"]:
        return PayloadCheck.EQUAL
    return PayloadCheck.CHECKSUM if a["residue"] and b["residue"] else PayloadCheck.PARTIAL


def payloads_contradict(one: tuple[np.uint64, np.uint16], other: tuple[np.uint64, np.uint16]) -> bool:
    """Whether (payload, residue) of two packets (SIGHTING) say that they are not the same, as matching has it."""
    return bool(contradict.py_func(*one, *other))


def first_different_byte(result: Correlation, own: int, other: int) -> int | None:
    """Offset of the first byte of the payloads of two frames that differs; None where none can be named."""
    payloads = [_payload(result, sighting) for sighting in (own, other)]
    for offset, (a, b) in enumerate(zip(*payloads, strict=False)):
        if a != b:
            return offset
    return None


def _has_payload(row: np.void) -> bool:
    """There is a payload, and no router changes it."""
    if row["ip_version"] == 0 or row["notes"] & NOTE_ERROR or is_datagram(row):
        return False
    if row["protocol"] in (TCP, UDP, *_BOTH_ICMP):
        return bool(row["payload_length"])
    return True


def _payload(result: Correlation, sighting: int) -> bytes:
    at, row = _locate(result, sighting), result.sightings[sighting]
    if at is None or not row["payload_length"]:
        return b""
    start = at.network + int(row["length"]) - int(row["payload_length"])
    return at.bytes_at(start, at.end)


def _network_fields(row: np.void, at: _Located | None, reach: int) -> list[ComparedField]:
    fields = []
    if row["ip_version"] == 4 or row["ip_id"]:
        fields.append(ComparedField(name="ip_id", value=int(row["ip_id"])))
    fields.append(ComparedField(name="length", value=int(row["length"])))
    if row["fragment"]:
        fields.append(ComparedField(name="fragment", value=int(row["fragment"] & FRAGMENT_OFFSET) * 8))
    if row["ip_version"] == 6 and at is not None and (row["protocol"] != TCP or reach < TCP_REACH):
        label = int.from_bytes(at.bytes_at(at.network, at.network + 4), "big") & FLOW_LABEL
        fields += [ComparedField(name="flow_label", value=label)] if label else []
    return fields


def _transport_fields(row: np.void, at: _Located | None, reach: int) -> list[ComparedField]:
    if row["notes"] & NOTE_CUT:
        return []
    if row["protocol"] == TCP:
        return _tcp_fields(row, reach)
    fields = []
    start, end = (at.transport, at.transport + reach) if at is not None else (0, 0)
    if row["protocol"] in _BOTH_ICMP:
        fields.append(ComparedField(name="icmp_type", value=int(row["icmp_type"])))
        fields.append(ComparedField(name="icmp_code", value=int(row["icmp_code"])))
        if row["notes"] & NOTE_ERROR:
            return fields + _error_fields(at, reach)
        if _is_query(row):
            fields.insert(0, ComparedField(name="sequence", value=int(row["sequence"])))
            start += ICMP_BYTES
        else:
            start += 4
    elif row["protocol"] == SCTP:
        tag = at.bytes_at(start + SCTP_TAG, start + SCTP_TAG + 4).hex() if at is not None else ""
        fields += [ComparedField(name="verification_tag", value=tag)] if tag else []
        start += SCTP_BYTES
    elif row["protocol"] in _LIKE_UDP:
        start += UDP_BYTES
    first = at.bytes_at(start, end).hex() if at is not None else ""
    return [*fields, ComparedField(name="first_bytes", value=first)] if first else fields


def _is_query(row: np.void) -> bool:
    """Echo and the like: the identifier changes with NAT, the sequence number does not."""
    return bool(is_query.py_func(row["protocol"], row["icmp_type"]))


def _tcp_fields(row: np.void, reach: int) -> list[ComparedField]:
    fields = [ComparedField(name="sequence", value=int(row["sequence"]))]
    if reach < TCP_FLAGS_END:
        return fields
    flags = tcp_flags_text(int(row["tcp_flags"]))
    fields.append(ComparedField(name="tcp_flags", value=flags))
    fields.append(ComparedField(name="acknowledgment", value=int(row["acknowledgment"])))
    if reach >= TCP_REACH:
        fields.append(ComparedField(name="window", value=int(row["window"])))
    return fields


def _error_fields(at: _Located | None, reach: int) -> list[ComparedField]:
    """What stays the same of the packet that an ICMP error carries."""
    if at is None or reach < WHOLE or at.transport + WHOLE > at.end:
        return []
    inner = at.transport + ICMP_BYTES
    said = at.bytes_at(inner + ABOUT, inner + ABOUT + 4)
    if at.data[inner] >> 4 == 4:
        about = f"length {int.from_bytes(said[:2], 'big')}, IP ID {int.from_bytes(said[2:], 'big')}"
    else:
        about = said.hex()
    return [ComparedField(name="about", value=about)]


def _other_fields(result: Correlation, sighting: int) -> tuple[ComparedField, ...]:
    """ARP by what it says, anything else by its first bytes."""
    row = result.sightings[sighting]
    capture = result.capture(int(row["file"]))
    record = capture.records[int(row["frame"]) - 1]
    start = int(record["offset"])
    end = start + int(record["captured"])
    scratch = np.zeros(1, SIGHTING)[0]
    at = network_start(capture.data, start, end, capture.interfaces[record["interface"]].link_type, scratch)
    if row["ethertype"] == ETHERTYPE_ARP:
        end = min(at + ARP_BYTES, end)
    value = capture.data[at : min(at + OTHER_BYTES, end)].tobytes().hex()
    return (ComparedField(name="first_bytes", value=value),)


def _locate(result: Correlation, sighting: int) -> _Located | None:
    """Where the datagram of a captured frame is; None where that cannot be said."""
    row = result.sightings[sighting]
    if row["kind"] != FRAME or row["ip_version"] == 0:
        return None
    capture = result.capture(int(row["file"]))
    record = capture.records[int(row["frame"]) - 1]
    start = int(record["offset"])
    end = start + int(record["captured"])
    link_type = capture.interfaces[record["interface"]].link_type
    scratch = np.zeros(1, SIGHTING)[0]
    network = int(network_start(capture.data, start, end, link_type, scratch))
    transport, captured, stop = dissect_network(capture.data, network, end, scratch, result.reach)
    if row["outer"]:
        # The packet in a tunnel ends where the outermost datagram does.
        network = int(stop) - int(row["length"])
        scratch = np.zeros(1, SIGHTING)[0]
        if not start <= network < int(captured):
            return None
        transport, captured, stop = dissect_network(capture.data, network, int(captured), scratch, result.reach)
    same = all(scratch[name] == row[name] for name in ("ip_version", "protocol", "length", "ip_id"))
    if transport < 0 or not same:
        return None
    return _Located(capture.data, network, int(transport), int(captured))
