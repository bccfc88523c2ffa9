"""Bytes to rows: captured frames become sightings."""
