"""Packets as a translation leaves them: before and after it."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

ports = st.integers(1, 65535)


ipv4 = st.integers(0x0A000000, 0x0AFFFFFF).map(lambda n: str(IPv4Address(n)))


ipv6 = st.integers(0xFD << 120, (0xFE << 120) - 1).map(lambda n: str(IPv6Address(n)))


@st.composite
def translations(draw) -> tuple[bytes, bytes, bool]:
    """(packet, the same with other addresses, ports and identifier, whether anything of its flow changed)."""
    six = draw(st.booleans())
    kind = draw(st.sampled_from(["tcp", "udp", "icmp", "sctp"]))
    payload = Raw(draw(st.binary(max_size=200)))
    ip_id, seq, ack = draw(st.tuples(*[st.integers(0, 0xFFFF)] * 3))

    def packet(source: str, destination: str, sport: int, dport: int, ttl: int) -> bytes:
        network = (
            IPv6(src=source, dst=destination, hlim=ttl) if six else IP(src=source, dst=destination, id=ip_id, ttl=ttl)
        )
        if kind == "tcp":
            return bytes(network / TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags="PA") / payload)
        if kind == "udp":
            return bytes(network / UDP(sport=sport, dport=dport) / payload)
        if kind == "sctp":
            return bytes(network / SCTP(sport=sport, dport=dport, tag=seq) / payload)
        echo = (
            ICMPv6EchoRequest(id=sport, seq=seq, data=payload.load)
            if six
            else ICMP(type=8, id=sport, seq=seq) / payload
        )
        return bytes(network / echo)

    address = ipv6 if six else ipv4
    ends = [draw(st.tuples(address, address, ports, ports)) for _ in range(2)]
    used = [(e[0], e[1], e[2]) if kind == "icmp" else e for e in ends]
    return packet(*ends[0], 64), packet(*ends[1], 61), used[0] != used[1]
