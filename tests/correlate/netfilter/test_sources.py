"""A new kind of kernel message is a module of its own and a line in a list: nothing else has to know of it."""

import json
import struct

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP

from ttrace.correlate.dataframes import hops_table
from ttrace.correlate.decode.ip import dissect_ip
from ttrace.correlate.netfilter.messages import Said, SightingSource
from ttrace.correlate.netfilter.numbers import ABSENT, NF_DROP, Hook
from ttrace.correlate.netfilter.sources import SIGHTING_SOURCES
from ttrace.correlate.schema import SIGHTING, TOLD
from ttrace.correlate.sightings import EVALUATION
from ttrace.kernels.njit import njit
from ttrace.report import render_telling
from ttrace.report.telling import Telling
from ttrace.tests.report.json.plain import assert_written_as_plain

from ..frames import message
from ..scene import ETH0, IN, correlate, docker_host, paths, step

KIND = EVALUATION + 1
TYPE = 0x7F01
COLUMNS = np.dtype([*((name, TOLD[name]) for name in TOLD.names), ("reason", "u4")])
REASONS = ("NOT_SPECIFIED", "NO_SOCKET", "NEIGH_FAILED")


@njit()
def dissect(data, start, end, rows, number, reach):
    return dissect_ip(data, start, end, rows[number], reach)


def decode(raw):
    """What the test's kernel sends of a drop: reason and input device, then the packet."""
    rows, headers = np.zeros(raw.which.size, COLUMNS), np.zeros(raw.which.size, SIGHTING)
    for i, found in enumerate(raw.rows[raw.which]):
        start, end = int(found["start"]), int(found["end"])
        reason, device = struct.unpack("<II", raw.data[start : start + 8].tobytes())
        assert dissect(raw.data, start + 8, end, headers, i, raw.reach)
        for column in ("frame", "time_ns", "namespace"):
            headers[column][i] = found[column]
        headers["file"][i], headers["kind"][i], headers["ethertype"][i] = raw.file, KIND, 0x0800
        rows["order"][i] = raw.file << 32 | int(found["frame"])
        rows["reason"][i], rows["input_index"][i] = reason, device
    rows["conntrack_direction"], rows["verdict"], rows["hook"] = ABSENT, NF_DROP, Hook.FORWARD
    return Said(rows=rows, headers=headers), 0


@pytest.fixture
def drops():
    source = SightingSource(
        kind=KIND, name="drop", types=(TYPE,), columns=COLUMNS, decode=decode,
        words=lambda row, _names: f"dropped: {REASONS[row['reason']]}",
    )  # fmt: skip
    SIGHTING_SOURCES.append(source)
    yield source
    SIGHTING_SOURCES.remove(source)


def drop_message(reason, packet):
    return message(TYPE, struct.pack("<II", reason, ETH0) + bytes(packet))


def result_of(tmp_path, *, twice=False):
    """A SYN comes in and is dropped; `twice`: and so is its retransmission, which the kernel tells of late."""
    node = docker_host()
    for number in range(1 + twice):
        at_us = number * 1_000_000
        syn = IP(src="203.0.113.7", dst="172.17.0.2", id=40 + number, ttl=60) / TCP(sport=4000, dport=80, flags="S")
        node.see("eth0", IN, at_us, syn)
        node.message(at_us + 30, drop_message(2, syn))
    other = IP(src="203.0.113.8", dst="172.17.0.2", id=9) / TCP(sport=4001, dport=80, flags="S")
    node.see("eth0", IN, 2_000_000, other)
    return correlate(tmp_path, node)


@pytest.mark.usefixtures("drops")
def test_its_sightings_are_hops_of_the_packets_they_are_about(tmp_path, monkeypatch):
    result = result_of(tmp_path, twice=True)
    assert_written_as_plain(result, monkeypatch)
    found = [path for path in paths(result) if path.protocol == "tcp"]
    assert [[getattr(hop, "says", None) or step(hop) for hop in path.hops] for path in found] == [
        ["eth0 in", "dropped: NEIGH_FAILED"],
        ["eth0 in", "dropped: NEIGH_FAILED"],
        ["eth0 in"],
    ]
    assert found[0].hops[1].time_ns - found[0].hops[0].time_ns == 30_000


@pytest.mark.usefixtures("drops")
def test_it_is_in_the_json_the_text_and_the_tables(tmp_path):
    result = result_of(tmp_path)
    document = json.loads("".join(render_telling(Telling.chosen(result, every_path=True), "json")))
    hop = document["paths"][0]["hops"][1]
    assert (hop["kind"], hop["node"], hop["verdict"]) == ("drop", "host", "drop")
    assert (hop["source"], hop["says"]) == ("203.0.113.7:4000", "dropped: NEIGH_FAILED")
    assert "dropped: NEIGH_FAILED" in "".join(render_telling(Telling.chosen(result, every_path=True), "text"))
    assert hops_table(result)["kind"].tolist() == ["interface", "drop", "interface"]


def test_without_the_source_the_message_is_passed_over(tmp_path):
    assert all(len(path.hops) == 1 for path in paths(result_of(tmp_path)))
