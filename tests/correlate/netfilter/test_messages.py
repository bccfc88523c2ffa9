"""Kernel messages: real ones decoded, attributes that lie counted as malformed, nothing read beyond its bytes."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP

from ttrace.correlate.arrays.hashing import flow_hash

from ..frames import (
    CONNTRACK_DESTROY,
    CONNTRACK_NEW,
    NEW_GENERATION,
    NFLOG,
    NFTRACE,
    NLM_F_CREATE,
    NLM_F_MULTI,
    attribute,
    decode,
    dissect,
    message,
    trace,
    tuple_attribute,
    word,
)

PACKET = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=9) / TCP(sport=1, dport=2, seq=3))
A, B, C = (bytes([10, 0, 0, n]) for n in (1, 2, 3))
ENTRY = tuple_attribute(1, A, B, 6, (1000, 80)) + tuple_attribute(2, B, C, 6, (80, 1000))


def v4(address: bytes) -> int:
    return 0xFFFF << 32 | int.from_bytes(address, "big")


# --- trace events ---------------------------------------------------------------------------------------------------


def test_a_rule_event_has_all_its_fields():
    more = (
        attribute(3, struct.pack(">Q", 42))
        + attribute(5, word(1, 0xFFFFFFFD) + attribute(2, b"DOCKER\0"))
        + word(10, 3) + word(12, 4) + word(14, 0xFF) + word(18, 77) + attribute(19, b"\1") + word(20, 0x1B0)
        + word(21, 2)
    )  # fmt: skip
    messages = decode(trace(kind=3, network=PACKET[:20], transport=PACKET[20:40], more=more))
    (event,) = messages.events
    assert (event["type"], event["id"], event["handle"], event["verdict"]) == (3, 7, 42, -3)
    assert [messages.names[int(event[c])] for c in ("table", "chain", "jump")] == ["filter", "FORWARD", "DOCKER"]
    assert (event["input_index"], event["output_index"], event["mark"]) == (3, 4, 0xFF)
    assert (event["conntrack_id"], event["conntrack_direction"]) == (77, 1)
    assert (event["conntrack_status"], event["conntrack_state"]) == (0x1B0, 2)
    assert (event["family"], event["policy"], event["header"], event["hook"]) == (2, 255, 0, 255)
    assert messages.headers["source_port"].tolist() == [1]


def test_an_event_without_headers_has_none():
    messages = decode(trace(more=word(16, 0)), trace(network=PACKET[:20], transport=PACKET[20:]))
    assert messages.events["header"].tolist() == [-1, 0]
    assert messages.events["policy"].tolist() == [0, 255]
    assert messages.events["conntrack_direction"].tolist() == [255, 255]
    assert messages.headers["frame"].tolist() == [2]


def test_a_network_header_that_is_no_ip_is_no_header():
    messages = decode(trace(network=bytes(20), transport=bytes(20)), trace(network=b"\x45", transport=b""))
    assert messages.events["header"].tolist() == [-1, -1]


@pytest.mark.parametrize(
    "attributes",
    [
        attribute(1, b"filter\0", length=3),
        attribute(1, b"filter\0", length=200),
        attribute(1, b"filter\0") + b"\x04",
        attribute(1, b"filter\0") + b"\0\0\0\0",
        attribute(5, attribute(1, bytes(4), length=60)),
        attribute(5, attribute(1, bytes(4), length=1)),
    ],
    ids=["too short", "too long", "stump", "zero", "nested too long", "nested too short"],
)
def test_a_trace_message_that_lies_about_lengths_is_counted_and_left_out(attributes):
    messages = decode(message(NFTRACE, attributes), trace())
    assert (messages.events.size, messages.malformed) == (1, 1)
    assert messages.names[int(messages.events[0]["chain"])] == "FORWARD"


@pytest.mark.parametrize("kind", [NFTRACE, CONNTRACK_NEW])
@pytest.mark.parametrize("length", [0, 15, 19, 10**6])
def test_a_message_that_lies_about_its_own_length_is_counted_and_left_out(kind, length):
    messages = decode(message(kind, ENTRY, length=length))
    assert (messages.events.size, messages.conntrack.size, messages.malformed) == (0, 0, 1)


def test_a_message_too_short_to_be_one_is_counted():
    assert decode(b"", bytes(35), trace()).malformed == 2


def test_the_verdict_is_never_read_from_behind_its_attribute():
    event = decode(message(NFTRACE, attribute(5, attribute(1, b"")))).events
    assert event["verdict"].tolist() in ([], [-100])


def test_ruleset_changes_are_told():
    assert decode(message(NEW_GENERATION, b"")).ruleset_changes_ns.tolist() == [[10**18, 0]]


# --- iptables-legacy ------------------------------------------------------------------------------------------------


def legacy(prefix: bytes, *more: bytes) -> bytes:
    hook = attribute(1, struct.pack(">HBB", 0x0800, 2, 0))
    return message(NFLOG, hook + attribute(10, prefix) + b"".join(more) + attribute(9, PACKET))


@pytest.mark.parametrize(
    ("prefix", "table", "chain", "kind", "number"),
    [
        (b"TRACE: nat:DOCKER:rule:2 ", "nat", "DOCKER", 3, 2),
        (b"TRACE: filter:FORWARD:policy:17 \0", "filter", "FORWARD", 1, 17),
        (b"TRACE: raw:PREROUTING:return:1 ", "raw", "PREROUTING", 2, 1),
        (b"TRACE: filter:my:chain:rule:3 ", "filter", "my:chain", 3, 3),
    ],
)
def test_a_legacy_prefix_names_the_rule(prefix, table, chain, kind, number):
    messages = decode(legacy(prefix, word(4, 3), word(5, 4)))
    (event,) = messages.events
    assert (messages.names[int(event["table"])], messages.names[int(event["chain"])]) == (table, chain)
    assert (event["type"], event["rule_number"], event["hook"], event["legacy"]) == (kind, number, 2, 1)
    assert (event["input_index"], event["output_index"], event["header"]) == (3, 4, 0)


@pytest.mark.parametrize(
    "prefix",
    [b"", b"DROPPED: ", b"TRACE:00000000", b"TRACE: ", b"TRACE: nat:rule:2 ", b"TRACE: x 123456", b"TRACE: a:b:other:1",
     b"TRACE: :::::::", b"TRACE: nat:DOCKER:rule: ", b"TRACExxnat:DOCKER:rule:2"],
)  # fmt: skip
def test_somebody_elses_log_prefix_is_no_trace(prefix):
    messages = decode(legacy(prefix), trace())
    assert messages.events.size == 1
    assert sorted(messages.names.values()) == ["FORWARD", "filter"]


@settings(deadline=None, max_examples=300)
@given(
    prefix=st.binary(max_size=40).map(lambda b: b"TRACE: " + b)
    | st.text("TRACE: abpr09\0", max_size=40).map(str.encode)
)
def test_names_from_any_prefix_are_parts_of_it(prefix):
    messages = decode(legacy(prefix))
    assert all(len(name) <= len(prefix) for name in messages.names.values())


# --- conntrack ------------------------------------------------------------------------------------------------------


def test_an_entry_has_its_flows_before_and_after_the_translation():
    messages = decode(message(CONNTRACK_NEW, ENTRY + word(3, 0x1B0) + word(12, 7), flags=NLM_F_CREATE))
    (entry,) = messages.conntrack
    zero = np.uint64(0)
    a, b, c = (np.uint64(v4(x)) for x in (A, B, C))
    assert entry["original"] == flow_hash(6, zero, a, zero, b, 1000, 80)
    assert entry["restored"] == flow_hash(6, zero, b, zero, a, 80, 1000)
    assert entry["reply"] == flow_hash(6, zero, b, zero, c, 80, 1000)
    assert entry["translated"] == flow_hash(6, zero, c, zero, b, 1000, 80)
    assert (entry["status"], entry["id"], entry["event"], entry["protocol"]) == (0x1B0, 7, 1, 6)
    assert (entry["original_source_low"], entry["reply_destination_low"]) == (a, c)
    assert (entry["original_source_port"], entry["reply_source_port"]) == (1000, 80)


def test_events_are_told_from_the_dump():
    kinds = [(CONNTRACK_NEW, NLM_F_MULTI), (CONNTRACK_NEW, NLM_F_CREATE), (CONNTRACK_NEW, 0), (CONNTRACK_DESTROY, 0)]
    messages = decode(*(message(kind, ENTRY, flags=flags) for kind, flags in kinds))
    assert messages.conntrack["event"].tolist() == [0, 1, 2, 3]


def test_the_kernels_own_time_beats_that_of_receipt():
    messages = decode(message(CONNTRACK_NEW, ENTRY + attribute(27, struct.pack(">Q", 12345))))
    assert messages.conntrack["time_ns"].tolist() == [12345]


@pytest.mark.parametrize(("protocol", "kinds"), [(1, (8, 0)), (1, (13, 14)), (58, (128, 129))])
def test_a_query_has_the_flow_of_its_packets(protocol, kinds):
    from scapy.layers.inet import ICMP
    from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6

    a, b = (A, B) if protocol == 1 else (bytes(15) + b"\1", bytes(15) + b"\2")
    entry = tuple_attribute(1, a, b, protocol, (5, kinds[0])) + tuple_attribute(2, b, a, protocol, (5, kinds[1]))
    (row,) = decode(message(CONNTRACK_NEW, entry)).conntrack
    if protocol == 1:
        frames = [IP(src=s, dst=d) / ICMP(type=k, id=5) / bytes(12) for s, d, k in
                  (("10.0.0.1", "10.0.0.2", kinds[0]), ("10.0.0.2", "10.0.0.1", kinds[1]))]  # fmt: skip
    else:
        frames = [
            IPv6(src="::1", dst="::2") / ICMPv6EchoRequest(id=5),
            IPv6(src="::2", dst="::1") / ICMPv6EchoReply(id=5),
        ]
    ask, answer = dissect(*(bytes(f) for f in frames), link_type=101)
    assert (row["original"], row["reply"]) == (ask["flow"], answer["flow"])


def test_a_zone_in_a_tuple_is_passed_over():
    zoned = tuple_attribute(1, A, B, 6, (1, 2), attribute(3, b"\0\5")) + tuple_attribute(2, B, A, 6, (2, 1))
    messages = decode(message(CONNTRACK_NEW, zoned))
    assert (messages.conntrack.size, messages.malformed) == (1, 0)


def test_a_malformed_entry_leaves_nothing_to_the_next():
    messages = decode(
        message(CONNTRACK_NEW, word(3, 0x30) + word(12, 7)),
        message(CONNTRACK_NEW, word(3, 0x30) + word(12, 7) + attribute(27, struct.pack(">Q", 5))),
        message(CONNTRACK_DESTROY, ENTRY),
    )
    assert messages.malformed == 2
    assert messages.conntrack[["id", "status", "time_ns"]].tolist() == [(0, 0, 10**18)]


@pytest.mark.parametrize(
    "protocol",
    [attribute(1, b""), attribute(1, b"\6") + attribute(2, b""), attribute(1, b"\6") + attribute(2, b"\1", length=40),
     attribute(1, b"\1") + attribute(5, b"")],
    ids=["no number", "no port", "port too long", "no icmp type"],
)  # fmt: skip
def test_an_entry_with_empty_or_lying_parts_takes_nothing_from_beyond(protocol):
    addresses = attribute(1, attribute(1, A) + attribute(2, B))
    entry = attribute(1, addresses + attribute(2, protocol)) + tuple_attribute(2, B, A, 6, (2, 1))
    messages = decode(message(CONNTRACK_NEW, entry), around=(b"", b"\xff" * 32))
    assert messages.malformed == 1 or messages.conntrack["original_source_port"].tolist() == [0]


# --- any bytes ------------------------------------------------------------------------------------------------------


@st.composite
def captured_messages(draw) -> bytes:
    """Any bytes behind the headers of a message that is decoded, or a real message with some bytes changed."""
    kind = draw(st.sampled_from([NFTRACE, NFLOG, CONNTRACK_NEW, CONNTRACK_DESTROY, NEW_GENERATION]))
    base = draw(
        st.sampled_from(
            [
                trace(kind=3, network=PACKET[:20], transport=PACKET[20:], more=attribute(5, word(1,
                0xFFFFFFFD) + attribute(2, b"X\0"))),
                legacy(b"TRACE: nat:DOCKER:rule:2 ", word(4, 3)),
                message(CONNTRACK_NEW, ENTRY + word(3, 1)),
                message(kind, draw(st.binary(max_size=80))),
            ]
        )
    )  # fmt: skip
    data = bytearray(base[: draw(st.integers(0, len(base)))] if draw(st.booleans()) else base)
    for _ in range(draw(st.integers(0, 5))):
        if len(data) > 36:
            data[draw(st.integers(36, len(data) - 1))] = draw(st.sampled_from([0, 1, 3, 4, 5, 8, 127, 255]))
    if len(data) >= 20:
        data[16:20] = struct.pack("<I", draw(st.sampled_from([len(data) - 16, len(data) - 16, 0, 2**32 - 1])))
    return bytes(data)


@pytest.mark.slow
@settings(deadline=None, max_examples=600)
@given(first=captured_messages(), second=captured_messages(), behind=st.binary(min_size=8, max_size=40))
def test_nothing_but_the_captured_bytes_is_read(first, second, behind):
    alone = decode(first, second)
    between = decode(first, second, around=(b"?" * 5, behind))
    for table in ("events", "headers", "conntrack", "ruleset_changes_ns"):
        assert getattr(alone, table).tolist() == getattr(between, table).tolist()
    assert (alone.malformed, alone.names) == (between.malformed, between.names)
    assert alone.events.size + alone.conntrack.size + alone.malformed <= 2
