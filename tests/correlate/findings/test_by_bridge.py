"""Bridged frames that died in rules of IP."""

from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.utils import RawPcapNgReader

from ttrace.correlate.findings.kinds import Kind
from ttrace.tests.correlate.scene import DOCKER0, DROP, DROP_RULE, IN, docker_host, keep_recording

from .told import findings_of, of_kind


def test_the_setting_that_proves_it_can_be_opened(tmp_path: Path) -> None:
    host = docker_host(bridge_nf=True)
    syn = IP(src="172.17.0.2", dst="172.17.0.3", id=5) / TCP(sport=1000, dport=80, flags="S", seq=1)
    host.see("veth1", IN, 0, syn)
    dropped = {"rules": [("FORWARD", DROP_RULE, DROP)], "policy": None}
    host.trace(3, syn, "FORWARD", iif=DOCKER0, oif=DOCKER0, **dropped)
    keep_recording(host)
    (finding,) = of_kind(findings_of(tmp_path, host), Kind.BRIDGE_FILTERED)
    setting = finding.evidence[0]
    assert setting.text == "net.bridge.bridge-nf-call-iptables = 1"
    assert setting.file
    assert setting.frame
    with RawPcapNgReader(setting.file) as frames:
        assert b"bridge-nf-call-iptables" in list(frames)[setting.frame - 1][0]
