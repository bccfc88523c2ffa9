"""`ttrace correlate … --why N`: the evidence of a finding, each piece of which can be looked up where it says."""

import json
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP

from ttrace.correlate import correlate_captures
from ttrace.correlate.explain.frame_reference import find_frame
from ttrace.correlate.in_parts.rounds import correlate_in_parts
from ttrace.correlate.why.why import MOST_PROOFS
from ttrace.errors import UsageError
from ttrace.pcapng.read import read_capture
from ttrace.report import render_telling
from ttrace.report.telling import Telling
from ttrace.tests.command_line import run_here

from ..findings.test_by_kernel import datagram, dropped
from ..findings.test_by_routing import FAR, NEAR, RULES, STRICT, route
from ..scene import DNAT, ETH0, IN, OUT, docker_host, keep_recording
from ..why_not.draft import NODE

PCAPS = Path(__file__).parents[3] / "pcaps"
DROPPED = [str(PCAPS / "docker-dropped" / f"{node}.pcapng") for node in ("master", "slave")]


def document(monkeypatch, *asked):
    done = run_here(monkeypatch, "correlate", *asked, "--format", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


def snapshot(file, frame):
    """The data of the snapshot that a frame holds."""
    capture = read_capture(file)
    record = capture.records[frame - 1]
    data = bytes(capture.data[int(record["offset"]) :][: int(record["captured"])])
    return json.loads(data[data.index(b"{") :])


def test_the_evidence_stands_instead_of_the_report(monkeypatch):
    done = run_here(monkeypatch, "correlate", *DROPPED, "--why", "1")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "Why 1: FAULT rule_drop, confidence 1.00"
    assert "Captures" not in lines
    assert "The 2 paths that prove it" in lines
    assert [line.split()[0] for line in lines if line.startswith("#")] == ["#1", "#2"]
    assert any(
        line.startswith("    trace     slave forward: ip filter DOCKER-USER rule 1: -A DOCKER-USER -s 192.168.77.1/32")
        for line in lines
    )
    assert any(line.startswith("    route     master: 192.168.77.0/24 dev eth0 (table main)") for line in lines)
    assert any(line.startswith("    conntrack master: entry 3862155598: tcp 172.17.0.2:58660 -> ") for line in lines)
    # What is the same of both packets stands once.
    assert lines[-1] == "  10 facts that stand at #1"


def test_each_piece_is_where_it_says(monkeypatch):
    result = correlate_captures(DROPPED)
    [why] = document(monkeypatch, *DROPPED, "--why", "1")["why"]
    assert [proof["path"]["id"] for proof in why["proofs"]] == why["finding"]["paths"]
    facts = [fact for proof in why["proofs"] for fact in proof["facts"]]
    text = (PCAPS.parent / "docs" / "json.md").read_text()
    assert all(f"`{name}`" in text for value in (why, why["proofs"][0], facts[0]) for name in value)
    assert {fact["what"] for fact in facts} == {"route", "link", "neighbour", "trace", "conntrack"}
    for fact in facts:
        reference = f"{fact['file']}:{fact['frame']}"
        if fact["what"] in ("trace", "conntrack"):
            word = "conntrack" if fact["what"] == "conntrack" else "trace message"
            with pytest.raises(UsageError, match=f"no packet but .*{word}"):
                find_frame(result, reference)
        elif fact["line"] is None:
            assert find_frame(result, reference) >= 0
        else:
            held = snapshot(fact["file"], fact["frame"])
            row = held["data"][fact["line"] - 1]
            known = {"route": "destination", "link": "name", "neighbour": "address"}[fact["what"]]
            assert held["kind"].startswith(fact["what"])
            assert (row[known] or "default") in fact["text"]
            assert fact["read_ns"] > 1_700_000_000 * 10**9


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(("asked", "hint"), [(["2"], "1 to 1"), (["1", "--why", "0"], "1 to 1")])
def test_one_that_is_not_there_is_one_line(monkeypatch, tmp_path, form, asked, hint):
    out = tmp_path / "kept.txt"
    out.write_text("before")
    for where in ([], ["--output", str(out)]):
        done = run_here(monkeypatch, "correlate", *DROPPED, "--format", form, "--why", *asked, *where)
        said = done.stderr.decode().splitlines()
        assert (done.returncode, done.stdout) == (2, b"")
        assert said == [f"error: there is no finding {asked[-1]}", f"hint: they are numbered {hint}"]
    assert out.read_text() == "before"


def test_numbers_are_those_of_the_report_with_the_same_options(monkeypatch):
    both = document(monkeypatch, NODE, "--why", "2", "--why", "1")["why"]
    assert [one["finding"]["kind"] for one in both] == ["refused", "policy_drop"]
    [other] = document(monkeypatch, NODE, "--only", "refused", "--why", "1")["why"]
    assert other["finding"] == both[0]["finding"] | {"id": 1}
    done = run_here(monkeypatch, "correlate", *DROPPED, "--filter", "udp", "--why", "1")
    assert (done.returncode, done.stderr.decode().splitlines()) == (
        2, ["error: there is no finding 1", "hint: nothing was found about what was chosen"],
    )  # fmt: skip
    done = run_here(monkeypatch, "correlate", *DROPPED, "--explain", f"{DROPPED[0]}:45", "--why", "1")
    assert (done.returncode, b"`--explain` is about single frames" in done.stderr) == (2, True)


def test_a_rule_that_was_asked_for_is_a_finding_as_well(monkeypatch):
    asked = ["--why-not", "DOCKER-USER 1"]
    findings = document(monkeypatch, NODE, *asked)["findings"]
    [number] = [finding["id"] for finding in findings if finding["kind"] == "rule_not_matched"]
    [why] = document(monkeypatch, NODE, *asked, "--why", str(number))["why"]
    assert (why["finding"]["kind"], len(why["proofs"]), why["more"]) == ("rule_not_matched", 5, 0)


def filtered_host(count=1):
    """A SYN (or more) from where the way back is another interface."""
    host = docker_host()
    host.interface("eth1", 9, addresses=["198.51.100.1"])
    for name, value in STRICT.items():
        of_all = {"rp_filter": "0", "forwarding": value}.get(name, "0")
        host.set_sysctls(**{f"net__ipv4__conf__eth0__{name}": value, f"net__ipv4__conf__all__{name}": of_all})
    host.snapshot("routes", [*NEAR, FAR, route(None, 0, ETH0, gateway="192.0.2.254")], netns="root")
    host.snapshot("route_rules", RULES, netns="root")
    for number in range(count):
        syn = IP(src="10.9.0.9", dst="203.0.113.5", id=number + 1) / TCP(sport=1000 + number, dport=80, flags="S")
        host.see("eth0", IN, 10_000 * number, syn)
        seen = {"family": "inet", "table": "ttrace", "iif": ETH0, "trace_id": 7 + number}
        host.trace(10_000 * number + 4, syn, "prerouting_last", **seen)
    keep_recording(host)
    return host


def test_rp_filter_is_told_with_its_value_when_it_was_read_and_the_way_back(tmp_path, monkeypatch):
    file = filtered_host().write(tmp_path)
    [why] = document(monkeypatch, file, "--why", "1")["why"]
    assert why["finding"]["kind"] == "reverse_path"
    facts = {(fact["what"], fact["text"]): fact for fact in why["proofs"][0]["facts"]}
    setting = facts["sysctl", "host: net.ipv4.conf.eth0.rp_filter = 1 (rp_filter)"]
    assert snapshot(setting["file"], setting["frame"])["data"]["net.ipv4.conf.eth0.rp_filter"] == "1"
    assert setting["read_ns"] == 1_700_000_000 * 10**9
    back = next(fact for (what, text), fact in facts.items() if what == "route" and "the way back to 10.9.0.9" in text)
    assert "10.9.0.0/16 via 198.51.100.2 dev eth1 (table main), which does not let it in" in back["text"]
    assert snapshot(back["file"], back["frame"])["data"][back["line"] - 1]["destination"] == "10.9.0.0"


def test_the_rest_of_many_is_counted_and_parts_tell_the_same(tmp_path, monkeypatch):
    file = filtered_host(MOST_PROOFS + 5).write(tmp_path)
    done = run_here(monkeypatch, "correlate", file, "--why", "1")
    text = done.stdout.decode()
    assert f"\nThe first {MOST_PROOFS} paths of those that prove it; 5 more are not shown\n" in text
    assert sum(line.startswith("#") for line in text.splitlines()) == MOST_PROOFS
    parted = correlate_in_parts([file], lambda _stage, _done: None, most=12, workers=1)
    try:
        assert parted.count > 1
        in_parts = "".join(render_telling(Telling.chosen(parted, why=[1]), "text"))
    finally:
        parted.close()
    assert in_parts == text


def test_an_icmp_error_and_what_it_is_about(tmp_path, monkeypatch):
    host = docker_host()
    syn = IP(src="192.0.2.1", dst="203.0.113.5", id=3, ttl=60) / TCP(sport=1000, dport=80, flags="S", seq=5)
    host.see("eth0", OUT, 0, syn)
    host.see("eth0", IN, 900, IP(src="192.0.2.254", dst="192.0.2.1", id=4) / ICMP(type=3, code=0) / bytes(syn))
    keep_recording(host)
    [why] = document(monkeypatch, host.write(tmp_path), "--why", "1")["why"]
    assert why["finding"]["kind"] == "no_route"
    texts = [fact["text"] for proof in why["proofs"] for fact in proof["facts"] if fact["what"] == "frame"]
    assert texts == ["it is about path #1, SYN 192.0.2.1:1000 -> 203.0.113.5:80"]


def test_entries_of_conntrack_are_those_of_the_time(tmp_path, monkeypatch):
    """An earlier connection had the same addresses, and its entry was gone by then."""
    host = docker_host()
    reply = (("172.17.0.2", 80), ("198.51.100.7", 1000))
    original = (("198.51.100.7", 1000), ("192.0.2.1", 8080))
    host.conntrack(-9_000_000, original, reply, ct_id=1, status=DNAT)
    host.conntrack(-8_000_000, original, reply, ct_id=1, status=DNAT, event="destroyed")
    for number in range(2):
        syn = IP(src="198.51.100.7", dst="192.0.2.1", id=number + 3) / TCP(sport=1000, dport=8080, flags="S", seq=5)
        host.see("eth0", IN, 1_000_000 * number, syn)
    host.conntrack(50, original, reply, ct_id=2, status=DNAT)
    keep_recording(host)
    [why] = document(monkeypatch, host.write(tmp_path), "--why", "1")["why"]
    assert why["finding"]["kind"] == "unanswered"
    told = {fact["text"] for proof in why["proofs"] for fact in proof["facts"] if fact["what"] == "conntrack"}
    text = "host: entry 2: tcp 198.51.100.7:1000 -> 192.0.2.1:8080, answered by 172.17.0.2:80 -> 198.51.100.7:1000"
    assert told == {f"{text}; made then"}


def test_where_the_kernel_says_that_it_dropped_it(tmp_path, monkeypatch):
    host = docker_host()
    host.see("eth0", IN, 0, datagram())
    dropped(host, 30, datagram(), "UDP_CSUM", "__udp4_lib_rcv")
    keep_recording(host)
    file = host.write(tmp_path)
    [why] = document(monkeypatch, file, "--why", "1")["why"]
    assert why["finding"]["kind"] == "checksum_wrong"
    [fact] = [fact for proof in why["proofs"] for fact in proof["facts"] if fact["what"] == "kernel"]
    assert fact["text"] == "host: the kernel dropped it: UDP_CSUM (__udp4_lib_rcv)"
    assert (fact["file"], fact["frame"]) == (file, why["finding"]["evidence"][0]["frame"])
