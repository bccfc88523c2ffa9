"""Who is who: what the command line names, nodes, namespaces, capture points, and the snapshots that tell of them.

For other rooms:
    counted_drops: CountedDrops, counted_drops
    file_facts: FileFacts, file_facts
    limits: within_limits
    listening: Listening, connected_owners, listening, socket_words
    merged: take_apart, take_files_apart
    namespace_facts: LinkSettings, Listener, NamespaceFacts, Owner, Route, Where
    pieces: name_files, name_pieces
    rings: in_ring_order
    route_words: route_text, rule_text, table_name
    routing: NO_ROUTE, ReversePath, RouteFound, lookup, reverse_path
    snapshots: NodeSnapshots, gather_snapshots
    sources: Source, parse_sources
    surroundings: Surroundings, drops_of_files, find_surroundings
    topology: CapturePoint, Namespace, Role, Topology, build_topology
"""
