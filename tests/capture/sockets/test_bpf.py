"""Filters of packet sockets."""

from ttrace.capture.sockets.bpf import accept_all, compile_filter
from ttrace.pcapng.blocks import LinkType


def test_filter_and_snaplen_become_a_program(router):
    with router.entered():
        program = compile_filter("tcp port 80", snaplen=96, link_type=LinkType.ETHERNET, interface="eth0")
        raw = compile_filter("tcp port 80", snaplen=96, link_type=LinkType.RAW, interface="tun0")
    assert len(program) % 8 == 0
    assert accept_all(96) in program
    assert raw != program
    assert compile_filter("  ", snaplen=96, link_type=LinkType.RAW, interface="x") == accept_all(96)
