"""Drops of a whole machine that were only counted: clues at findings, and no findings."""

from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP

from ttrace.correlate import correlate_captures
from ttrace.correlate.summaries.one_file import describe_capture
from ttrace.report import render_telling
from ttrace.report.telling import Telling
from ttrace.report.text.capture_file import description_text

from ..scene import IN, Node
from .told import findings_of

CLIENT, HERE = "203.0.113.5", "192.0.2.1"


def node(before: Any, after: Any, *, name: str = "host") -> Node:
    """SYNs that come in by eth0, and that nobody answers."""
    host = Node(name)
    host.interface("eth0", 2, addresses=[HERE])
    for number in range(3):
        syn = IP(src=CLIENT, dst=HERE, id=number + 1) / TCP(sport=1000, dport=80, flags="S", seq=1)
        host.see("eth0", IN, 1_000_000 * number, syn)
    for data, moment, time_us in ((before, "start", 0), (after, "stop", 4_000_000)):
        if data is not None:
            host.snapshot("counters", {"softnet": {"processed": 5}} | data, moment=moment, time_us=time_us)
    return host


def counted(**drops: Any) -> dict[str, Any]:
    return {"drops": drops}


def test_what_may_explain_a_finding_is_a_clue_at_it(tmp_path):
    before = counted(TCP_CSUM={"tcp_v4_rcv": 2})
    after = counted(
        TCP_CSUM={"tcp_v4_rcv": 14}, NETFILTER_DROP={"nf_hook_slow.constprop.0": 15}, UDP_CSUM={"__udp4_lib_rcv": 40},
        TCP_OLD_DATA={"tcp_data_queue": 60}, QUEUE_PURGE={"": 70}, **{"": {"": 3000}},
    )  # fmt: skip
    (found,) = findings_of(tmp_path, node(before, after))
    said = ["12 packets for TCP_CSUM (tcp_v4_rcv)", "15 packets for NETFILTER_DROP (nf_hook_slow)"]
    assert found.kind == "unanswered"
    assert found.text.endswith(f"; meanwhile the kernel of host dropped {said[0]} and {said[1]}, on the whole machine")
    clues = [one for one in found.evidence if one.what == "counter"]
    assert [one.text for one in clues] == [f"host: the kernel dropped {one}, on the whole machine" for one in said]
    assert all(one.frame for one in clues)
    assert found.confidence == 1.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, None),
        ({}, {}),
        ({}, counted(TCP_CSUM={"tcp_v4_rcv": 14})),  # began to be counted meanwhile
        (counted(TCP_CSUM={"tcp_v4_rcv": 14}), None),  # the capture was killed
        (counted(TCP_CSUM={"tcp_v4_rcv": 14}), counted(TCP_CSUM={"tcp_v4_rcv": 14})),
        (counted(), counted(UDP_CSUM={"__udp4_lib_rcv": 4}, TCP_OFOMERGE={"tcp_ofo_queue": 4}, NOT_SPECIFIED={"f": 1})),
        (counted(), {"drops": None}),
        (counted(), {"drops": {"TCP_CSUM": 14}}),  # damaged
        (counted(), {"drops": {"TCP_CSUM": {"tcp_v4_rcv": "many"}}}),
    ],
)  # fmt: skip
def test_what_explains_nothing_is_no_clue(tmp_path, before, after):
    (found,) = findings_of(tmp_path, node(before, after))
    assert "kernel" not in found.text
    assert not any(one.what == "counter" for one in found.evidence)


def test_a_number_alone_is_no_finding(tmp_path):
    host = Node("host")
    host.interface("eth0", 2, addresses=[HERE])
    for number, (source, target) in enumerate([(CLIENT, HERE), (HERE, CLIENT)]):
        host.see("eth0", IN, number, IP(src=source, dst=target, id=9) / UDP(sport=53, dport=53) / b"x")
    host.snapshot("counters", counted())
    host.snapshot("counters", counted(UDP_CSUM={"__udp4_lib_rcv": 4}), moment="stop", time_us=9)
    assert findings_of(tmp_path, host) == ()


def test_numbers_stand_at_the_file_that_has_them(tmp_path):
    first = node(counted(), counted(TCP_CSUM={"tcp_v4_rcv": 14}, **{"": {"": 3}}), name="a").write(tmp_path)
    second = node({}, {}, name="b").write(tmp_path)
    told = Telling.chosen(correlate_captures([first, second]))
    facts = [one.facts.kernel_drops for one in told.head[1].files]
    assert [tuple(one) for one in facts[0]] == [("TCP_CSUM", "tcp_v4_rcv", 14), ("", "", 3)]
    assert facts[1] is None
    assert description_text(describe_capture(first)[0]).endswith(
        "Packets that the kernel dropped, on the whole machine\n"
        "  14 for TCP_CSUM (tcp_v4_rcv)\n  3 for reasons that were not told apart\n"
    )
    assert "kernel dropped" not in description_text(describe_capture(second)[0])
    text = "".join(render_telling(told, "text"))
    said = "the kernel dropped packets, on the whole machine: 14 for TCP_CSUM (tcp_v4_rcv), 3 for reasons that were"
    assert text.count(said) == 1
    assert '"kernel_drops": [{"reason": "TCP_CSUM", "function": "tcp_v4_rcv", "packets": 14}' in "".join(
        render_telling(told, "json")
    )
