"""Columns, no packets: grouping, hashing, union-find."""
