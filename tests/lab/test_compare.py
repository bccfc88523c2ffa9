"""Two runs of a lab, of which one has a rule or a route more: `ttrace compare` names it. Needs root."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ttrace.lab import LightLab
from ttrace.tests.command_line import run_here
from ttrace.tests.truth.scene import recorded

SECOND = "192.168.77.20"
"""Another address of slave."""
MORE = (
    ("slave", ["iptables", "-I", "FORWARD", "-s", "192.168.77.1/32", "-p", "tcp", "--dport", "80", "-j", "DROP"]),
    ("master", ["ip", "route", "add", "blackhole", SECOND]),
)
"""What the bad run has more."""


@pytest.fixture(scope="module")
def lab() -> Iterator[LightLab]:
    with LightLab(f"t{os.getpid()}cmp") as lab:
        lab.command("slave", ["ip", "address", "add", f"{SECOND}/24", "dev", "eth0"])
        yield lab


def run(lab: LightLab, folder: Path) -> list[Path]:
    """The captures of a request to the published port, and of an echo to the other address."""
    folder.mkdir()
    fetch = ["timeout", "1", "wget", "-q", "-O", "-", "http://192.168.77.2:8080/mark/x"]
    with recorded(lab, folder, inside=False) as scene:
        lab.in_container("web1", fetch, check=False)
        lab.in_container("web1", ["ping", "-c", "1", "-W", "1", SECOND], check=False)
    return scene.files


def compare(monkeypatch: pytest.MonkeyPatch, good: Sequence[Path], bad: Sequence[Path]) -> str:
    """Its text, on one line."""
    words = [word for file in bad for word in ("--with", str(file))]
    done = run_here(monkeypatch, "compare", *map(str, good), *words)
    assert (done.returncode, done.stderr) == (0, b"")
    return " ".join(done.stdout.decode().split())


def test_a_rule_and_a_route_more(lab: LightLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = run(lab, tmp_path / "good")
    for node, command in MORE:
        lab.command(node, command)
    text = compare(monkeypatch, good, run(lab, tmp_path / "bad"))
    assert text.startswith("2 of 2 roles that both runs have differ")
    assert "1 tcp 172.17.0.2 -> slave port 8080" in text
    assert "cause FAULT rule_drop: slave drops tcp" in text
    assert "at forward of slave (ip filter) the good ones meet `-A DOCKER -d 172.18.0.2/32" in text
    assert "the bad ones meet `-A FORWARD -s 192.168.77.1/32 -p tcp -m tcp --dport 80 -j DROP` drop" in text
    assert "2 icmp 172.17.0.2 -> slave" in text
    assert "behind master docker0 in the good ones go on to forward of master (ip filter), the bad ones are " in text
    assert f"Recorded otherwise master: route only in the bad run: blackhole {SECOND}" in text
    assert compare(monkeypatch, good, good).startswith("No difference is seen in the 2 roles that both runs have")
