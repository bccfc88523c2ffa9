"""Many paths in a few rows: routes, legs, retransmissions, captures.

For other rooms:
    captures: CaptureFacts, capture_facts, merged_facts
    connections: ConnectionSummary, summarise_connections
    legs: Leg, LegEnd
    one_file: CaptureDescription, NamespaceDescription, PointDescription, describe_capture
    routes: find_routes
"""
