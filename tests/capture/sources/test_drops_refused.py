"""Where the kernel's drops cannot be recorded, a capture says so in one line and goes on without."""

import errno
import os
import struct
from pathlib import Path

import pytest

from ttrace.capture import CaptureOptions, run_capture
from ttrace.capture.machine.btf import VMLINUX
from ttrace.capture.sockets.drops import DropRecorder
from ttrace.pcapng.read import read_capture

from ..conftest import tshark
from ..test_rights import capturing

SAID = "packets that the kernel drops are not recorded: "
COVER = 'mount --bind "$0" /sys/kernel/btf/vmlinux && exec "$@"'
EMPTY = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 1) + b"\0"


def tried(what: str):
    return pytest.mark.fault("kernel drops", what, "one warning; everything else is captured")


def types_are(folder: Path, content: bytes) -> list[str]:
    """In front of a command: it sees these as the kernel's types."""
    file = folder / "types"
    file.write_bytes(content)
    return ["unshare", "--mount", "sh", "-c", COVER, str(file)]


def check(network, folder: Path, before: list[str]) -> str:
    file = folder / "x.pcapng"
    with capturing(network.router, file, before=before) as process:
        network.ping(count=1)
        network.run(network.client, "bash", "-c", "echo > /dev/udp/10.8.0.1/9")  # nobody listens there
    assert len(tshark(file, "-Y", "icmp.type == 8")) == 3
    (line,) = [line for line in process.said.splitlines() if "kernel drop" in line]
    assert SAID in line
    assert "`ttrace doctor` says what it needs" in line
    assert b"kernel drops" not in file.read_bytes()
    return line


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "no BTF: too short", marks=tried("a kernel that does not describe its types")),
        pytest.param(
            EMPTY,
            "this kernel does not describe what is needed: 'btf_trace_kfree_skb'",
            marks=tried("a kernel that has no reasons for drops"),
        ),
        pytest.param(None, "no BTF, or of another byte order", marks=tried("the kernel's types are cut off")),
        pytest.param(b"\x12" * 4096, "no BTF", marks=tried("the kernel's types are something else")),
    ],
)
def test_without_the_types_that_are_needed(network, tmp_path, content, why):
    types = VMLINUX.read_bytes()[: 1 << 20] if content is None else content
    line = check(network, tmp_path, types_are(tmp_path, types))
    assert why in line
    assert line.endswith("; instead they are counted, by reason, on the whole machine")
    assert b'"NO_SOCKET": {' in (tmp_path / "x.pcapng").read_bytes()


@tried("no CAP_BPF and no CAP_SYS_ADMIN")
def test_without_the_rights_that_bpf_needs(network, tmp_path):
    assert "Operation not permitted" in check(network, tmp_path, ["setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin"])


@tried("a program that cannot be attached")
def test_a_program_that_cannot_be_attached(router, tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))

    monkeypatch.setattr(DropRecorder, "attach", refuse)
    file = tmp_path / "x.pcapng"
    with router.entered():
        summary = run_capture(CaptureOptions(output=str(file), duration_s=0.1))
    (said,) = [warning for warning in summary.warnings if "kernel drop" in warning]
    assert said == (
        f"{SAID}Argument list too long (`ttrace doctor` says what it needs); "
        "instead they are counted, by reason, on the whole machine"
    )
    assert read_capture(file).statistics
