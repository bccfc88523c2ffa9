"""`ttrace compare GOOD… --with BAD`: pairs by roles, the cause first, then the place where they part."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP

from ttrace.correlate import correlate_captures
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.report import render_comparison
from ttrace.report.telling.comparing import compare
from ttrace.tests.cases.case import Case
from ttrace.tests.command_line import run_here

from ..findings.test_by_kernel import datagram, dropped
from ..findings.test_by_routing import route
from ..scene import DROP, ETH0, IN, OUT, docker_host, keep_recording
from .scene import Run

PCAPS = Path(__file__).parents[3] / "pcaps"


def recording(name):
    return [str(PCAPS / name / f"{node}.pcapng") for node in ("master", "slave")]


def compared(good, bad):
    """The JSON of two files or lists of them."""
    one, other = (correlate_captures([files] if isinstance(files, str) else files) for files in (good, bad))
    return json.loads("".join(render_comparison(compare(one, other), "json")))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return Run(folder=tmp_path_factory.mktemp("good")).write()


@pytest.fixture
def against(good, tmp_path):
    """The only pair that differs of the good run and one that is otherwise; None where none does."""

    def pair(**changes):
        found = compared(good, Run(folder=tmp_path / "bad", **changes).write())
        assert (found["only_good"], found["only_bad"]) == ([], [])
        assert len(found["pairs"]) + len(found["equal"]) == 2
        assert len(found["pairs"]) <= 1
        return found["pairs"][0] if found["pairs"] else None

    return pair


def test_recordings_cause_first_then_the_place(monkeypatch):
    bad = [word for file in recording("docker-dropped") for word in ("--with", file)]
    done = run_here(monkeypatch, "compare", *recording("docker-http"), *bad)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "1 of 1 role that both runs have differs"
    at = lines.index("  1 tcp web1 -> slave port 8080   good: 1 connection, complete; bad: 1 connection, unanswered")
    assert lines[at + 1].startswith("    cause  FAULT rule_drop: slave drops tcp 172.17.0.2:58660 (web1)")
    text = " ".join(" ".join(lines[at + 2 :]).split())
    assert (
        "place SYN, client to server: both pass 6 places, then master eth0 out, slave eth0 in, prerouting of slave (ip "
        "nat); at forward of slave (ip filter) the good ones meet `-A DOCKER -d 172.18.0.2/32 ! -i docker0 -o docker0 "
        "-p tcp -m tcp --dport 80 -j ACCEPT` accept, the bad ones meet `-A DOCKER-USER -s 192.168.77.1/32 -p tcp -m "
        "tcp --dport 80 -j DROP` drop (2 of 2 packets; path #1 of the bad run"
    ) in text
    assert "then SYN,ACK, server to client, first seen at web2 eth0 out: the good ones are answered" in text
    assert all(len(line) <= 100 for line in lines)


def test_what_one_run_alone_has_is_told(monkeypatch):
    bad = [word for file in recording("docker-http") for word in ("--with", file)]
    done = run_here(monkeypatch, "compare", *recording("docker-demo"), *bad)
    text = done.stdout.decode()
    assert done.returncode == 0
    assert text.startswith("No difference is seen in the 1 role that both runs have\n")
    assert "\nOnly in the good run\n  tcp web2 -> master port 8080   1 connection, complete\n" in text
    assert "\nThe same in both runs\n  tcp web1 -> slave port 8080   good: 1 connection, complete; bad: 1 " in text


def test_both_ends_known_in_both_runs_are_no_others():
    """web1 asks slave in one run, and web2 asks master in the other: two roles."""
    found = compared(recording("docker-http"), recording("docker-http-reverse"))
    assert (found["pairs"], found["equal"]) == ([], [])
    assert [one["clients"] for one in found["only_good"] + found["only_bad"]] == [["web1"], ["web2"]]


def test_what_is_made_anew_is_no_difference(against):
    """Addresses, interfaces and ports of the container, numbers and handles of rules, the client's ports."""
    anew = {"container": "172.17.0.9", "veth": "veth7", "first_port": 3000}
    assert against(**anew, rules_before=["-d 198.18.0.1/32 -j DROP"]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"points": ("eth0",)}, {"points": ("docker0", "port")}, {"traced": False}, {"requests": 2},
        {"points": ("eth0",), "traced": False},
        {"name": "other"}, {"container_name": "web1-7d4b9c6f5-x2x8k"}, {"answers": True, "jitter_us": (0, 400, 900)},
    ],
)  # fmt: skip
def test_what_only_one_run_recorded_or_calls_otherwise_is_no_difference(against, changes):
    assert against(**changes) is None


