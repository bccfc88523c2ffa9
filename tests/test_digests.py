"""What is collected is read again, and a difference is found."""

import json
import shutil
import sys
from pathlib import Path

from ttrace.tests import digests, inputs

PING = Path(__file__).parent / "cases" / "ping_seen_by_two_tcpdumps"


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["digests", *map(str, arguments)])
    return digests.main()


def test_what_is_collected_once_is_compared(tmp_path, monkeypatch, capsys):
    for _ in range(2):
        inputs.keep([f"n/{name}={PING / name}.pcap" for name in ("docker0", "eth0")], [4789], tmp_path / "kept")
    (kept,) = inputs.inputs_of(tmp_path / "kept")
    assert [(s.node, s.interface, s.path) for s in kept.sources] == [
        ("n", "docker0", "0/docker0.pcap"),
        ("n", "eth0", "1/eth0.pcap"),
    ]
    assert kept.vxlan_ports == [4789]
    assert run(monkeypatch, tmp_path / "kept") == 0
    before = capsys.readouterr().out
    (tmp_path / "before.json").write_text(before)
    assert run(monkeypatch, tmp_path / "kept", "--against", tmp_path / "before.json") == 0
    assert capsys.readouterr().out == "1 compared, 0 differ, 0 new\n"
    assert list(json.loads(before)) == [kept.name]
    # The same name with a file less.
    shutil.copy(PING / "eth0.pcap", kept.folder / "0" / "docker0.pcap")
    assert run(monkeypatch, tmp_path / "kept", "--against", tmp_path / "before.json") == 1
    assert capsys.readouterr().out == f"{kept.name}\n1 compared, 1 differ, 0 new\n"


def test_a_folder_of_recordings_is_inputs_too(tmp_path):
    shutil.copytree(PING, tmp_path / "ping")
    (found,) = inputs.inputs_of(tmp_path)
    assert (found.name, [source.path for source in found.sources]) == ("ping", ["docker0.pcap", "eth0.pcap"])


def test_what_is_not_there_or_too_large_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "LARGEST", 100)
    for files in (["/nonexistent"], [], ["-"], [str(PING / "eth0.pcap")]):
        inputs.keep(files, [], tmp_path)
    assert not list(tmp_path.iterdir())
