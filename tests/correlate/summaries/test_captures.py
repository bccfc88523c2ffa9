"""What went into a correlation, file by file."""

from ttrace.correlate import correlate_captures
from ttrace.correlate.summaries.captures import capture_facts
from ttrace.pcapng.blocks import LinkType
from ttrace.pcapng.write import enhanced_packet, interface_description, section_header


def test_an_interface_for_netlink_messages_is_no_capture_point_whoever_recorded_it(tmp_path):
    """As `tcpdump -i nlmon0` does: no facts of ttrace say what it is, but the link type does."""
    path = tmp_path / "nlmon.pcapng"
    path.write_bytes(
        section_header(node="n", system="", application="")
        + interface_description(link_type=LinkType.NETLINK, name="nlmon0", description="", facts={})
        + enhanced_packet(interface=0, time_ns=1, data=bytes(60))
    )
    assert [facts.interfaces for facts in capture_facts(correlate_captures([str(path)]))] == [()]