def test_names_that_were_taken_for_the_same_are_told(good, tmp_path):
    bad = Run(folder=tmp_path / "bad", name="other", container_name="web1-7d4b9c6f5-x2x8k").write()
    assert compared(good, bad)["notes"] == [
        "other of the bad run is taken for host", "web1-7d4b9c6f5-x2x8k of the bad run is taken for web1",
    ]  # fmt: skip


def test_a_rule_that_drops(against):
    pair = against(meets=("-p tcp --dport 80 -j DROP", DROP))
    assert [finding["kind"] for finding in pair["findings"]] == ["rule_drop"]
    first, *others = pair["differences"]
    assert (first["kind"], first["what"], first["place"]) == (
        "rule", "SYN, client to server", "forward of host (ip filter)",
    )  # fmt: skip
    assert first["common"] == ["host eth0 in", "prerouting of host (ip nat)"]
    assert (first["good"], first["bad"]) == (
        "`-A FORWARD -j ACCEPT` accept",
        "`-A FORWARD -p tcp --dport 80 -j DROP` drop",
    )
    assert (first["bad_packets"], first["bad_of"], first["bad_path"]) == (6, 6, 1)
    assert [one["kind"] for one in others] == ["answer"]
    assert (pair["good"]["states"], pair["bad"]["states"]) == ({"cut": 6}, {"unanswered": 6})


def test_a_cause_that_may_be_wrong_says_so(good, tmp_path):
    bad = Run(folder=tmp_path / "bad", meets=("-p tcp --dport 80 -j DROP", DROP)).write()
    found = compare(*(correlate_captures([file]) for file in (good, bad)))
    [pair] = found.pairs
    doubtful = replace(pair, findings=tuple(replace(finding, confidence=0.7) for finding in pair.findings))
    texts = ["".join(render_comparison(replace(found, pairs=(one,)), "text")) for one in (pair, doubtful)]
    assert ["FAULT rule_drop: probably: host drops" in " ".join(text.split()) for text in texts] == [False, True]


def test_another_rule_that_accepts_is_told_too(against):
    pair = against(meets=("-s 198.51.100.0/24 -j ACCEPT", 1))
    assert pair["findings"] == []
    assert [(one["kind"], one["bad"]) for one in pair["differences"]] == [
        ("rule", "`-A FORWARD -s 198.51.100.0/24 -j ACCEPT` accept")
    ]


def test_another_translation(against):
    pair = against(to_port=81)
    rule, rewrite = pair["differences"][:2]
    assert (rule["kind"], rule["place"]) == ("rule", "prerouting of host (ip nat)")
    assert rewrite["kind"] == "rewrite"
    assert rewrite["bad"] == "host: destination 192.0.2.1:8080 => 172.17.0.2:81 (dnat)"


def test_nobody_answers_and_somebody_refuses(against):
    silent = against(answers=False)
    assert [one["kind"] for one in silent["differences"]] == ["outcome", "answer"]
    assert silent["differences"][0]["bad"].endswith("and nobody ever answered")
    refused = against(refuses=True)
    assert [finding["kind"] for finding in refused["findings"]] == ["refused"]
    assert refused["differences"][-1]["bad"] == "meet RST,ACK"


def test_of_a_flood_the_findings_have_the_ids_that_those_of_the_report_have(against):
    [finding] = against(refuses=True, requests=1001, points=("eth0",), traced=False)["findings"]
    assert (finding["kind"], finding["connection_count"]) == ("refused", 1001)
    assert len(finding["connections"]) == 1000


