"""Why captures that have no packet in common have none, worked out from what they show."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..arrays.hashing import spread
from ..protocols import ESP, ETHERTYPE_ARP, TCP, UDP
from ..result.words import address_text, endpoint, protocol_name
from ..schema import NOTE_CUT, ONE_PACKET_NS
from ..sightings import frames
from .shown import Group, SessionFacts, Shown

_FEWEST_BYTES: Final = 32
"""Of a payload that says something: an empty answer is the same everywhere."""
_MOST_COMPARED: Final = 1 << 16
"""Values of a column that are compared. Of more only a part is, and the same values everywhere."""
_MOST_EXAMPLES: Final = 2
_PROXY: Final = "something between them ends connections and opens others (docker-proxy, a load balancer)"
_ENCRYPTED_PORTS: Final = {1194: "OpenVPN", 4500: "ESP in UDP", 51820: "WireGuard"}
"""UDP ports by IANA and by custom (RFC 3948: 4500) of what hides the packets it carries."""


class Obstacle(StrEnum):
    """Why one has no packet in common with the others; the most decisive first."""

    EMPTY = "empty"
    UNDECODED = "undecoded"
    LINK_CHATTER = "link-chatter"
    NO_PARTNER = "no-partner"
    CUT_SHORT = "cut-short"
    NO_OVERLAP = "no-overlap"
    CHANGED = "changed"
    OTHER_CONNECTIONS = "other-connections"
    OTHER_PACKETS = "other-packets"
    ENCRYPTED = "encrypted"
    NO_FLOW = "no-flow"


@dataclass(frozen=True)
class Comparison:
    """Looks for the reason of one group after the other."""

    shown: Shown
    sessions: SessionFacts
    groups: list[Group]

    def reasons(self, group: Group) -> Iterator[tuple[Obstacle, str]]:
        """All reasons that hold, the most decisive first; there is always one."""
        others = [other for other in self.groups if other is not group]
        yield from self._by_itself(group, others)
        yield from self._by_time(group, others)
        yield from self._by_flow(group, others)
        yield from self._by_payload(group, others)
        yield from self._by_encryption(group, others)
        nowhere = "no address pair of it is seen there, and no translation between them was found"
        yield Obstacle.NO_FLOW, f"{nowhere}; {self._examples(group)}"

    def _by_itself(self, group: Group, others: list[Group]) -> Iterator[tuple[Obstacle, str]]:
        rows = self.sessions.rows.take(group.every)
        if rows.size == 0:
            yield Obstacle.EMPTY, "it holds no packets"
        if ((rows["ip_version"] == 0) & (rows["ethertype"] != ETHERTYPE_ARP)).all():
            yield Obstacle.UNDECODED, f"none of its {_count(group.rows.size, 'packet')} is IP or ARP"
        if group.told.size == 0:
            yield Obstacle.LINK_CHATTER, "it holds only ARP, multicast and the like, which stay on their link"
        comparable = [other for other in others if other.told.size]
        if not comparable:
            yield Obstacle.NO_PARTNER, "nothing else holds packets to compare its own with"
        for cut, whose in ((self._is_cut(group), "its"), (all(map(self._is_cut, comparable)), "all other")):
            if cut:
                text = f"{whose} packets are cut too short to read their ports: record more of each (snaplen)"
                yield Obstacle.CUT_SHORT, text

    def _is_cut(self, group: Group) -> bool:
        return bool((self.sessions.rows["notes"][group.told] & NOTE_CUT).all())

    def _by_time(self, group: Group, others: list[Group]) -> Iterator[tuple[Obstacle, str]]:
        timed = [other for other in others if other.end_ns]
        gaps = [max(other.start_ns - group.end_ns, group.start_ns - other.end_ns) for other in timed]
        if not group.end_ns or not gaps or min(gaps) <= ONE_PACKET_NS:
            return
        nearest = timed[int(np.argmin(gaps))]
        if group.start_ns > nearest.end_ns:
            text = f"it began {_span(min(gaps))} after `{nearest.name}` ended"
        else:
            text = f"it ended {_span(min(gaps))} before `{nearest.name}` began"
        unknown = {clock.node for clock in self.shown.clocks if clock.basis == "unknown"}
        if group.node != nearest.node and unknown & {group.node, nearest.node}:
            text += ", unless one of their clocks was set wrongly"
        yield Obstacle.NO_OVERLAP, text

    def _by_flow(self, group: Group, others: list[Group]) -> Iterator[tuple[Obstacle, str]]:
        """The same addresses, or a known translation between them, and yet no common packet."""
        if not self._met[self.groups.index(group)]:
            return
        found = [self._in_common(group, other) for other in others]
        best = int(np.argmax([sessions.size for sessions in found]))
        common, other = found[best], others[best]
        count, of = (np.unique(self.sessions.pair[sessions]).size for sessions in (common, group.told))
        example = self.sessions.rows[common[np.argmax(group.packets[np.searchsorted(group.told, common)])]]
        flows = f"{count:,} of its {_count(of, 'flow')} {'is' if count == 1 else 'are'} seen in `{other.name}` too "
        flows += f"({protocol_name(int(example['protocol']), 0)} {_ends(example)})"
        pairs = np.intersect1d(self.sessions.pair[common], self.sessions.pair[other.told])
        mine, theirs = self._rows_in(group, pairs), self._rows_in(other, pairs)
        starts, their_starts = self._tcp_starts(mine), self._tcp_starts(theirs)
        if _holds(starts, their_starts).any():
            text = "with the same sequence numbers in other packets: divided anew (GSO, GRO) or changed on their way"
            yield Obstacle.CHANGED, f"{flows}, {text}"
        if pairs.size and not self._together(pairs, mine, theirs).any():
            yield Obstacle.OTHER_PACKETS, f"{flows}, but at other times"
        tcp = mine[self.shown.sightings["protocol"][mine] == TCP]
        if self._together(pairs, tcp, theirs).any():
            yield Obstacle.OTHER_CONNECTIONS, f"{flows} at the same time, but with other sequence numbers: {_PROXY}"
        text = "other machines with the same addresses (every Docker host has a 172.17.0.2), or changed on their way"
        yield Obstacle.OTHER_PACKETS, f"{flows}, but in other packets: {text}"

    @cached_property
    def _met(self) -> list[bool]:
        """Per group: an address pair or a connection of it is seen elsewhere."""
        columns = (self.sessions.pair, self.sessions.connection)
        elsewhere = [_elsewhere([np.unique(column[group.told]) for group in self.groups]) for column in columns]
        return [bool(pair.any() or connection.any()) for pair, connection in zip(*elsewhere, strict=True)]

    def _in_common(self, group: Group, other: Group) -> npt.NDArray[np.int64]:
        """Sessions of `group` whose address pair or connection `other` has too."""
        pair, connection = self.sessions.pair, self.sessions.connection
        mine, theirs = group.told, other.told
        return mine[np.isin(pair[mine], pair[theirs]) | np.isin(connection[mine], connection[theirs])]

    def _rows_in(self, group: Group, pairs: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        chosen = np.isin(self.sessions.pair, pairs)
        return group.rows[chosen[self.shown.connections.session[group.rows]]]

    def _tcp_starts(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """One number for (flow, sequence number) of each TCP segment, of the first ones, sorted."""
        first = rows[:_MOST_COMPARED]
        columns = self.shown.sightings
        tcp = first[columns["protocol"][first] == TCP]
        return np.sort(columns["flow"][tcp] ^ spread(columns["sequence"][tcp]))

    def _together(
        self, pairs: npt.NDArray[np.uint64], mine: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Per address pair: both show it at the same time."""
        bounds = []
        for rows in (mine, theirs):
            number = np.searchsorted(pairs, self.sessions.pair[self.shown.connections.session[rows]])
            start = np.full(pairs.size, np.iinfo(np.int64).max // 2)
            end = -start
            np.minimum.at(start, number, self.shown.times_ns[rows])
            np.maximum.at(end, number, self.shown.times_ns[rows])
            bounds.append((start, end))
        (start, end), (other_start, other_end) = bounds
        return (start <= other_end + ONE_PACKET_NS) & (other_start <= end + ONE_PACKET_NS)

    def _by_payload(self, group: Group, others: list[Group]) -> Iterator[tuple[Obstacle, str]]:
        """The same data under other addresses: not translated, but received and sent anew."""
        number = self.groups.index(group)
        values, rows = self._payloads[number]
        repeated = values[self._sent_twice[number]]
        if repeated.size < 2:
            return
        for other in others:
            their_values, their_rows = self._payloads[self.groups.index(other)]
            same = repeated[_holds(their_values, repeated)]
            if same.size > 1:
                here = _ends(self.shown.sightings[rows[np.searchsorted(values, same[0])]])
                there = _ends(self.shown.sightings[their_rows[np.searchsorted(their_values, same[0])]])
                text = f"data of {here} is seen in `{other.name}` as data of {there}: {_PROXY}"
                yield Obstacle.OTHER_CONNECTIONS, text

    @cached_property
    def _sent_twice(self) -> list[npt.NDArray[np.bool_]]:
        """Per group: which of its payloads are seen elsewhere."""
        return _elsewhere([values for values, _ in self._payloads])

    @cached_property
    def _payloads(self) -> list[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]]:
        """Per group: hashes of the data in its packets, sorted, and a row of each."""
        told = np.isin(self.sessions.rows["protocol"], (TCP, UDP)) & ~self.sessions.chatter
        step = np.uint64(1 + frames(self.shown.sightings).size // _MOST_COMPARED)
        found = []
        for group in self.groups:
            rows = group.rows[told[self.shown.connections.session[group.rows]]]
            payload = self.shown.sightings["payload"][rows]
            enough = self.shown.sightings["payload_length"][rows] >= _FEWEST_BYTES
            use = (payload != 0) & (payload % step == 0) & enough
            values, first = np.unique(payload[use], return_index=True)
            found.append((values, rows[use][first]))
        return found

    def _by_encryption(self, group: Group, others: list[Group]) -> Iterator[tuple[Obstacle, str]]:
        """Most of the packets are those of a tunnel that hides what it carries."""
        for one in (group, *others):
            name, packets = self._hidden[self.groups.index(one)]
            total = int(one.packets.sum())
            if 2 * packets >= total > 0:
                whose = f"its {_count(total, 'packet')}"
                if one is not group:
                    whose = f"the {_count(total, 'packet')} of `{one.name}`"
                yield Obstacle.ENCRYPTED, f"{packets:,} of {whose} are {name}, which hides what it carries"

    @cached_property
    def _hidden(self) -> list[tuple[str, int]]:
        """Per group: the most frequent kind of encrypted tunnel, and its packets."""
        rows = self.sessions.rows
        kinds = {"ESP": rows["protocol"] == ESP}
        for port, name in _ENCRYPTED_PORTS.items():
            at_port = (rows["source_port"] == port) | (rows["destination_port"] == port)
            kinds[name] = (rows["protocol"] == UDP) & at_port
        return [
            max(((name, int(g.packets[of[g.told]].sum())) for name, of in kinds.items()), key=lambda found: found[1])
            for g in self.groups
        ]

    def _examples(self, group: Group) -> str:
        """The addresses between which most of its packets went."""
        rows = self.sessions.rows.take(group.told)
        ends = [spread(spread(rows[f"{end}_high"]) ^ rows[f"{end}_low"]) for end in ("source", "destination")]
        _, first, number = np.unique(ends[0] + ends[1], return_index=True, return_inverse=True)
        packets = np.bincount(number, weights=group.packets).astype(np.int64)
        shown = []
        for index in np.argsort(-packets, kind="stable")[:_MOST_EXAMPLES].tolist():
            row = rows[first[index]]
            a, b = (address_text(int(row[f"{end}_high"]), int(row[f"{end}_low"])) for end in ("source", "destination"))
            shown.append(f"{packets[index]:,} between {a} and {b}")
        return f"of its {_count(int(packets.sum()), 'packet')} {', '.join(shown)}"


def _holds(sorted_values: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which of the wanted values are there."""
    if sorted_values.size == 0:
        return np.zeros(wanted.size, np.bool_)
    return sorted_values[np.minimum(np.searchsorted(sorted_values, wanted), sorted_values.size - 1)] == wanted


def _elsewhere(values: list[npt.NDArray[Any]]) -> list[npt.NDArray[np.bool_]]:
    """Per group, which of its values, distinct in each group, another one has too."""
    _, inverse, counts = np.unique(np.concatenate(values), return_inverse=True, return_counts=True)
    return np.split(counts[inverse] > 1, np.cumsum([v.size for v in values])[:-1])


def _ends(row: np.void) -> str:
    return f"{endpoint(row, 'source')} -> {endpoint(row, 'destination')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _span(nanoseconds: int) -> str:
    """`12.4 s`, `2 h 3 min`: the two largest units."""
    seconds = nanoseconds // 1_000_000_000
    if seconds < 60:
        return f"{nanoseconds / 1e9:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400:,} d {seconds % 86_400 // 3600} h"
