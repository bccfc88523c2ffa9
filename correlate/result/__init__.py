"""What comes out: columns inside, values and words outside.

For other rooms:
    columns: Numbers
    connection_state: STATES_TO_TELL, UNANSWERED
    correlation: Correlation
    reasons: RULE_CHANGED, ReasonNote
    select: Selection, check_numbers, select, select_handshakes
    values: ChainHop, Connection, Encapsulation, Hop, InterfaceHop, KernelHop, Path, RewriteStep, RuleMatch
    values: SequenceShift
    words: DIRECTIONS, address_text, endpoint, protocol_name, tcp_flags_text
"""
