"""Snapshots in a capture -> checked data. What does not have the shape of docs/file-format.md is left out and
counted."""

import ipaddress
import json
import struct
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from ...pcapng.read import CaptureFile


class Key(NamedTuple):
    """Which facts a snapshot holds."""

    netns: str | None
    """Label of the namespace, None for facts about the whole node."""
    kind: str
    moment: str
    """`start`, `change` or `stop`."""


@dataclass(slots=True, kw_only=True)
class Snapshots:
    """All whole snapshots of one file, in order."""

    found: list[tuple[int, Key, Any]] = field(default_factory=list)
    """(time_ns, key, data)."""
    damaged: int = 0
    """Frames of the snapshot interface that are none, or whose data has another shape."""


class _Maybe(NamedTuple):
    """A key that may be missing or null."""

    shape: Any


def _is_address(value: Any) -> bool:  # noqa: ANN401 - JSON
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


_TEXT_OR_NONE: Final = _Maybe(str)
_CHAIN: Final = {
    "family": str,
    "table": str,
    "name": str,
    "hook": _TEXT_OR_NONE,
    "prio": _Maybe(int),
    "type": _TEXT_OR_NONE,
}
_SAVED: Final = _Maybe({"ip": _TEXT_OR_NONE, "ip6": _TEXT_OR_NONE})
SHAPES: Final[dict[str, Any]] = {
    "capture": dict,
    "node": {"boot_id": _TEXT_OR_NONE},
    "containers": [{"name": str, "addresses": _Maybe([str])}],
    "links": [
        {
            "index": int,
            "name": str,
            "kind": _TEXT_OR_NONE,
            "master": _Maybe(int),
            "up": _Maybe(bool),
            "peer_netns": _TEXT_OR_NONE,
        }
    ],
    "addresses": [{"index": int, "address": _is_address}],
    "sysctls": dict,
    "ruleset": {
        "nft": _TEXT_OR_NONE,
        "json": _Maybe({"nftables": [{"chain": _Maybe(_CHAIN), "rule": _Maybe(dict)}]}),
        "iptables": _SAVED,
        "legacy": _SAVED,
        "generation": _Maybe(int),
    },
}
"""What the correlator reads of each kind, with its type; a kind that is not here is kept as it is."""


def fits(value: Any, shape: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a JSON value has a shape: a type, a function that tells, [shape of the items], {key: shape}, or _Maybe
    for what may be missing."""
    if isinstance(shape, _Maybe):
        return value is None or fits(value, shape.shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(fits(value.get(key), part) for key, part in shape.items())
    if not isinstance(shape, type):
        return bool(shape(value))
    return isinstance(value, shape) and not (shape is int and isinstance(value, bool))


def read_snapshots(capture: CaptureFile) -> Snapshots:
    """The snapshots of a ttrace capture; those in several parts put together."""
    wanted = [i for i, interface in enumerate(capture.interfaces) if interface.facts.get("what") == "snapshot"]
    snapshots = Snapshots()
    pieces: dict[tuple[int, Key], dict[int, str]] = {}
    for record in capture.records[np.isin(capture.records["interface"], wanted)]:
        start, time_ns = int(record["offset"]), int(record["time_ns"])
        frame = _parse(_behind_tags(bytes(capture.data[start : start + int(record["captured"])])))
        if not fits(
            frame, {"netns": _TEXT_OR_NONE, "kind": str, "moment": str, "part": _Maybe(int), "parts": _Maybe(int)}
        ):
            snapshots.damaged += 1
            continue
        key = Key(frame.get("netns"), frame["kind"], frame["moment"])
        parts = frame.get("parts") or 1
        data = frame.get("data")
        if parts > 1:
            if not isinstance(data, str) or frame.get("part") is None:
                snapshots.damaged += 1
                continue
            known = pieces.setdefault((time_ns, key), {})
            known[frame["part"]] = data
            if len(known) < parts:
                continue
            data = _parse("".join(known[number] for number in sorted(known)).encode())
        if fits(data, SHAPES.get(key.kind, object)):
            snapshots.found.append((time_ns, key, data))
        else:
            snapshots.damaged += 1
    return snapshots


def _behind_tags(payload: bytes) -> bytes:
    """What follows the tags of an exported PDU (epan/exported_pdu.h of Wireshark: tag 0 ends them)."""
    at = 0
    while at + 4 <= len(payload):
        tag, length = struct.unpack_from(">HH", payload, at)
        at += 4 + length
        if tag == 0:
            break
    return payload[at:]


def _parse(text: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None  # fits no shape: counted by the caller
