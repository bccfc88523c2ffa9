"""Interfaces that come and go while a capture runs."""

import os
from types import SimpleNamespace

import pytest

from ttrace.capture import CaptureOptions, watch
from ttrace.capture.parallel import Workers
from ttrace.errors import TtraceError


@pytest.mark.fault("things that come and go", "a new interface cannot be captured", "said once; the capture goes on")
def test_interface_that_cannot_be_captured_is_said_once(network, router, monkeypatch):
    def refuse(*arguments):
        link = arguments[-1]
        raise TtraceError(f"cannot capture on `{link.name}`")

    monkeypatch.setattr(watch, "open_point", refuse)
    session = SimpleNamespace(
        rings=[], sockets=[], options=CaptureOptions(), warnings=[], workers=Workers(),
        arena=SimpleNamespace(free_slots=1),
        targets=SimpleNamespace(targets=[SimpleNamespace(netns=router)]),
    )  # fmt: skip
    stop_fd, other_fd = os.pipe()
    watching = watch.Watch(session, None, SimpleNamespace(fd=stop_fd))
    for mtu in ("1400", "1401", "1402"):
        network.run(network.router, "ip", "link", "set", "veth0", "mtu", mtu)
        watching.wait(5)
    watching.close()
    os.close(stop_fd)
    os.close(other_fd)
    assert sorted(session.warnings) == ["cannot capture on `br0`", "cannot capture on `veth0`"]
