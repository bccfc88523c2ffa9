"""The text form, whole: compared with expected/*.txt."""

import re
from pathlib import Path

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.result.select import select
from ttrace.report import render

from ..scenes import request_and_answer

HERE = Path(__file__).parents[1]
PCAPS = HERE.parents[1] / "pcaps"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return correlate_captures(request_and_answer(tmp_path_factory.mktemp("scene")))


def text(result, **asked) -> str:
    report = "".join(render(result, select(result, **asked), "text"))
    folder = str(Path(result.files[0].path).parent)
    return report.replace(folder, "FOLDER")


def expected(name: str) -> str:
    return (HERE / "expected" / f"{name}.txt").read_text()


def test_one_path_with_its_connection(result):
    report = text(result, paths=[2])
    assert re.findall(r"^#(\d+)", report, re.MULTILINE) == ["2"]
    assert "Connections: 1 with" in report
    assert "Routes" not in report


def test_one_connection_with_all_its_paths(result):
    assert re.findall(r"^#(\d+)", text(result, connections=[1]), re.MULTILINE) == ["1", "2", "3"]
    assert re.findall(r"^#(\d+)", text(result, connections=[2]), re.MULTILINE) == ["4"]


def test_a_filter_leaves_the_routes_of_what_it_chooses(result):
    report = text(result, expression="host 203.0.113.9")
    assert re.findall(r"^#(\d+)", report, re.MULTILINE) == ["4"]
    assert "8080" not in report.partition("Connections")[2]


def test_a_filter_that_chooses_nothing_is_a_report_without_routes(result):
    report = text(result, expression="port 9")
    assert "Connections: 0" in report
    assert not re.findall(r"^#(\d+)", report, re.MULTILINE)


def test_what_failed_comes_first(result):
    report = text(result)
    assert report.index("dropped: ") < report.index("delivered to")


def plain(report: str) -> str:
    """What changes from recording to recording made equal: times, counts of the trace, ports, ids of veths."""
    report = re.sub(r"[+-]?\d[\d,.]* (us|ms|s)\b", "TIME", report)
    report = re.sub(r"\d\d:\d\d:\d\d\.\d{6} UTC", "CLOCK", report)
    report = re.sub(r"veth[0-9a-f]{7}", "vethN", report)
    report = re.sub(r"(?<=\d\.\d):\d{5}\b", ":PORT", report)
    return re.sub(r" +", " ", report)


def test_a_recorded_ping(monkeypatch):
    monkeypatch.chdir(PCAPS / "docker-ping")
    ping = correlate_captures(["master.pcapng", "slave.pcapng"])
    report = plain("".join(render(ping, select(ping, expression="icmp"), "text")))
    # How much was captured changes with each recording; what became of the packets does not.
    assert report[report.index("Connections") :] == expected("docker-ping")
