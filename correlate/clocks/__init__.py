"""One time for all nodes.

For other rooms:
    align: align_clocks, are_others
    clock: Clock
    delays: Flows, Pairs, add_delays, flows_by_addresses, node_delays
    reference_time: FramesSetBack, frames_set_back, messages_on_reference, sightings_on_reference
"""
