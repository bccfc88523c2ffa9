"""Connections that a program took and went on with as one of its own: joined by the bytes that they carry.

The first bytes of the request are the same in both, and those of the answer; the second connection begins at the node
where the first one ends, asks behind it and is answered before it. Sequence numbers differ, or it were a translation.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...pcapng.blocks import Direction
from ...pcapng.rows import placed
from ..arrays.grouping import group_ids, hashed, runs_of_ids
from .common import PASSED_ON, TALK, earliest
from .facts import Facts, Mask, Rows
from .kinds import MOST_OF_A_KIND, Kind
from .seen import Extent, Seen, many
from .subject import Ends
from .words import frame_evidence, subject_of, where

_SOON_NS: Final = 1_000_000_000
"""A program that passes bytes on does so at once; a busy one takes a while."""
_LEAST_BYTES: Final = 4
_LEAST_TOGETHER: Final = 24
"""Of request and answer: shorter ones are alike by chance, as the `PING` and `PONG` of Redis, whoever sends them."""


class _Talks(NamedTuple):
    """Connections whose first request and first answer are known in full."""

    request: Rows
    """Path of the first segment with data from the client."""
    answer: Rows


def talks_of(facts: Facts) -> npt.NDArray[np.void]:
    """TALK rows of a part."""
    talks, result = _talks(facts), facts.result
    rows = np.zeros(talks.request.size, TALK)
    size = facts.head("payload_length")
    rows["key"] = hashed(*(column for paths in talks for column in (_payload(facts, paths), size[paths])))
    rows["path"], rows["connection"] = talks.request, result.connection_of_path[talks.request]
    rows["time_ns"], rows["answer_ns"] = facts.begin_ns[talks.request], facts.begin_ns[talks.answer]
    placed(rows["head"], result.sightings.take(facts.first_frame[talks.request]))
    last = result.sightings.take(facts.last[talks.request])
    rows["last_namespace"] = last["namespace"]
    for name in ("place", "direction"):
        rows[f"last_{name}"] = result.sightings[name][facts.last_frame[talks.request]]
    rows["last_high"], rows["last_low"] = last["destination_high"], last["destination_low"]
    return earliest(rows)


def _talks(facts: Facts) -> _Talks:
    """The first segment with data of either way, where both are known in full and a SYN was seen."""
    connection = facts.result.connection_of_path
    data = facts.tcp & (facts.head("payload_length") >= _LEAST_BYTES)
    begun = facts.count(facts.syn) > 0
    first = []
    for way in (facts.forward, ~facts.forward):
        paths = np.flatnonzero(data & way & begun[connection])[::-1]
        first.append(np.full(begun.size, -1, np.int64))
        first[-1][connection[paths]] = paths
    request, answer = first
    both = (request >= 0) & (answer >= 0)
    request, answer = request[both], answer[both]
    whole = (_payload(facts, request) != 0) & (_payload(facts, answer) != 0)
    size = facts.head("payload_length").astype(np.int64)
    whole &= size[request] + size[answer] >= _LEAST_TOGETHER
    return _Talks(request[whole], answer[whole])


def _payload(facts: Facts, paths: Rows) -> npt.NDArray[np.uint64]:
    """Of these paths: the hash of the payload, where their first or last frame has all of it; 0 where there is none."""
    payload, frames = facts.result.sightings["payload"], (facts.first_frame[paths], facts.last_frame[paths])
    first, last = (np.where(rows >= 0, payload[rows], np.uint64(0)) for rows in frames)
    return np.maximum(first, last)


def joined(talks: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """PASSED_ON rows: talks that were taken, and those that a program went on with."""
    order = np.lexsort((talks["path"], talks["time_ns"], talks["key"]))
    talks = talks.take(order)
    taken = np.full(talks.size, -1, np.int64)
    doubtful = np.zeros(talks.size, np.bool_)
    # Of equal talks the latest that began before is the likeliest; others may lie between.
    for back in range(1, min(_LOOK_BACK, talks.size - 1) + 1):
        before, behind = talks[:-back], talks[back:]
        fits = np.flatnonzero(before["key"] == behind["key"])
        fits = fits[_fits(before.take(fits), behind.take(fits))]
        doubtful[back + fits] |= taken[back + fits] >= 0
        new = fits[taken[back + fits] < 0]
        taken[back + new] = new
    own = np.flatnonzero(taken >= 0)
    found = np.zeros(own.size, PASSED_ON)
    placed(found["taken"], talks.take(taken[own]))
    placed(found["own"], talks.take(own))
    found["doubtful"] = doubtful[own]
    return found


_LOOK_BACK: Final = 8
"""Equal requests at the same time that are looked through for the one that fits."""


def _fits(outer: npt.NDArray[np.void], inner: npt.NDArray[np.void]) -> Mask:
    """The second begins where the first ends, asks behind it and is answered before it."""
    passed, given = inner["time_ns"] - outer["time_ns"], outer["answer_ns"] - inner["answer_ns"]
    fits = (passed >= 0) & (passed <= _SOON_NS) & (given >= 0) & (given <= _SOON_NS)
    head = inner["head"]
    fits &= (outer["last_namespace"] == head["namespace"]) & (outer["head"]["sequence"] != head["sequence"])
    # It comes from where the first went to: the same address, or one came in and the other left by another interface.
    same = (outer["last_high"] == head["source_high"]) & (outer["last_low"] == head["source_low"])
    ended = (outer["last_direction"] == Direction.IN) & (head["direction"] == Direction.OUT)
    return fits & (same | (ended & (outer["last_place"] != head["place"])))


def proxied(facts: Facts) -> Iterator[Seen]:
    """`proxied`."""
    passed_on = facts.common.passed_on
    if passed_on.size == 0:
        return
    server, client = passed_on["own"]["head"], passed_on["taken"]["head"]
    columns = [server[name] for name in ("source_low", "destination_low", "destination_port", "namespace")]
    columns += [client[name] for name in ("source_low", "destination_low", "destination_port")]
    which, example = group_ids(hashed(*columns, passed_on["doubtful"]))
    runs = runs_of_ids(which, example.size)
    most = np.argsort(-np.diff(runs.start), kind="stable")[:MOST_OF_A_KIND]
    for one in most.tolist():
        pairs = passed_on.take(runs.rows[runs.start[one] : runs.start[one + 1]])
        seen = _proxied(facts, pairs.take(np.argsort(pairs["taken"]["time_ns"], kind="stable")))
        if seen is not None:
            yield seen


def _proxied(facts: Facts, pairs: npt.NDArray[np.void]) -> Seen | None:
    """Some of it may be in this part; what is said is the same in each."""
    topology = facts.result.topology
    taken, own = (facts.local(np.sort(pairs[name]["path"])) for name in ("taken", "own"))
    if taken.size + own.size == 0:
        return None
    client, server = pairs["taken"]["head"], pairs["own"]["head"]
    space = topology.namespaces[int(server["namespace"][0])]
    at, doubtful = where(space.node, space.label), bool(pairs["doubtful"][0])
    went_to, own_client = Ends.of(server, "destination").text(topology), _addresses(facts, server)
    asked, asking = Ends.of(client, "destination").text(topology), _addresses(facts, client)
    maybe = "; others with the same bytes would fit as well" if doubtful else ""

    def say(extent: Extent) -> str:
        return (
            f"a program on {at} takes {extent.flow} and goes on with a connection of its own from {own_client} to "
            f"{went_to}: the server does not see {asking} ({many(extent.amounts[0], 'connection')}, the same bytes "
            f"both ways){maybe}"
        )

    paths = np.unique(np.concatenate([taken, own]))
    return Seen(
        kind=Kind.PROXIED, key=(at, asking, asked, own_client, went_to, doubtful), say=say,
        subject=subject_of(facts, taken), amounts=(own.size,),
        paths=paths[np.argsort(facts.begin_ns[paths], kind="stable")], time_ns=int(pairs["taken"]["time_ns"][0]),
        node=space.node, confidence=0.6 if doubtful else 0.95,
        evidence=(frame_evidence(facts, client[0]), frame_evidence(facts, server[0])),
    )  # fmt: skip


def _addresses(facts: Facts, rows: npt.NDArray[np.void]) -> str:
    """Who sent them, without ports."""
    ends = Ends.of(rows, "source")
    return replace(ends, ports=ends.ports[:0]).text(facts.result.topology)
