"""Equal packets of which one was not seen, and what one point saw that cannot be one packet."""

import pytest

from ..plain import Plain, back, numbers, talk, tcp, udp
from ..scene import paths

CLIENT, NAT, SERVER = "192.0.2.10", "198.51.100.7", "203.0.113.5"
VIEWS = {"a": ((CLIENT, 40_000), (SERVER, 80)), "b": ((NAT, 20_001), (SERVER, 80))}


@pytest.mark.parametrize("missed", [0, 1, 2])
@pytest.mark.parametrize("where", ["a", "b"])
@pytest.mark.parametrize("build", [tcp("R", 8_021), tcp("A", 8_021, 1_021)], ids=["RST", "ACK"])
def test_of_equal_segments_without_an_id_nobody_knows_which_is_missing(build, where, missed, tmp_path):
    """Three within a fraction of the time that one is on its way."""
    scene = Plain({"a": 0, "b": 0})
    talk(scene, 0, VIEWS, 1_000)
    for number in range(3):
        scene.send(40_000 + 10 * number, back(VIEWS), build, without=where if number == missed else "")
    found = [path for path in paths(scene.correlate(tmp_path)) if path.info in ("RST", "ACK") and not path.forward]
    assert len(found) >= 3
    assert all(path.ambiguous for path in found)
    assert not [path for path in found if path.outcome == "lost" and path.confidence > 0.9]


@pytest.mark.parametrize("ttls", [(63, 64), (60, 64)])
@pytest.mark.parametrize("points", ["a", "ab"])
@pytest.mark.parametrize("later_us", [100, 50_000])
def test_a_ttl_that_rises_at_one_point_is_that_of_another_packet(ttls, points, later_us, tmp_path):
    scene = Plain(dict.fromkeys(points, 0))
    for number, ttl in enumerate(ttls):
        views = dict.fromkeys(points, ((CLIENT, 5000), (SERVER, 514)))
        scene.send(later_us * number, views, udp(b"twice", 7), ttl=ttl, each_us=20)
    found = paths(scene.correlate(tmp_path))
    assert [numbers(path) for path in found] == [{key: [n] for key in points} for n in (1, 2)]


def test_a_ttl_that_falls_at_one_point_is_that_of_the_same_packet(tmp_path):
    scene = Plain({"a": 0})
    for number, ttl in enumerate((64, 63)):
        scene.see("a", 50 * number, udp(b"twice", 7)((CLIENT, 5_000), (SERVER, 514), ttl))
    (path,) = paths(scene.correlate(tmp_path))
    assert len(path.hops) == 2
