"""Who is who: what the command line names, nodes, namespaces, capture points, and the snapshots that tell of them.

For other rooms:
    file_facts: FileFacts, file_facts
    limits: within_limits
    merged: take_apart, take_files_apart
    pieces: name_files, name_pieces
    rings: in_ring_order
    snapshots: NodeSnapshots, gather_snapshots
    sources: Source, parse_sources
    topology: Namespace, Role, Topology, build_topology
"""
