"""Many paths in a few rows: routes, legs, retransmissions, captures.

For other rooms:
    captures: CaptureFacts, capture_facts, merged_facts
    connections: ConnectionSummary, summarise_connections
    legs: Leg, LegEnd, leg_values
    one_file: CaptureDescription, NamespaceDescription, PointDescription, describe_capture
    retransmissions: find_retransmissions
    routes: find_routes, route_keys
    steps: Steps, find_steps, machines
    timeline: LONG_NS, PLACES, Timeline, find_timelines
"""
