"""Bytes to rows: captured frames become sightings.

For other rooms:
    checksums: MOST_BYTES, SUMMED, SUMS, Sum, check_sums
    compared_bytes: ABOUT, ARP_BYTES, FLOW_LABEL, ICMP_BYTES, OTHER_BYTES, SCTP_BYTES, SCTP_TAG, TCP_FLAGS_END
    compared_bytes: TCP_REACH, UDP_BYTES, WHOLE, common_reach, whole_reach
    copies: COPY_NS, alike, comes_soon, has_own_id, is_copy
    files: decode_packets, files_together
    flow_columns: MAPPED
    fragments: adopt_first_fragment, pieces_of
    frames: observations_by_chunk
    icmp: are_queries, is_query, query_ports
    ip: dissect_ip, dissect_network
    link_layer: LINK_TYPE_BASE, network_start
    link_scope: is_link_chatter, row_stays_on_link, stays_on_link
    observations: Observations, concatenate, number_outers
    payload: by_payload, contradict
    renumbered: renumbered_contents
    tunnels: Tunnel
"""
