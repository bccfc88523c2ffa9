"""The machine as it is found: namespaces, links, containers, what of it was changed, and what we may do."""
