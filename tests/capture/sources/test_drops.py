"""The kernel's drops: what it drops in a captured namespace is told, with its reason, and ends the packet's path."""

import json
import subprocess

import pytest

from ttrace.capture.machine.btf import Btf
from ttrace.capture.machine.netns import own_netns
from ttrace.capture.sockets import drops as recorder_module
from ttrace.capture.sockets.arena import Arena
from ttrace.capture.sockets.drop_types import DropTypes
from ttrace.capture.sockets.drops import ARENA_BYTES, open_drops


def test_the_types_that_the_kernel_describes_are_found():
    types = DropTypes.of(Btf.of_kernel())
    assert types.reasons[0] == "SKB_NOT_DROPPED_YET"
    assert "SKB_DROP_REASON_NEIGH_FAILED" in types.reasons.values()
    assert types.reason_argument == 2
    assert types.offsets["sk_buff.dev"] != types.offsets["sk_buff.sk"]


def test_what_is_not_described_is_said():
    types = Btf.of_kernel()
    with pytest.raises(KeyError):
        types.offset("sk_buff.no_such_member")
    with pytest.raises(KeyError):
        types.enum("no_such_enum")


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"\x9f\xeb" + b"\xff" * 62])
def test_what_is_no_description_is_refused(data):
    with pytest.raises((ValueError, KeyError)):
        Btf(data).enum("skb_drop_reason")


def test_a_drop_beyond_the_limit_is_counted():
    netns = own_netns()
    arena = Arena(buffer_bytes=ARENA_BYTES)
    recorder = open_drops(arena, [netns.inode], limit=1)
    recorder.attach()
    for _ in range(5):  # nobody listens there
        subprocess.run(["bash", "-c", "echo > /dev/udp/127.0.0.1/9"], check=True)
    recorder.detach()
    recorder.read_lost()
    over = recorder.over[0]
    recorder.close()
    arena.close()
    netns.close()
    assert over >= 3
    assert recorder_module.LIMIT > 1


def test_a_neighbour_that_does_not_answer_is_named(start, network):
    network.run(network.router, "sysctl", "-qw", "net.ipv4.neigh.eth0.retrans_time_ms=100")
    capture = start(network.router, trace=False)
    capture.wait_ready()
    network.run(network.client, "bash", "-c", "echo hello > /dev/udp/10.8.0.77/9")
    wait_for_answer = ["ping", "-q", "-c", "1", "-W", "4", "10.8.0.77"]
    subprocess.run(["ip", "netns", "exec", network.client, *wait_for_answer], check=False, capture_output=True)
    capture.stop()
    found = [path for path in paths_of(capture.path) if path["protocol"] == "udp"]
    assert [(path["outcome"], path["reason"]["kind"]) for path in found] == [("dropped", "kernel-drop")]
    assert "NEIGH_FAILED (neigh_invalidate) at eth0" in found[0]["reason"]["text"]
    assert found[0]["hops"][-1]["kind"] == "drop"


def test_without_the_option_nothing_is_recorded(start, network):
    capture = start(network.router, trace=False, kernel_drops=False)
    capture.wait_ready()
    capture.stop()
    assert b"kernel drops" not in capture.path.read_bytes()


def paths_of(path):
    from ttrace.correlate import correlate_captures
    from ttrace.report import render_telling
    from ttrace.report.telling import Telling

    telling = Telling.chosen(correlate_captures([str(path)]), every_path=True)
    return json.loads("".join(render_telling(telling, "json")))["paths"]
