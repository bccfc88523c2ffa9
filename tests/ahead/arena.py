"""What the loop makes of one arena, by kernels that were compiled in different ways and for different machines.

Run as a program (`python -m ttrace.tests.ahead.arena GIVEN MADE`), it needs nothing but ttrace's sources and an object.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

from ttrace.capture.kernels import columns
from ttrace.capture.stream.ahead import load_ahead
from ttrace.capture.stream.entries import Kernels
from ttrace.capture.stream.loop_memory import LoopMemory, new_row


def made_of(kernels: Kernels, arena: bytes, rings: list[list[int]], inboxes: list[list[int]]) -> dict[str, object]:
    """All that can be seen of what the kernels made of it: what they wrote, and what they left in memory.

    The packets that are written from where they are are asked for in two steps, the messages of a socket in between.
    """
    room = (ctypes.c_uint64 * (-(-len(arena) // 8)))()
    ctypes.memmove(room, arena, len(arena))
    memory = LoopMemory(ctypes.addressof(room), len(arena), inboxes=len(inboxes))
    memory.progress[columns.PAUSE_BYTES] = columns.NEVER
    for one, values in zip(memory.inboxes, inboxes, strict=True):
        one[:] = values
    rows = []
    for values in rings:
        rows.append(new_row(columns.RING_COLUMNS))
        rows[-1][:] = values
    memory.replace_rings(rows)
    descriptor = os.memfd_create("made")
    memory.given[columns.GIVEN_DESCRIPTOR] = descriptor
    settled_ns = kernels.settled_until(memory, 1_700_000_000_000_000_000)
    answers = [settled_ns, kernels.is_urgent(memory, 1), kernels.count_waiting(memory, 0, shift=3)]
    for horizon_ns in (1_000_000_500, columns.NEVER - 1):
        oldest_ns = 0
        while oldest_ns <= horizon_ns:
            oldest_ns = kernels.write_until(memory, horizon_ns, columns.WRITES)
        answers.append(oldest_ns)
    memory.progress[columns.LAST_WRITE_NS] = memory.progress[columns.NEXT_WRITE_NS] = 0
    written = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    os.close(descriptor)
    return {
        "answers": answers, "written": written.hex(), "arena": bytes(memory.octets).hex(),
        "rings": [ring[:] for ring in memory.rings], "inboxes": [inbox[:] for inbox in memory.inboxes],
        "progress": memory.progress[:],
    }  # fmt: skip


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text())
    kernels = load_ahead()
    assert kernels is not None
    made = made_of(kernels, bytes.fromhex(given["arena"]), given["rings"], given["inboxes"])
    Path(sys.argv[2]).write_text(json.dumps(made))


if __name__ == "__main__":
    main()
