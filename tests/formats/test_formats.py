"""What an older version wrote is read as it was meant, and what a newer one wrote is not guessed at."""

import json
import struct
import subprocess
from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.values import InterfaceHop
from ttrace.lab.recording import ttrace_command
from ttrace.pcapng.blocks import FORMAT_VERSION
from ttrace.tests.correlate.scene import paths

FORMATS = Path(__file__).parent


def told(path) -> dict:
    return {
        "info": path.info,
        "outcome": path.outcome,
        "points": [[h.node, h.netns, h.interface, h.direction] for h in path.hops if isinstance(h, InterfaceHop)],
        "rewrites": [[r.node, r.field, r.old, r.new, r.kind, r.rule.text if r.rule else None] for r in path.rewrites],
    }


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_a_file_of_each_format_stays_readable(version):
    folder = FORMATS / f"format_{version}"
    result = correlate_captures([str(file) for file in sorted(folder.glob("*.pcapng.gz"))])
    assert [told(path) for path in paths(result)] == json.loads((folder / "expected.json").read_text())


@pytest.mark.fault("capture files", "a file of a newer format", "refused: its format, and the newest that is read")
def test_a_file_of_a_newer_format_is_refused(tmp_path):
    comment = json.dumps({"ttrace": FORMAT_VERSION + 1, "node": "master"}).encode()
    option = struct.pack("<HH", 1, len(comment)) + comment + bytes(-len(comment) % 4 + 4)
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option
    length = struct.pack("<I", len(body) + 12)
    file = tmp_path / "new.pcapng"
    file.write_bytes(struct.pack("<I", 0x0A0D0D0A) + length + body + length)
    message = f"is of format {FORMAT_VERSION + 1} of ttrace, and this ttrace reads up to {FORMAT_VERSION}"
    for command in ("show", "correlate"):
        done = subprocess.run([*ttrace_command(), command, file], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-2:] == [
            f"error: `{file}` {message}",
            "hint: update ttrace here, or have the file converted by the ttrace that wrote it",
        ]
