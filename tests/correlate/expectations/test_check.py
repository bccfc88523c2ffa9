"""`ttrace check`: what an expectation means, by exit code and lines."""

import xml.etree.ElementTree as ET
from contextlib import closing

import pytest

from ttrace.correlate import correlate_captures
from ttrace.correlate.expectations.grammar import End, read_expectation
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.progress import unheard
from ttrace.errors import UsageError
from ttrace.report.junit import junit_text
from ttrace.report.telling.checking import judge
from ttrace.tests.command_line import run_here
from ttrace.tests.report.scenes import request_and_answer


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """172.17.0.2:1000 (masqueraded) -> 192.0.2.2:8080 (web1, port 80 behind the DNAT) is answered in about 100 us;
    172.17.0.2:1001 -> 203.0.113.9:443 is dropped by a rule."""
    return request_and_answer(tmp_path_factory.mktemp("scene"))


def lines(files, *texts: str) -> list[str]:
    judged = judge(correlate_captures(files), [read_expectation(text) for text in texts])
    return ["ok" if one.holds else one.text for one in judged]


@pytest.mark.parametrize(
    "text",
    [
        "tcp 172.17.0.2 -> :8080 delivered",
        "tcp any -> :80 delivered",
        "any 192.0.2.1 -> web1 delivered",
        "tcp 172.17.0.0/16 -> web1:80 delivered",
        "tcp 172.17.0.2:1001->203.0.113.9:443 dropped",
        "tcp any -> 203.0.113.9 rule_drop",
        "tcp any -> 203.0.113.9 fault",
        "tcp any -> 203.0.113.9 unanswered",
        "tcp any -> :8080 max 1 ms",
        "tcp any -> :8080 max 0.2ms",
        "tcp any -> :8080 loss < 1 %",
        "tcp any -> any loss<26%",
    ],
)
def test_what_is_so_holds(files, text):
    assert lines(files, text) == ["ok"]


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("tcp any -> any delivered", "1 of 2 connections are: [2] tcp 172.17.0.2:1001 -> 203.0.113.9:443 is dropped"),
        ("udp any -> :8080 delivered", "no such connection; near it: [1] tcp"),
        ("tcp 172.17.0.2 -> :9 delivered", "no such connection; near it: [1] tcp 172.17.0.2:1000"),
        ("tcp any -> 172.17.0.0/24 dropped", "0 of 1 connections are: [1]"),
        ("tcp :8080 -> any delivered", "no such connection"),
        ("tcp any -> :8080 fault", "0 of 1 connections are: [1]"),
        ("tcp any -> :8080 max 50 us", "the slowest packet took 1"),
        ("tcp any -> :443 loss < 100 %", "1 of 1 packets, 100 %"),
        ("tcp any -> nobody delivered", "no container or node of these captures is known as `nobody`"),
    ],
)
def test_what_is_not_so_fails_and_says_what_is(files, text, instead):
    assert lines(files, text)[0].startswith(instead)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("fault", False),
        ("rule_drop", False),
        ("notice", True),
        ("unanswered", True),
        ("dropped", False),
        ("lost", True),
        ("tcp any -> :8080 fault", True),
        ("tcp any -> :443 fault", False),
        ("udp any -> any lost", True),
        ("tcp any -> nobody lost", False),
    ],
)
def test_what_is_not_to_be(files, text, holds):
    judged = judge(correlate_captures(files), [read_expectation(text, negative=True)])
    assert [one.holds for one in judged] == [holds], judged[0].text


def test_in_parts_it_is_judged_the_same(files):
    wanted = [
        read_expectation("tcp any -> any delivered"),
        read_expectation("tcp any -> :443 rule_drop"),
        read_expectation("tcp any -> any loss < 26 %"),
        read_expectation("fault", negative=True),
    ]
    with closing(correlate_in_parts(files, unheard, most=12, workers=1)) as parted:
        assert parted.count > 1
        assert judge(parted, wanted) == judge(correlate_captures(files), wanted)


def test_ends_are_read():
    def end(text: str) -> End:
        return read_expectation(f"tcp {text} -> any lost").source

    assert end("any") == End()
    assert end(":80") == end("any:80") == End(port=80)
    assert (str(end("[2001:db8::1]:80").network), end("[2001:db8::1]:80").port) == ("2001:db8::1/128", 80)
    assert str(end("2001:db8::1").network) == "2001:db8::1/128"
    assert end("web-1:80") == End(name="web-1", port=80)


@pytest.mark.parametrize(
    "text",
    [
        "", "->", "fault", "tcp a b delivered", "tcp a -> b", "tcp -> b lost", "a -> b -> c lost", "xyz a -> b lost",
        "tcp 300.1.1.1 -> b lost", "tcp a -> 10.0.0.0/33 lost", "tcp a -> :70000 lost", "tcp a -> b:x lost",
        "tcp a -> [zz]:8 lost", "tcp a -> b gone", "tcp a -> b lost too", "tcp a -> b max 5", "tcp a -> b max 5 h",
        "tcp a -> b loss 5 %", "tcp a -> b loss < 0 %", "tcp a -> b loss < 101 %",
    ],
)  # fmt: skip
def test_what_is_no_expectation_is_said(text):
    with pytest.raises(UsageError, match="cannot read the expectation") as error:
        read_expectation(text)
    assert error.value.hint


def test_the_command(monkeypatch, files, tmp_path):
    well = run_here(monkeypatch, "check", *files, "--expect", "tcp any -> :8080 delivered")
    assert (well.returncode, well.stdout) == (0, b"ok      tcp any -> :8080 delivered\n")
    out = tmp_path / "junit.xml"
    badly = run_here(monkeypatch, "check", *files, "--expect-no", "fault", "--junit", str(out))
    assert badly.returncode == 1
    assert badly.stdout.startswith(b"FAILED  no fault: rule_drop: a drops ")
    suite = ET.parse(out).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert suite[0].get("name") == "--expect-no fault"
    assert "rule_drop" in suite[0][0].get("message")
    for wrong in (["--expect", "tcp any delivered"], []):
        assert run_here(monkeypatch, "check", *files, *wrong).returncode == 2


def test_names_that_xml_cannot_hold_are_safe(files):
    odd = "tcp a\x01\udcff\ufffe]]>&\"' -> b lost"
    told = junit_text(judge(correlate_captures(files), [read_expectation(odd)]))
    case = ET.fromstring(told.encode())[0]
    assert "]]>&\"'" in case.get("name")
    assert "\ufffe" not in told
