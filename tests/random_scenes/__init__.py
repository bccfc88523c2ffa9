"""Random scenes of nodes, rules and traffic, of which the truth is known: README.md says how one comes about."""
