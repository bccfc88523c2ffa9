"""Has the kernels of the loop ready: the first time on a machine, that takes some seconds."""

import numpy as np

from . import columns, loop, merge, messages, rings
from .intake import make_intake, make_sink
from .layouts import EVENT_WORDS


def compile_kernels() -> None:
    """Compile the kernels (or load them from numba's cache) by running them on nothing."""
    nothing = make_intake(np.zeros(64, dtype=np.uint8), inboxes=0)
    sink = make_sink(-1, 0)
    progress = np.zeros(columns.PROGRESS_COLUMNS, dtype=np.int64)
    events = np.zeros(columns.EVENTS * EVENT_WORDS, dtype=np.uint32)
    merge.is_urgent(nothing)
    merge.is_set_back(nothing, 0)
    rings.settled_until(nothing, 0)
    messages.receive_all(nothing, progress)
    messages.count_waiting(make_intake(np.zeros(64, dtype=np.uint8), inboxes=1), 0, 0, -1)
    loop.write_until(nothing, sink, progress, 0, 1)
    loop.end_batch(nothing, progress)
    loop.record(nothing, sink, progress, -1, events, -1, 0, 0)
