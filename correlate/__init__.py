"""Captures of one or more nodes -> packets, hops, rewrites, paths, connections. Anywhere, without rights.

    from ttrace.correlate import correlate_captures

    result = correlate_captures(["master.pcapng", "slave.pcapng"])
    result.paths_table()      # a pandas DataFrame, as are packets_table(), hops_table(), rewrites_table(),
    connections_table() result.path(0)            # one path as frozen dataclasses

The modules are the stages: topology and dissect and netlink read, clocks aligns, connections links flows across NAT,
match finds the packets, order the hops, rewrites and outcomes explain. pipeline.py is their order.
"""

from .pipeline import correlate_captures
from .result import Correlation

__all__ = ["Correlation", "correlate_captures"]
