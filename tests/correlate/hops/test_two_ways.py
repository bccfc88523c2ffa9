"""Points whose order TTL tells wrongly: routers that set it, raise it, or take nothing off one way."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from ttrace.correlate.result.values import Path as PacketPath

from ..plain import Build, End, Plain, Views, back, tcp, udp
from ..scene import paths

CLIENT, NODE, SERVICE, SERVER = "172.17.0.2", "192.0.2.1", "192.0.2.2", "172.18.0.2"
NAT: Views = {
    "client": ((CLIENT, 4000), (SERVICE, 80)),
    "wire": ((NODE, 4000), (SERVICE, 80)),
    "arrival": ((NODE, 4000), (SERVICE, 80)),
    "server": ((NODE, 4000), (SERVER, 8080)),
}
ENDS: Views = {name: NAT[name] for name in ("client", "server")}
LAST: Views = {name: NAT[name] for name in ("arrival", "server")}
NAT6: Views = {
    "client": (("fd00::2", 4000), ("fd02::2", 80)),
    "server": (("fd01::1", 4000), ("fd03::2", 8080)),
}
TtlAt = Callable[[str, bool, int], int]
"""Point, whether it is the way back, the packet's TTL without anybody's help -> the one it has."""


def set_at_the_end(point: str, reply: bool, ttl: int) -> int:
    """`ip ttl set 64` in the forward chain of the server's node."""
    return 64 if point == "server" and not reply else ttl - 10


def set_both_ways(point: str, reply: bool, ttl: int) -> int:
    return 64 if point == ("client" if reply else "server") else ttl - 10


def raised(point: str, reply: bool, ttl: int) -> int:
    """--ttl-inc 9 on packets that come to the server's node."""
    return ttl + 9 if point == "server" and not reply else ttl


def raised_both_ways(point: str, reply: bool, ttl: int) -> int:
    return ttl + 9 if point == ("client" if reply else "server") else ttl


def rising_everywhere(_point: str, _reply: bool, ttl: int) -> int:
    return 200 - ttl


TTLS = (set_at_the_end, set_both_ways, raised, raised_both_ways, rising_everywhere)


def send(plain: Plain, time_us: float, views: Views, build: Build, ttl_at: TtlAt, *, reply: bool = False) -> None:
    """One hop from each point to the next, 20 us each."""
    for hop, (point, (source, destination)) in enumerate((back(views) if reply else views).items()):
        plain.see(point, time_us + 20 * hop, build(source, destination, ttl_at(point, reply, 64 - hop)))


def talk(plain: Plain, views: Views, ttl_at: TtlAt, *, turns: int = 3, answers: bool = True) -> None:
    """TCP, its packets in turn, 3 ms apart."""
    mine, theirs = 1000, 9000
    steps = [("S", False, mine, 0, b""), ("SA", True, theirs, mine + 1, b""), ("A", False, mine + 1, theirs + 1, b"")]
    for turn in range(turns):
        at = mine + 1 + 10 * turn, theirs + 1 + 10 * turn
        steps += [("PA", False, *at, b"question %d" % turn), ("PA", True, at[1], at[0] + 10, b"answer   %d" % turn)]
    for number, (flags, reply, seq, ack, payload) in enumerate(steps):
        if answers or not reply:
            send(plain, 3000 * number, views, tcp(flags, seq, ack, 100 + number, payload), ttl_at, reply=reply)


def points(path: PacketPath) -> list[str]:
    return [hop.node for hop in path.hops]


def claims(path: PacketPath) -> set[tuple[str, str, str]]:
    return {(rewrite.field, rewrite.old, rewrite.new) for rewrite in path.rewrites}


def true_rewrites(views: Views, *, reply: bool) -> set[tuple[str, str, str]]:
    def text(end: End) -> str:
        return f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"

    ends = list((back(views) if reply else views).values())
    return {
        (field, text(a[side]), text(b[side]))
        for a, b in pairwise(ends)
        for side, field in enumerate(("source", "destination"))
        if a[side] != b[side]
    }


@pytest.mark.parametrize("ttl_at", TTLS)
@pytest.mark.parametrize("views", [NAT, ENDS, LAST, NAT6], ids=["four", "ends", "last", "ipv6"])
@pytest.mark.parametrize("turned", [False, True])
def test_the_times_of_both_ways_tell_more_than_a_ttl_that_is_set(views, ttl_at, turned, tmp_path):
    names = list(views)[::-1] if turned else list(views)
    plain = Plain({name: 250_000.0 * number for number, name in enumerate(names)})
    talk(plain, views, ttl_at)
    found = paths(plain.correlate(tmp_path))
    assert len(found) == 9
    for path in found:
        reply = not path.forward
        assert points(path) == list(back(views) if reply else views)
        assert all(hop.order_known for hop in path.hops)
        assert claims(path) == true_rewrites(views, reply=reply)


@pytest.mark.parametrize("ttl_at", [set_at_the_end, raised])
def test_one_question_and_its_answer_are_enough(ttl_at, tmp_path):
    plain = Plain({"client": 0, "server": 3e6})
    send(plain, 0, ENDS, udp(b"a question", 7), ttl_at)
    send(plain, 900, ENDS, udp(b"its answer", 8), ttl_at, reply=True)
    talk(plain, {"client": ((CLIENT, 1), (NODE, 2)), "server": ((CLIENT, 1), (NODE, 2))}, raised)
    found = [path for path in paths(plain.correlate(tmp_path)) if path.protocol == "udp"]
    assert [points(path) for path in found] == [["client", "server"], ["server", "client"]]
    assert [claims(path) for path in found] == [true_rewrites(ENDS, reply=reply) for reply in (False, True)]


def test_where_a_ttl_is_shown_to_be_set_and_nothing_else_tells_no_order_is_claimed(tmp_path):
    """One way, several TTLs become one: the higher one behind is no evidence, and so no direction of the rewrite is."""
    plain = Plain({"client": 0, "server": 0})
    for number in range(6):
        for point, ttl in (("client", 40 + number % 2), ("server", 64)):
            seen = udp(b"datagram %d" % number, 100 + number)(*ENDS[point], ttl)
            plain.see(point, 1000 * number + (0 if point == "client" else 90), seen)
    found = paths(plain.correlate(tmp_path))
    assert [[hop.order_known for hop in path.hops] for path in found] == [[True, False]] * 6
    assert [path.rewrites for path in found] == [()] * 6


def test_a_ttl_that_falls_toward_one_point_on_both_ways_claims_nothing(tmp_path):
    """The two ways were not captured at once, and a clock drifts more in 20 s than a packet takes."""
    plain = Plain({"client": 0, "server": 0})
    for number in range(3):
        send(plain, 1000 * number, ENDS, udp(b"question %d" % number, 7 + number), raised)
        send(plain, 2e7 + 1000 * number, ENDS, udp(b"answer   %d" % number, 90 + number), raised, reply=True)
    found = paths(plain.correlate(tmp_path))
    assert len(found) == 6
    for path in found:
        assert claims(path) <= true_rewrites(ENDS, reply=path.hops[0].source.startswith(SERVER))
