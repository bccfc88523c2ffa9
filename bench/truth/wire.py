"""A wire that loses, reorders, duplicates and delays, the same for the same seed: two TAP devices and a loop.

Run as `wire.py NETNS_A NETNS_B LOG OPTIONS`; it makes `eth0` in both namespaces and says `ready`. On SIGTERM it writes
LOG: one JSON line for each frame that came, with the numbers of the frames it became at the other end.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import signal
import struct
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x2, 0x1000
TCP, UDP, ICMP = 6, 17, 1


@dataclass(frozen=True)
class Wire:
    """What happens to the packets; probabilities are per packet and direction."""

    seed: int = 1
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """Held back for 1 to 4 ms, so that those sent after it may overtake it."""
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Half the range of the delay."""
    pad: bool = False
    """Frames are 60 bytes at least, as on Ethernet."""

    def arguments(self):
        return json.dumps(asdict(self))


def open_tap(netns, name):
    with open(netns) as namespace:  # noqa: PTH123 - run without site packages, where each import counts
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):  # os.setns is new in Python 3.12
            raise OSError(ctypes.get_errno(), f"setns {netns}")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def is_impaired(frame):
    """Neighbours are found at once, so that losses hit what is measured."""
    kind = frame[12:14]
    return (kind == b"\x08\x00" and frame[23] in (TCP, UDP, ICMP)) or (kind == b"\x86\xdd" and frame[20] in (TCP, UDP))


def plan(frame, wire, dice):
    """The delays in seconds after which a copy of the frame comes out."""
    if not is_impaired(frame):
        return [0.0]
    lost, twice, late = (dice.random() < p for p in (wire.loss, wire.duplicate, wire.reorder))
    delay = wire.delay_ms + dice.uniform(-wire.jitter_ms, wire.jitter_ms) + (dice.uniform(1, 4) if late else 0)
    delays = [] if lost else [delay / 1000]
    return delays + [delay / 1000 + 0.0003] * (twice and not lost)


def run(taps, wire):
    """Carry frames until SIGTERM; the log."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    dice = [random.Random(wire.seed * 2 + side) for side in (0, 1)]
    pending, log, written = [], [], [0, 0]
    poller = select.poll()
    for tap in taps:
        poller.register(tap, select.POLLIN)
    print("ready", flush=True)
    while not stopped:
        wait = 20 if not pending else max(0, (pending[0][0] - time.monotonic()) * 1000)
        for descriptor, _ in poller.poll(wait):
            side = taps.index(descriptor)
            while True:
                try:
                    frame = os.read(descriptor, 65536)
                except BlockingIOError:
                    break
                now = time.monotonic()
                carried = frame.ljust(60, b"\0") if wire.pad else frame
                log.append({"from": "ab"[side], "frame": frame.hex(), "became": []})
                for delay in plan(frame, wire, dice[side]):
                    heapq.heappush(pending, (now + delay, len(log), side, carried))
        while pending and pending[0][0] <= time.monotonic():
            _, number, side, frame = heapq.heappop(pending)
            with suppress(OSError):  # the other end is not up yet
                os.write(taps[1 - side], frame)
            log[number - 1]["became"].append(written[side])
            written[side] += 1
    return log


def main():
    netns_a, netns_b, path, options = sys.argv[1:]
    log = run([open_tap(netns_a, "eth0"), open_tap(netns_b, "eth0")], Wire(**json.loads(options)))
    with open(path, "w") as file:  # noqa: PTH123
        file.writelines(json.dumps(entry) + "\n" for entry in log)


if __name__ == "__main__":
    main()
