"""`FILE:FRAME`, as a person types it -> the sighting that frame is; or what the frame is, when it holds no packet."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import UsageError
from ...pcapng.blocks import LinkType
from ..netfilter.messages import KernelMessages
from ..netfilter.sources import decode_messages
from ..result.correlation import Correlation
from ..result.words import entry_end, protocol_name
from ..sightings import EVALUATION, frames, of_kind

_MOST_NAMED = 6
"""Files that an error line names."""
_CONNTRACK_EVENTS = ("an entry of the table", "a new entry", "a change of the entry", "the end of the entry")
"""By the `event` of a CONNTRACK row."""


def find_frame(result: Correlation, reference: str) -> int:
    """Row of the sighting that `reference` names: `FILE:FRAME`, or `FRAME` where there is one file only.

    FILE is the path as given, its last part, `NODE/INTERFACE` or `NODE`; FRAME is Wireshark's number. Raises UsageError
    when it names no packet, or several.
    """
    name, colon, digits = reference.rpartition(":")
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"`{reference}` names no frame", f"write FILE:FRAME, such as `{_label(result, 0)}:1`")
    files = len({file.path for file in result.files})
    if not colon and files > 1:
        raise UsageError(
            f"`{reference}` says no file, and there are {files}",
            f"write FILE:{reference}; FILE is one of {_files(result)}",
        )
    number = int(digits)
    file = _find_file(result, name, reference) if colon else 0
    records = result.files[file].records
    if not 1 <= number <= records:
        numbered = f"its frames are numbered 1 to {records}" if records else "it holds no frame at all"
        raise UsageError(f"there is no frame {number} in `{result.files[file].path}`", numbered)
    # One file may stand for several nodes (nodes/merged.py): their frames are numbered together.
    for same in range(len(result.files)):
        row = _row_of(result, same, number) if result.files[same].path == result.files[file].path else None
        if row is not None:
            return row
    what, hint = _what_it_is(result, file, number)
    raise UsageError(f"frame {number} of `{result.files[file].path}` is no packet but {what}", hint)


def _row_of(result: Correlation, file: int, number: int) -> int | None:
    """The row of a frame; observations stand in the order of the files and their frames."""
    seen = frames(result.sightings)
    start, end = np.searchsorted(seen["file"], [file, file + 1]).tolist()
    row = start + int(np.searchsorted(seen["frame"][start:end], number))
    return row if row < end and seen["frame"][row] == number else None


def _find_file(result: Correlation, name: str, reference: str) -> int:
    """The file by the most exact of its names that fits."""
    for names in _names_of_files(result):
        found = [i for i in range(len(result.files)) if name in names(i)]
        if found and len({result.files[i].path for i in found}) == 1:
            return found[0]
        if found:
            which = " or ".join(f"`{result.files[i].path}`" for i in found[:_MOST_NAMED])
            raise UsageError(f"`{name}` in `{reference}` may be {which}", "write the path as it was given")
    raise UsageError(f"`{name}` in `{reference}` is none of the files", f"they are {_files(result)}")


def _names_of_files(result: Correlation) -> Iterator[Callable[[int], set[str]]]:
    """Ways to name a file, the most exact first."""
    paths = [facts.path for facts in result.files]
    points = [_points(result, i) for i in range(len(paths))]
    yield lambda i: {paths[i]}
    yield lambda i: {f"{label}={paths[i]}" for label in (*points[i], result.topology.file_nodes[i])}
    yield lambda i: {Path(paths[i]).name}
    yield lambda i: points[i]
    yield lambda i: {result.topology.file_nodes[i]}


def _points(result: Correlation, file: int) -> set[str]:
    """`NODE/INTERFACE` of the capture points of a file."""
    topology = result.topology
    points = zip(topology.places[file].tolist(), result.files[file].captures_packets, strict=True)
    places = [place for place, captured in points if captured]
    return {f"{topology.points[place].node}/{topology.points[place].interface}" for place in places}


def _files(result: Correlation) -> str:
    """The first files by name, in words."""
    labels = list(dict.fromkeys(_label(result, i) for i in range(len(result.files))))
    names = ", ".join(f"`{label}`" for label in labels[:_MOST_NAMED])
    more = len(labels) - _MOST_NAMED
    return f"{names} and {more} more" if more > 0 else names


def _label(result: Correlation, file: int) -> str:
    return file_label([facts.path for facts in result.files], result.files[file].path)


def file_label(paths: list[str], path: str) -> str:
    """The shortest name of one of the files that tells it from the others: its last part, or all of it."""
    name = Path(path).name
    return name if name and [Path(p).name for p in set(paths)].count(name) == 1 else path


def _what_it_is(result: Correlation, file: int, number: int) -> tuple[str, str | None]:
    """(what a frame without a packet is, what to do) in words."""
    capture = result.capture(file)
    one = replace(capture, records=capture.records[number - 1 : number])
    interface = int(one.records["interface"][0])
    if interface >= len(capture.interfaces):
        return "a damaged record: the file does not describe its interface", None
    if capture.interfaces[interface].facts.get("what") == "snapshot":
        return "a snapshot that the capture took of its node", "`ttrace show FILE` says what it holds"
    if capture.interfaces[interface].link_type != LinkType.NETLINK:
        return "a record of something else", None
    message = decode_messages(one, file, result.topology.file_namespaces[file])
    if message.events.size:
        return _trace_message(result, file, number, message)
    if message.conntrack.size:
        return _conntrack_message(message), "rewrites that come from it name `conntrack` as their evidence"
    if message.ruleset_changes_ns.size:
        return "the kernel's message that the rules changed", None
    return "another netlink message", None


def _trace_message(result: Correlation, file: int, number: int, message: KernelMessages) -> tuple[str, str | None]:
    names, event = message.names, message.events[0]
    where = f"{names.get(int(event['table']), '?')} {names.get(int(event['chain']), '?')}"
    events = result.evaluations.events
    found = np.flatnonzero((events["file"] == file) & (events["frame"] == number))
    if found.size == 0:
        return f"a trace message of {where}, of which the capture lost the beginning", None
    row = int(np.searchsorted(result.evaluations.rows["first_event"], found[0], side="right")) - 1
    chain = result.evaluations.chains[result.evaluations.rows["chain"][row]]
    path = int(result.packets.packet[of_kind(result.sightings, EVALUATION)][row]) + 1
    evaluation = f"the {chain.base.hook} chain {chain.family} {chain.table} {chain.name}"
    inside = f", in {where}" if where != f"{chain.table} {chain.name}" else ""
    return f"a trace message: {evaluation}{inside}, of path {path}", f"`--path {path}` shows it"


def _conntrack_message(message: KernelMessages) -> str:
    entry = message.conntrack[0]
    original, reply = (
        f"{entry_end(entry, f'{way}_source')} -> {entry_end(entry, f'{way}_destination')}"
        for way in ("original", "reply")
    )
    protocol = protocol_name(int(entry["protocol"]), 0)
    return f"a conntrack message: {_CONNTRACK_EVENTS[entry['event']]} {protocol} {original}, answered {reply}"
