"""The end of a packet's way: what became of it, and why."""
