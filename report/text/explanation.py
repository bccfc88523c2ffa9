"""Why a frame is matched with others, as text: what it is, where else it was seen and why that is it, what is not."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from ...correlate.explain.absent_points import Absence, AbsentPoint, Nearness, NearPacket
from ...correlate.explain.compared_fields import PayloadCheck
from ...correlate.explain.equal_packets import EqualPacket, NotIt
from ...correlate.explain.explain import Explanation, PathSighting, explain
from ...correlate.explain.frame_reference import file_label
from ...correlate.result.correlation import Correlation
from ...correlate.result.values import ChainHop, Hop, InterfaceHop, KernelHop
from ...escaping import safe
from .layout import columns, first_of, wrapped
from .units import duration, plural
from .words import (
    NOTHING,
    absent_name,
    addresses,
    difference_words,
    failure,
    field_words,
    letter,
    moment,
    nothing_seen,
    outcome_words,
    point_name,
    rivals_words,
    saw_both,
    some,
    tie_words,
    time_difference,
    way_words,
    where,
)

_MOST_DIFFERENCES: Final = 2
_MOST_POINTS: Final = 8
_MOST_PIECES: Final = 4
_PAYLOAD: Final = {
    PayloadCheck.EQUAL: "the payload is equal",
    PayloadCheck.CHECKSUM: "the payload was cut, but the checksum, less what NAT changes in it, says that it is equal",
    PayloadCheck.PARTIAL: "the payload was not compared: it was not captured whole",
}
_NEAR: Final = {
    Nearness.CONNECTION: "others of this direction, the nearest in time",
    Nearness.ADDRESSES: "packets with the same addresses that nothing ties to it, the nearest in time",
    Nearness.WORDS: "packets under other addresses with the same sequence numbers or payload, the nearest in time",
}


def explanation_pieces(result: Correlation, sightings: Sequence[int]) -> Iterator[str]:
    """The explanations of frames (rows of the sightings), one after the other."""
    files = [file.path for file in result.files]
    for number, sighting in enumerate(sightings):
        yield ("\n" if number else "") + explanation_text(explain(result, sighting), files)


def explanation_text(explanation: Explanation, files: Sequence[str]) -> str:
    """The explanation as lines; `files`: the paths of all captures, which decide how short a name can be."""
    return "\n".join(_Writer(safe(explanation), safe(list(files))).lines()) + "\n"


class _Writer:
    """One explanation and the names that its parts share."""

    def __init__(self, explanation: Explanation, files: list[str]) -> None:
        self.explanation, self.files = explanation, files

    def lines(self) -> list[str]:
        return [*self._frame(), *self._seen(), *self._flows(), *self._equal(), *self._absent()]

    def _name(self, hop: Hop) -> str:
        if isinstance(hop, ChainHop):
            return "trace"
        if isinstance(hop, KernelHop):
            return hop.kind
        return f"{file_label(self.files, hop.file)}:{hop.frame}"

    # --- the frame --------------------------------------------------------------------------------------------------

    def _frame(self) -> list[str]:
        frame, path = self.explanation.frame, self.explanation.path
        lines = [f"{self._name(frame)}   {path.protocol} {path.info}   {frame.source} -> {frame.destination}"]
        point = f"{point_name(frame)}{'' if frame.direction != 'unknown' else ', direction unknown'}"
        ttl = f"   ttl {frame.ttl}" if frame.ttl else ""
        tunnel = f"   in {frame.encapsulation}" if frame.encapsulation is not None else ""
        lines.append(f"  {point}   {moment(frame.time_ns)}{ttl}   {plural(frame.length, 'byte')}{tunnel}")
        lines.append(
            f"  path #{path.id} of connection [{path.connection}], {way_words(forward=path.forward)}   "
            f"{outcome_words(path)}   confidence {path.confidence:.2f}"
        )
        reason = failure(path)
        if reason is not None:
            lines += wrapped(reason.text, "    ", "    ")
        if path.ambiguous:
            others = f": it may have been exchanged for {some([f'#{r}' for r in path.rivals])}" if path.rivals else ""
            lines.append(f"  AMBIGUOUS{others}")
        for what, pieces in (("it carries bytes of", path.comes_from), ("its bytes go on as", path.goes_on_as)):
            if pieces:
                lines.append(f"  {what} {first_of([f'#{other}' for other in pieces], _MOST_PIECES)}")
        if self.explanation.connection_rivals:
            lines.append(f"  its connection {rivals_words(self.explanation.connection_rivals)}")
        return lines

    # --- what is it -------------------------------------------------------------------------------------------------

    def _seen(self) -> list[str]:
        sightings = self.explanation.sightings
        alone = len(sightings) == 1
        lines = ["", "Seen nowhere else" if alone else "The same packet, in the order of its way"]
        if not alone:
            cells = [self._sighting(list(group)) for _, group in groupby(sightings, _run)]
            lines += columns(cells if len(self.explanation.flows) > 1 else [row[1:] for row in cells])
        equal = ", ".join(field_words(field) for field in self.explanation.compared)
        if equal:
            lines += wrapped(f"{'looked for' if alone else 'equal in all of them'}: {equal}", "  ", "    ")
        if self.explanation.reach is not None:
            lines.append(
                f"  no more than {self.explanation.reach} bytes of the transport header were compared: "
                "a capture kept no more"
            )
        lines += self._payload()
        return lines

    def _sighting(self, group: list[PathSighting]) -> tuple[str, ...]:
        """The cells of one line: a frame, or chains that follow each other."""
        first = group[0]
        flow = letter(first.flow)
        if isinstance(first.seen.hop, ChainHop):
            chains = dict.fromkeys(s.seen.hop.hook for s in group if isinstance(s.seen.hop, ChainHop))
            return flow, "trace", where(first.seen.hop.node, first.seen.hop.netns), ", ".join(chains), "", ""
        own = first.seen.hop == self.explanation.frame
        time = "this frame" if own else time_difference(first.seen)
        ttl = f"ttl {first.ttl}" if first.ttl else ""
        if ttl and first.ttl != self.explanation.frame.ttl:
            ttl += f" ({first.ttl - self.explanation.frame.ttl:+d})"
        encapsulation = first.seen.hop.encapsulation if isinstance(first.seen.hop, InterfaceHop) else None
        tunnel = f"in {encapsulation}" if encapsulation is not None else ""
        return flow, self._name(first.seen.hop), point_name(first.seen.hop), time, ttl, tunnel

    def _payload(self) -> list[str]:
        """What the payloads of the other frames say, in a line."""
        frame = self.explanation.frame
        found: dict[PayloadCheck, list[str]] = {}
        for sighting in self.explanation.sightings:
            hop = sighting.seen.hop
            if isinstance(hop, InterfaceHop) and hop != frame and sighting.payload in _PAYLOAD:
                found.setdefault(sighting.payload, []).append(self._name(hop))
        if len(found) == 1:
            return [f"  {_PAYLOAD[next(iter(found))]}"]
        return [f"  {_PAYLOAD[payload]}: {some(names, 'and')}" for payload, names in found.items()]

    def _flows(self) -> list[str]:
        flows = self.explanation.flows
        if len(flows) == 1:
            return []
        lines = ["", "Why these flows are one"]
        cells = [
            (letter(i), f"{flow.source} -> {flow.destination}", where(flow.node, flow.netns), tie_words(flow))
            for i, flow in enumerate(flows)
        ]
        return lines + columns(cells)

    # --- what is it not ---------------------------------------------------------------------------------------------

    def _equal(self) -> list[str]:
        equal = self.explanation.equal
        if not equal.shown:
            return []
        lines = ["", "Equal packets that are not this one"]
        cells = [
            (
                f"#{packet.seen.path}",
                self._name(packet.seen.hop),
                point_name(packet.seen.hop),
                time_difference(packet.seen),
            )
            for packet in equal.shown
        ]
        table = columns(cells)
        width = max(len(line) for line in table)
        for line, packet in zip(table, equal.shown, strict=True):
            lines += wrapped(f"{line:<{width}}  {self._why(packet)}", "", " " * 8)
        if equal.more:
            lines.append(f"  … and {plural(equal.more, 'more path')} with equal packets")
        return lines

    def _why(self, packet: EqualPacket) -> str:
        both = saw_both(packet.both) if packet.both is not None else ""
        other = f"connection [{packet.seen.connection}]"
        shared = f"{packet.votes or 0:,} of {plural(packet.packets or 0, 'packet')}"
        votes = f"; they share {shared}" if packet.packets else ""
        at = f", from byte {packet.different_byte:,} on" if packet.different_byte is not None else ""
        rest = [f"[{rival}]" for rival in packet.rivals if rival != packet.seen.connection]
        return {
            NotIt.PAYLOAD: f"its payload is another{at}",
            NotIt.CHECKSUM: "its checksum, less what NAT changes in it, says that its payload is another",
            NotIt.POINT: f"another packet, for {both}",
            NotIt.TIME: "more than 2 s apart",
            NotIt.DRAW: f"a draw, decided by the order of time{f'; {both}' if both else ''}",
            NotIt.ORDER: f"told apart by the order of time{f': {both}' if both else ''}",
            NotIt.DIRECTION: "it travels the other way in this connection",
            NotIt.RIVAL: f"of {other}, whose flow shares {shared} with this one"
            + (f", but {some(rest)} would fit as well" if rest else ", but it has others that are equal too"),
            NotIt.REUSED: f"of {other}: the same addresses, in an earlier or later connection",
            NotIt.INSIDE: f"of {other}: the same addresses, but not seen on a wire between the two",
            NotIt.CONNTRACK: f"of {other}: conntrack is recorded on both sides, and no entry joins the two flows",
            NotIt.VOTES: f"of {other}: nothing ties its flow to this one{votes}",
        }[packet.why]

    def _absent(self) -> list[str]:
        absent = self.explanation.absent
        if not absent:
            return []
        lines = ["", "Not seen at"]
        alone = [point for point in absent if point.near or point.why in (Absence.BEFORE, Absence.AFTER)]
        for point in alone[:_MOST_POINTS]:
            lines += self._absent_point(point)
        if len(alone) > _MOST_POINTS:
            lines.append(f"  … and {plural(len(alone) - _MOST_POINTS, 'more point')}")
        rest = [point for point in absent if point not in alone]
        for text, points in groupby(sorted(rest, key=nothing_seen), nothing_seen):
            names = list(dict.fromkeys(absent_name(point) for point in points))
            lines += wrapped(f"{first_of(names, _MOST_POINTS)}: {text}", "  ", "    ")
        return lines

    def _absent_point(self, point: AbsentPoint) -> list[str]:
        whys = {
            Absence.BEFORE: f"what was captured there begins {duration(point.off_ns or 0)} later",
            Absence.AFTER: f"what was captured there ends {duration(point.off_ns or 0)} earlier",
            Absence.OTHERS: "not this packet"
            if point.nearness == Nearness.CONNECTION
            else "nothing of this connection in this direction",
        }
        what = whys.get(point.why) or NOTHING[point.why]
        if not point.near:
            return [f"  {absent_name(point)}: {what}"]
        near = _NEAR[point.nearness or Nearness.CONNECTION]
        if point.with_its_bytes and point.nearness == Nearness.CONNECTION:
            near = plural(point.with_its_bytes, "other packet") + " with bytes of its payload"
        lines = wrapped(f"{absent_name(point)}: {what}, but {near}", "  ", "    ")
        cells = [
            (
                self._name(near.seen.hop),
                f"#{near.seen.path}",
                time_difference(near.seen),
                *([addresses(near.seen.hop)] if point.nearness == Nearness.WORDS else []),
                self._near(near),
            )
            for near in point.near
        ]
        return lines + [f"  {line}" for line in columns(cells)]

    def _near(self, near: NearPacket) -> str:
        found = [difference_words(difference) for difference in near.differences]
        if near.shared_bytes:
            size = self.explanation.payload_bytes
            found.insert(0, f"{'all' if near.shared_bytes == size else f'{near.shared_bytes:,}'} of its {size:,} bytes")
        more = len(found) - _MOST_DIFFERENCES
        return ", ".join(found[:_MOST_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")


def _run(sighting: PathSighting) -> tuple[object, ...]:
    """What chains on one line have in common; frames are lines of their own."""
    hop = sighting.seen.hop
    return (hop.file, hop.frame) if isinstance(hop, InterfaceHop) else (hop.node, hop.netns, sighting.flow)
