"""What comes out: columns inside, values and words outside.

For other rooms:
    columns: Numbers
    connection_ending: Endings, Form, connection_endings
    connection_state: COMPLETE, CUT, STATES, STATES_TO_TELL, UNANSWERED, connection_states
    correlation: Correlation
    members: Members
    processes: known_processes, process_at
    reasons: RULE_CHANGED, ReasonNote, rule_place
    select: Selection, check_numbers, select, select_handshakes
    show: location_name, reason_of
    show_connections: end_name, name_of, owner_of, views_of
    values: ChainHop, Connection, Encapsulation, Hop, InterfaceHop, KernelHop, Path, Process, RewriteStep
    values: RuleMatch, SequenceShift, View
    words: DIRECTIONS, PROTOCOLS, address_text, endpoint, entry_end, packet_info, protocol_name, tcp_flags_text
"""
