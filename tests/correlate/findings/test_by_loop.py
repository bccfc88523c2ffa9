"""Packets that go round in circles."""

from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP

from ttrace.correlate.findings.kinds import Kind
from ttrace.correlate.findings.values import Finding
from ttrace.tests.correlate.scene import Direction, Node

from .told import findings_of, of_kind


def _found(folder: Path, ttls: list[int], *, apart_us: float = 200, ids: int = 0) -> list[Finding]:
    """One packet each time it comes by, in a plain capture; `ids`: what its id grows by each time."""
    node = Node("r", snapshots=False)
    node.interface("eth0", 2)
    for number, ttl in enumerate(ttls):
        packet = IP(src="10.9.0.9", dst="10.8.0.8", id=77 + ids * number, ttl=ttl) / UDP(sport=1000, dport=2000) / b"x"
        node.see("eth0", Direction.UNKNOWN, apart_us * number, packet)
    return of_kind(findings_of(folder, node), Kind.REDIRECT_LOOP)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_until_no_hop_is_left(tmp_path: Path, step: int) -> None:
    ttls = list(range(60, 0, -step))
    (finding,) = _found(tmp_path, ttls)
    assert f"one packet comes by r eth0 {len(ttls)} times, with 60 hops left at first" in finding.text


@pytest.mark.parametrize(
    ("ttls", "more"),
    [
        (list(range(1, 30)), {}),  # a traceroute
        (list(range(30, 0, -1)), {"ids": 1}),  # other packets
        (list(range(30, 0, -1)), {"apart_us": 3_000_000}),  # somebody asks again, with fewer hops
        ([64, 63, 62, 61, 60, 59, 58], {}),  # a mirror of a few routers
        (list(range(8, 0, -1)), {}),  # a mirror of more, and one probe of a traceroute
        ([3, 2, 1], {}),
        ([1] * 20, {}),
    ],
)
def test_what_looks_like_it(tmp_path: Path, ttls: list[int], more: dict) -> None:
    assert _found(tmp_path, ttls, **more) == []
