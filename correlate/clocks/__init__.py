"""One time for all nodes.

For other rooms:
    align: align_clocks, are_bound_tightly, are_others
    clock: Clock
    delays: Pairs, add_delays, node_delays
    line: STEEPEST
    reference_time: FramesSetBack, frames_set_back, messages_on_reference, sightings_on_reference
    seen_by_nodes: Flows, flows_by_addresses
"""
