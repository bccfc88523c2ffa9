"""The end of a packet's way: what became of it, and why.

For other rooms:
    address_keys: address_halves, address_keys
    by_kernel_drop: NO_LOSS
    coverage: Coverage, find_coverage, lost_where, missed, watch_of_point
    judges: OF_ALL_PARTS, OF_ONE_PART, decide
    kinds: OUTCOMES, Outcome, Outcomes, REASON_KIND, Reason, Segments
    next_node: Arrivals
    passages: PassageCounts, Passages
    tables: Tables
"""