def test_a_delay_beyond_what_the_good_run_had(against):
    pair = against(slow_us=30_000)
    [delay] = pair["differences"]
    assert (delay["kind"], delay["place"]) == ("delay", "from host docker0 out to host port of web1 out")
    assert delay["bad"] == "took 30.02 ms (median of 12)"
    assert delay["delay"] == {
        "good_median_ns": 20_000, "good_largest_ns": 20_000, "good_count": 12, "bad_median_ns": 30_020_000,
        "bad_count": 12,
    }  # fmt: skip


def test_a_delay_within_the_spread_of_the_good_run_is_none(tmp_path):
    """Some of the good run's packets took as long."""
    good = Run(folder=tmp_path / "good", jitter_us=(0, 40_000)).write()
    bad = Run(folder=tmp_path / "bad", slow_us=20_000).write()
    assert compared(good, bad)["pairs"] == []


def test_a_delay_of_too_few_packets_is_none(tmp_path):
    good = Run(folder=tmp_path / "good", requests=2).write()
    assert compared(good, Run(folder=tmp_path / "bad", slow_us=20_000).write())["pairs"] == []


def datagrams(folder, *, drops=False, forwards=True):
    """The captures of datagrams to a container, which the kernel takes on, or drops and says so."""
    folder.mkdir()
    host = docker_host()
    for number in range(3):
        packet = datagram(to="172.17.0.2", number=number + 1)
        host.see("eth0", IN, 1000 * number, packet)
        if drops:
            dropped(host, 1000 * number + 30, packet, "IP_RPFILTER", "ip_rcv_finish_core")
        elif forwards:
            host.see("docker0", OUT, 1000 * number + 40, datagram(to="172.17.0.2", number=number + 1, ttl=59))
    keep_recording(host)
    return host.write(folder)


def test_what_the_kernel_dropped_ends_there(tmp_path):
    good, bad = datagrams(tmp_path / "good"), datagrams(tmp_path / "bad", drops=True)
    pair = compared(good, bad)["pairs"][0]
    assert [finding["kind"] for finding in pair["findings"]] == ["reverse_path"]
    first = pair["differences"][0]
    assert (first["kind"], first["place"], first["good"]) == (
        "outcome",
        "behind host eth0 in",
        "go on to host docker0 out",
    )
    assert first["bad"].startswith("are dropped: host: the kernel dropped it: IP_RPFILTER")
    assert compared(bad, bad)["pairs"] == []


def given_up(folder, *errors):
    """The captures of what links say among themselves, which a router answers with ICMP errors, and of a datagram."""
    folder.mkdir()
    host = docker_host()
    for number, (kind, code) in enumerate(errors, 1):
        report = IP(src="192.0.2.1", dst=f"224.0.0.{20 + number}", id=number, ttl=1, proto=2) / bytes(16)
        error = IP(src="192.0.2.254", dst="192.0.2.1", id=40 + number) / ICMP(type=kind, code=code) / bytes(report)
        host.see("eth0", OUT, 1000 * number, report)
        host.see("eth0", IN, 1000 * number + 500, error)
    host.see("eth0", IN, 9000, datagram(to="172.17.0.2"))
    host.see("docker0", OUT, 9040, datagram(to="172.17.0.2", ttl=59))
    keep_recording(host)
    return host.write(folder)


def test_a_finding_about_no_role_is_told_where_the_good_run_does_not_say_the_same(tmp_path):
    good = given_up(tmp_path / "good", (11, 0))
    bad = given_up(tmp_path / "bad", (11, 0), (3, 0))
    assert [finding["kind"] for finding in compared(bad, good)["findings"]] == []
    assert [finding["kind"] for finding in compared(good, bad)["findings"]] == ["no_route"]


