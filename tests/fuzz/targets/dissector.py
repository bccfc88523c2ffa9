"""The dissector: every link type, tunnels, fragments, ICMP errors; with all bytes and with as few as count."""

import random

import numpy as np

from ttrace.correlate.decode.fragments import adopt_first_fragment
from ttrace.correlate.decode.frames import dissect_packets
from ttrace.tests.correlate.test_against_tshark import PACKETS, WAYS, box

from ..mutator import Records
from ..recordings import ETHERNET, frames, in_batches, join_messages, split_messages
from .reading import capture_of_frames

RECORDS = Records(split_messages, join_messages)


def seeds() -> list[bytes]:
    # Every packet, and every way of its own turn: all of both take scapy ten seconds.
    made = [
        link_type.to_bytes(2, "little") + wrap(box(packet))
        for i, packet in enumerate(PACKETS.values())
        for link_type, wrap in (WAYS[0], WAYS[i % len(WAYS)])
    ]
    return in_batches([*made, *(b"\1\0" + frame[:300] for frame in frames(ETHERNET))], 12)


def mutate(rng: random.Random, seed: bytes, others: list[bytes]) -> bytes:
    return RECORDS.mutant(rng, seed, others)


def run(data: bytes) -> None:
    """Each record: the number of its link type, then the frame."""
    frames = [(int.from_bytes(record[:2], "little"), record[2:]) for record in split_messages(data)]
    read = capture_of_frames(frames)
    places, namespaces = np.arange(len(frames), dtype=np.uint32), np.zeros(len(frames), np.uint16)
    for reach, ports in ((None, ()), (np.array([4, 8]), ()), (np.array([9, 15]), (4789, 53))):
        found = dissect_packets(read, 0, places, namespaces, reach, ports)
        adopt_first_fragment(found.rows)
