"""The way of a packet: its sightings in order, and the rewrites between them.

For other rooms:
    order: drops_apart, order_hops, path_bounds
    point_order: order_points
    rewrites: Evidence, Field, find_rewrites
    stations: Station
    underlay: separate_underlay
"""
