"""The stages of the correlation, on small tables and small files."""
