"""The way of a packet: its sightings in order, and the rewrites between them."""
