"""TRACE of iptables-legacy: where somebody else has its NFLOG group, the capture says so and goes on without."""

from types import SimpleNamespace

import pytest

from ttrace.capture import CaptureOptions
from ttrace.capture.machine.journal import Journal
from ttrace.capture.sockets.arena import Arena
from ttrace.capture.sockets.netfilter import arena_bytes, open_netfilter_socket
from ttrace.capture.sources import CannotRunError
from ttrace.capture.sources.legacy_trace import LegacyTrace


@pytest.fixture
def listeners(router):
    """Two netfilter sockets of one namespace."""
    arena = Arena(buffer_bytes=2 * arena_bytes(1))
    both = [open_netfilter_socket(arena, router, buffer_mib=1, groups=(), wakes=()) for _ in range(2)]
    yield both
    for listener in both:
        listener.close()
    arena.close()


@pytest.fixture
def source(tmp_path):
    session = SimpleNamespace(options=CaptureOptions(), journal=Journal(tmp_path), warnings=[])
    yield LegacyTrace(session)
    assert session.journal.restore() == []


def logger(network):
    return network.run(network.router, "sysctl", "-n", "net.netfilter.nf_log.2").strip()


def test_a_second_listener_is_refused_in_words_and_the_kernel_log_is_spared(network, listeners, source):
    network.run(network.router, "iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-p", "icmp", "-j", "ACCEPT")
    first, second = listeners
    source.open(first)
    with pytest.raises(CannotRunError) as raised:
        source.open(second)
    where = second.netns.description
    expected = f"{where}: another program listens to NFLOG group 0, so rules of iptables-legacy are not traced"
    assert str(raised.value) == expected
    assert logger(network) == "nfnetlink_log"


def test_without_legacy_tables_nothing_is_touched(network, listeners, source):
    before = logger(network)
    source.open(listeners[0])
    source.open(listeners[1])
    assert logger(network) == before
