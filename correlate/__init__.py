"""Captures of one or more nodes -> packets, hops, rewrites, paths, connections. Anywhere, without rights.

    from ttrace.correlate import correlate_captures
    from ttrace.correlate.tables import paths_table

    result = correlate_captures(["master.pcapng", "slave.pcapng"])
    result.path(1)            # one path, as frozen dataclasses (paths.py)
    paths_table(result)       # all of them, as a pandas DataFrame; so packets_table, hops_table, rewrites_table, …

The modules are the stages. topology, dissect and netlink read a file; evaluations and rulebook make sense of the trace;
clocks aligns the nodes; sessions, links and connections follow flows through NAT; match and fragments find the packets,
order their hops, rewrites and outcomes explain them. stages.py is their order; pipeline.py runs them in memory, and
parts/ part by part what is too large for it. result.py is what comes out.
"""

from .api import correlate_files
from .in_memory import correlate_captures
from .result.correlation import Correlation

__all__ = ["Correlation", "correlate_captures", "correlate_files"]
