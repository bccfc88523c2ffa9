"""Who is who: what the command line names, nodes, namespaces, capture points, and the snapshots that tell of them."""
