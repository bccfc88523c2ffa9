"""Who is the same packet.

For other rooms:
    apart: places_of
    copies: passing_ns
    datagrams: datagram_contents, is_datagram, join_datagrams
    match: Packets, match_packets
    numbering: first_of_each, in_order_of_time, number_connections
    points: point_keys
"""
