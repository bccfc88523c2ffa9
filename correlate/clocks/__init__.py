"""One time for all nodes."""
