"""Captures of one or more nodes -> packets, hops, rewrites, paths, connections. Anywhere, without rights.

    from ttrace.correlate import correlate_captures
    from ttrace.correlate.dataframes import paths_table

    result = correlate_captures(["master.pcapng", "slave.pcapng"])
    result.path(1)            # one path, as frozen dataclasses (result/values.py)
    paths_table(result)       # all of them, as a pandas DataFrame; so packets_table, hops_table, rewrites_table, …

Each room is a stage: decode/ and netfilter/ read a file, clocks/ aligns the nodes, flows/ follows connections through
NAT, packets/ finds what is one packet, hops/ its way and outcomes/ its end; result/ is what comes out. arrays/ and
nodes/ are below all of them; in_common/, summaries/ and explain/ ask a result. pipeline.py is the order of the stages;
in_memory.py runs them at once, and in_parts/ part by part what is too large for that.
"""

from .api import correlate_both, correlate_files
from .in_memory import correlate_captures
from .result.correlation import Correlation

__all__ = ["Correlation", "correlate_both", "correlate_captures", "correlate_files"]
