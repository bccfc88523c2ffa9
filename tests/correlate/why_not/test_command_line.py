"""`ttrace correlate … --why-not RULE`, as it is typed."""

import json
from pathlib import Path

import pytest

from ttrace.tests.command_line import run_here

from .draft import NODE

PCAPS = Path(__file__).parents[3] / "pcaps"
BOTH = [str(PCAPS / "docker-http" / f"{node}.pcapng") for node in ("master", "slave")]


def test_the_report_begins_with_the_answer(monkeypatch):
    done = run_here(monkeypatch, "correlate", NODE, "--why-not", "DOCKER-USER 1", "--why-not", "inet fw forw 12")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert lines[0] == "Why not DOCKER-USER 1"
    assert lines[2].startswith("  - 5 packets: wants --dport 8080; the destination port was 80 there: DNAT by")
    assert "Why not inet fw forw 12" in lines
    assert all(len(line) <= 100 for line in lines[: lines.index("Captures")])


def test_it_is_a_finding_behind_the_faults(monkeypatch):
    done = run_here(monkeypatch, "correlate", NODE, "--why-not", "DOCKER-USER 1", "--format", "json")
    findings = json.loads(done.stdout)["findings"]
    [found] = [finding for finding in findings if finding["kind"] == "rule_not_matched"]
    assert found["severity"] == "notice"
    assert "DNAT by nat DOCKER rule 2 had changed it from 8080" in found["text"]
    assert (found["node"], found["rule"]["chain"], found["rule"]["number"]) == ("node", "DOCKER-USER", 1)
    assert found["packets"] == len(found["paths"]) == 5
    assert [finding["id"] for finding in findings] == list(range(1, len(findings) + 1))
    assert all(finding["severity"] == "fault" for finding in findings[: found["id"] - 1])
    assert {"rule", "trace"} == {evidence["what"] for evidence in found["evidence"]}


def test_one_path_gets_one_answer(monkeypatch):
    done = run_here(monkeypatch, "correlate", NODE, "--why-not", "inet fw forw 11", "--path", "19")
    lines = done.stdout.decode().splitlines()
    assert (
        lines[2] == "  - 1 packet: never came to inet fw forw: the policy of filter FORWARD had dropped it before (#19)"
    )
    assert lines[3] == ""


def test_a_rule_that_several_nodes_have_is_told_of_each_or_of_the_one_that_is_named(monkeypatch):
    done = run_here(monkeypatch, "correlate", *BOTH, "--why-not", "FORWARD 1")
    assert [line[:8] for line in done.stdout.decode().splitlines() if "rule 1: -A FORWARD" in line] == [
        "  master", "  slave:"
    ]  # fmt: skip
    done = run_here(monkeypatch, "correlate", *BOTH, "--why-not", "slave: FORWARD 1")
    assert done.stdout.count(b"rule 1: -A FORWARD") == 1


@pytest.mark.parametrize(
    ("asked", "code", "error", "hint"),
    [
        (["--why-not", "DOCKER-USER"], 2, "cannot read the rule `DOCKER-USER`", "write chain and number"),
        (["--why-not", "DOCKER-USER 99"], 1, "no rule `DOCKER-USER 99`", "`ip filter DOCKER-USER` (rules 1 to 11)"),
        (["--why-not", "FORWARD 1", "--explain", "1"], 2, "`--explain` is about single frames", "leave out"),
        (["--why-not", "FORWARD 1", "--path", "9999"], 2, "no path 9999", "numbered 1 to"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_wrong_is_one_line_with_a_hint(monkeypatch, form, asked, code, error, hint):
    done = run_here(monkeypatch, "correlate", NODE, "--format", form, *asked)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (code, b"")
    assert said[0].startswith("error: ")
    assert error in said[0]
    assert said[1].startswith("hint: ")
    assert hint in said[1]
    assert len(said) == 2


def test_captures_without_rules_say_so(monkeypatch, tmp_path):
    from scapy.layers.inet import IP, UDP
    from scapy.utils import wrpcap

    wrpcap(str(tmp_path / "a.pcap"), [IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2)])
    done = run_here(monkeypatch, "correlate", str(tmp_path / "a.pcap"), "--why-not", "FORWARD 1")
    assert done.returncode == 1
    assert b"they hold no rules" in done.stderr
