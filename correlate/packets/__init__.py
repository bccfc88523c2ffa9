"""Who is the same packet."""
