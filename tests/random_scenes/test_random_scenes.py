"""Random scenes, correlated in memory and in parts, against what is true of them.

What is asserted of every scene:

- nothing crashes, and parts give the same as all at once;
- every frame of the files is in exactly one path.

Of scenes in which translations are told (conntrack of every node that is recorded), nothing is guessed: sightings are
one packet when connection, direction and all that NAT leaves alone agree. So a path that is not said to be ambiguous
holds packets of one connection and one content.

Of recordings that lack nothing, a packet that is like no other is in one path, where headers can tell
(`can_be_followed`).

All else (which of equal packets, order, rewrites, outcomes, and everything where translations are guessed) is counted:
there a capture may not hold what it takes to know. The counts may fall, and not rise: a mistake of a kind that is not
listed fails the test.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ttrace.correlate import correlate_captures
from ttrace.tests.correlate.same_in_parts import assert_same_in_parts

from .__main__ import specification
from .judge import Score, judge
from .scene import Scene, make_scene
from .truth import truth_of

SEEDS = range(60)
MORE_SEEDS = range(60, 560)
KNOWN = {
    "split": 1,
    "split, unlike any other": 124,
    "split, ambiguous": 2,
    "two equals, said to be ambiguous": 2,
    "order": 26,
    "rewrite that was not": 3,
    "outcome delivered (-) for dropped (policy)": 6,
    "outcome delivered (-) for dropped (rule)": 8,
    "outcome delivered (-) for lost (wire)": 4,
}
"""Kinds of mistakes (judge.py) and how many there are in SEEDS. A kind that is none here fails; lower the numbers when
something is mended."""


def score_of(seed: int, folder: Path) -> tuple[Scene, dict[str, Any], Score]:
    """The scene, its truth and what became of it."""
    scene = make_scene(seed, folder)
    files = [specification(source, folder) for source in scene.written.sources]
    result = correlate_captures(files)
    assert_same_in_parts(files, result)
    truth = truth_of(scene)
    return scene, truth, judge(result, truth)


def can_be_followed(packet: dict[str, Any]) -> bool:
    """Whether the headers at each place tell that it is the same.

    Not where both ends were translated in one namespace: between the two it has addresses that conntrack never tells.
    An ICMP error shows little of the packet that it is about, a datagram without its first fragment no ports.
    """
    namespaces = Counter((r["node"], r["netns"]) for r in packet["rewrites"])
    whole = packet["reason"] != "a fragment" and packet["about"] is None
    return whole and max(namespaces.values(), default=0) < 2


def assert_hard_truth(scene: Scene, truth: dict[str, Any], score: Score) -> None:
    wrong = {kind: lines for kind, lines in score.mistakes.items() if kind.startswith("frame")}
    if all(recording.conntrack and recording.form == "pcapng" for recording in scene.recordings):
        wrong |= {kind: score.mistakes[kind] for kind in score.mistakes if kind.startswith("two c") and "sure" in kind}
    if all(recording.is_good for recording in scene.recordings):
        packets = {packet["id"]: packet for packet in truth["packets"]}
        split = [number for number in score.split_though_unlike if can_be_followed(packets[number])]
        wrong |= {"split": split} if split else {}
    assert not wrong, f"scene {scene.seed}: {wrong}"


@pytest.fixture(scope="module")
def mistakes():
    """All of the scenes of SEEDS; judged when all have been made."""
    found: Counter[str] = Counter()
    yield found
    more = {kind: number for kind, number in found.items() if number > KNOWN.get(kind, 0)}
    assert not more, f"more mistakes than there were: {more}, known are {KNOWN}"


def test_a_seed_gives_the_same_scene_again(tmp_path):
    folders = tmp_path / "one", tmp_path / "again"
    for folder in folders:
        folder.mkdir()
        (folder / "truth.json").write_text(json.dumps(truth_of(make_scene(3, folder))))
    one, again = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == again


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_scene_is_told_truly(seed, tmp_path, mistakes):
    scene, truth, score = score_of(seed, tmp_path)
    assert_hard_truth(scene, truth, score)
    mistakes += score.count()


@pytest.mark.long
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_more_scenes_are_told_truly(seed, tmp_path):
    assert_hard_truth(*score_of(seed, tmp_path))