def test_what_was_recorded_otherwise(tmp_path):
    routes = [route("192.0.2.0", 24, ETH0), route(None, 0, ETH0, gateway="192.0.2.254")]
    good = Run(folder=tmp_path / "good", routes=routes).write()
    bad = Run(folder=tmp_path / "bad", routes=[*routes, route("198.51.100.0", 24, None, type="blackhole")]).write()
    assert compared(good, bad)["recorded_otherwise"] == [
        {"what": "route", "place": "host", "good": None, "bad": "blackhole 198.51.100.0/24"}
    ]


def test_the_same_in_parts(good, tmp_path):
    bad = Run(folder=tmp_path / "bad", meets=("-p tcp --dport 80 -j DROP", DROP)).write()
    whole = "".join(render_comparison(compare(*(correlate_captures([file]) for file in (good, bad))), "json"))
    parts = [correlate_in_parts([file], lambda _stage, _done: None, most=12, workers=1) for file in (good, bad)]
    try:
        assert min(part.count for part in parts) > 1
        assert "".join(render_comparison(compare(*parts), "json")) == whole
    finally:
        for part in parts:
            part.close()


def test_findings_that_take_several_parts_to_see():
    """The connection that a program took, and the one that it went on with, are in two parts."""
    one = correlate_captures(recording("docker-http"))
    with Case("a_program_passes_it_on").sources() as sources:
        whole = "".join(render_comparison(compare(one, correlate_captures(sources)), "json"))
        parted = correlate_in_parts(list(map(str, sources)), lambda _stage, _done: None, most=12, workers=1)
        try:
            assert parted.count > 1
            assert "".join(render_comparison(compare(one, parted), "json")) == whole
        finally:
            parted.close()
    assert {finding["kind"] for finding in json.loads(whole)["findings"]} == {"proxied"}


def test_names_cannot_begin_a_line(tmp_path, monkeypatch):
    forged = "web1\n  1 FAKE\x1b[31m"
    files = [Run(folder=tmp_path / name, container_name=forged, **more).write() for name, more in (
        ("good", {}), ("bad", {"answers": False}))]  # fmt: skip
    done = run_here(monkeypatch, "compare", files[0], "--with", files[1])
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert not any(line.startswith("  1 FAKE") for line in done.stdout.decode().splitlines())
    assert b"FAKE" in done.stdout


@pytest.mark.parametrize(
    ("asked", "code", "error"),
    [
        (["GOOD"], 2, "nothing to compare with"),
        ([], 2, "GOOD..."),
        (["GOOD", "--with", "missing.pcapng"], 1, "cannot read `missing.pcapng`"),
        (["missing.pcapng", "--with", "GOOD"], 1, "cannot read `missing.pcapng`"),
        (["-", "--with", "-"], 1, "`stdin` is named for both runs"),
        (["GOOD", "--with", "COPY", "--output", "COPY"], 1, "is one of the captures"),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, tmp_path, good, asked, code, error):
    copy = shutil.copy(good, tmp_path / "copy.pcapng")
    words = [{"GOOD": good, "COPY": str(copy)}.get(word, word) for word in asked]
    done = run_here(monkeypatch, "compare", *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert error in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) <= 4


def test_a_report_in_a_file(monkeypatch, tmp_path, good):
    out = tmp_path / "out.json"
    done = run_here(monkeypatch, "compare", good, "--with", good, "--format", "json", "--output", str(out))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    document = json.loads(out.read_text())
    assert (document["pairs"], len(document["equal"])) == ([], 2)
    assert document["good"]["files"] == [good]


def test_every_json_field_is_documented(good, tmp_path):
    text = (PCAPS.parent / "docs" / "json.md").read_text()
    section = text[text.index("## `ttrace compare`") : text.index("## `--explain`")]
    document = compared(good, Run(folder=tmp_path / "bad", slow_us=30_000).write())
    [pair] = document["pairs"]
    [difference] = pair["differences"]
    values = (
        document,
        document["good"],
        pair,
        pair["good"],
        difference,
        difference["delay"],
        {"place": "", "what": ""},
    )
    names = {name for value in values for name in value}
    assert {name for name in names if f"`{name}`" not in section} == set()
