"""What a conversation itself shows of the fate of its packets: losses are put where it does not contradict them."""

from collections import defaultdict
from enum import Enum

from .layout import ECHOES, TCP

FIN, SYN, RST, ACK = 1, 2, 4, 16
HALF = 2**31


class Sign(Enum):
    """Of a packet, by what follows it in its conversation."""

    TAKEN = "its end acknowledged or answered it"
    AGAIN = "the same bytes were sent again before anything acknowledged them"
    COVERED = "an acknowledgment without data, and a later one says as much"
    SILENT = "nothing ever came back in its conversation"
    NONE = "nothing tells"


def signs(sent):
    """Frame -> Sign, for the frames that have a flow that crosses."""
    found = {}
    for flow in {id(one.flow): one.flow for one in sent if one.flow is not None}.values():
        if flow.client_side is None:
            continue
        frames = [(number, sent[number]) for number in flow.frames]
        if flow.protocol == TCP:
            found |= _of_tcp(frames)
        else:
            found |= _of_datagrams(frames)
    return found


def _end(layout):
    """The sequence number behind it."""
    return (layout.sequence + layout.payload + bool(layout.flags & SYN) + bool(layout.flags & FIN)) % 2**32


def _at_least(a, b):
    """Sequence number a is b or behind it."""
    return (a - b) % 2**32 < HALF


class _Behind:
    """What follows a segment in its connection."""

    def __init__(self):
        self.acknowledged = {True: None, False: None}
        """The highest number that each side acknowledges."""
        self.first = {True: None, False: None}
        """The lowest number of what each side sends."""

    def add(self, layout, side):
        """A segment before all those."""
        if layout.flags & ACK:
            known = self.acknowledged[side]
            if known is None or _at_least(layout.acknowledgment, known):
                self.acknowledged[side] = layout.acknowledgment
        if _carries(layout) and (self.first[side] is None or _at_least(self.first[side], layout.sequence)):
            self.first[side] = layout.sequence

    def takes(self, layout, side):
        """The other side acknowledges all of it, and none of it is sent again."""
        highest, first = self.acknowledged[not side], self.first[side]
        again = first is not None and not _at_least(first, _end(layout))
        return highest is not None and _at_least(highest, _end(layout)) and not again


def _of_tcp(frames):
    """From the last to the first: what follows is known then."""
    found, behind = {}, _Behind()
    begins = defaultdict(lambda: defaultdict(list))
    whole = [(n, one) for n, one in frames if not one.layout.is_error and one.datagram == n]
    sent_before = _sent_before(whole)
    for place, (_, one) in enumerate(whole):
        begins[one.from_client][one.layout.sequence].append(place)
    for place in reversed(range(len(whole))):
        number, one = whole[place]
        layout, side = one.layout, one.from_client
        later = [at for at in begins[side][layout.sequence] if at > place and _carries(whole[at][1].layout)]
        taken = behind.takes(layout, side) and not sent_before[place]
        found[number] = _tcp_sign(whole, place, later, taken, behind.acknowledged[side])
        behind.add(layout, side)
        if layout.flags & SYN and not layout.flags & ACK:
            behind = _Behind()  # what was before it is another connection
    return found | {n: Sign.NONE for n, one in frames if n not in found}


def _sent_before(whole):
    """For each segment, whether its side had sent some of its bytes before."""
    ends, found = {}, []
    for _, one in whole:
        layout, side = one.layout, one.from_client
        if layout.flags & SYN:
            known = ends.get(side)
            repeated = known is not None and (known - layout.sequence) % 2**32 == 1
            found.append(repeated)
            ends[side] = _end(layout)
            continue
        known = ends.get(side)
        found.append(known is not None and not _at_least(layout.sequence, known))
        if known is None or _at_least(_end(layout), known):
            ends[side] = _end(layout)
    return found


def _carries(layout):
    return bool(layout.payload or layout.flags & (SYN | FIN))


def _tcp_sign(whole, place, later, taken, own_highest):
    layout, side = whole[place][1].layout, whole[place][1].from_client
    if _carries(layout) and not layout.flags & RST:
        if later:
            between = whole[place + 1 : later[0]]
            acked = any(
                one.from_client != side
                and one.layout.flags & ACK
                and _at_least(one.layout.acknowledgment, _end(layout))
                for _, one in between
            )
            return Sign.NONE if acked else Sign.AGAIN
        return Sign.TAKEN if taken else Sign.NONE
    bare = layout.flags & ~(8 | 32 | 64 | 128) == ACK
    if bare and own_highest is not None and _at_least(own_highest, layout.acknowledgment):
        return Sign.COVERED
    return Sign.NONE


def _of_datagrams(frames):
    """Echoes by their sequence number; others, where one packet stands before the first answer."""
    found = {}
    directions = {one.from_client for _, one in frames if not one.layout.is_error}
    answers = {
        (one.from_client, one.layout.sequence)
        for _, one in frames
        if one.layout.kind in [ECHOES[p][1] for p in ECHOES] and one.layout.protocol in ECHOES
    }
    any_error = any(one.layout.is_error for _, one in frames)
    whole = [(number, one) for number, one in frames if one.datagram == number and not one.layout.is_error]
    answered_at_once = len(whole) > 1 and whole[0][1].from_client != whole[1][1].from_client
    for number, one in frames:
        layout = one.layout
        if layout.is_error or one.datagram != number:
            found[number] = Sign.NONE
        elif layout.protocol in ECHOES and layout.kind == ECHOES[layout.protocol][0]:
            found[number] = Sign.TAKEN if (not one.from_client, layout.sequence) in answers else Sign.NONE
        elif len(directions) == 1 and not any_error:
            found[number] = Sign.SILENT
        elif answered_at_once and number == whole[0][0]:
            found[number] = Sign.TAKEN
        else:
            found[number] = Sign.NONE
    return found
