"""Many paths in a few rows: routes, legs, retransmissions, captures."""
