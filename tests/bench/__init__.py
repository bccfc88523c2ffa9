"""The measurements measured: what the bench says is true, and what it counts."""
