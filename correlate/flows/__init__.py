"""Who is the same connection, through NAT."""
