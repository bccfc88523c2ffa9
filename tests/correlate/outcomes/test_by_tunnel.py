"""Packets in a tunnel: that the datagram around one came in does not mean that it was taken out."""

import pytest
from scapy.layers.inet import IP, TCP

from ..decode.test_tunnels import vxlan
from ..scene import IN, OUT, Node, correlate, keep_recording, paths


def node(number: int, *, device: bool) -> Node:
    found = Node(f"n{number}", boot_id=f"n{number}")
    found.interface("eth0", 2, addresses=[f"192.168.77.{number}"])
    found.interface("vxlan0", 4, kind="vxlan", addresses=[f"10.49.0.{number}"], captured=device)
    return found


@pytest.mark.parametrize(
    ("device", "expected"), [(True, ("lost", "not-decapsulated")), (False, ("unknown", "arrived"))]
)
def test_what_never_left_its_tunnel_is_lost_where_the_tunnel_device_is_captured(device, expected, tmp_path):
    """A wrong VNI, a key that differs: the datagram around it is delivered, and dropped by the device."""
    packet = IP(src="10.50.0.2", dst="10.51.0.2", id=9) / TCP(sport=4000, dport=80, flags="S")
    sender, receiver = node(1, device=True), node(2, device=device)
    sender.see("vxlan0", OUT, 1_000_000, packet)
    sender.see("eth0", OUT, 1_000_010, vxlan(packet))
    receiver.see("eth0", IN, 1_000_120, vxlan(packet))
    keep_recording(sender, receiver)
    (path,) = [p for p in paths(correlate(tmp_path, sender, receiver)) if p.protocol == "tcp"]
    assert (path.outcome, path.reason.kind) == expected
