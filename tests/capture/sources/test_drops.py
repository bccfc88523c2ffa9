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
