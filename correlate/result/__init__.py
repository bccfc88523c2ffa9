"""What comes out: columns inside, values and words outside.

For other rooms:
    columns: Numbers
    connection_state: COMPLETE, CUT, HALF_OPEN, REFUSED, RESET, STATES_TO_TELL, UNANSWERED
    correlation: Correlation
    reasons: RULE_CHANGED, ReasonNote, rule_place
    select: Selection, check_numbers, select, select_handshakes
    show: reason_of
    show_connections: owner_of
    values: ChainHop, Connection, Encapsulation, Hop, InterfaceHop, KernelHop, Path, Process, RewriteStep
    values: RuleMatch, SequenceShift
    words: DIRECTIONS, PROTOCOLS, address_text, endpoint, entry_end, packet_info, protocol_name, tcp_flags_text
"""
