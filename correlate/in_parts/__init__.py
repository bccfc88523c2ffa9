"""Captures that are larger than the memory: connections are put into parts, and these are correlated one by one.

    stream ─ survey ─▶ flow_groups ─ distribution ─▶ spill ─ run (stages.py on each part, in workshop) ─▶ result

The survey reads all captures once, and finds what has to be known of all packets, and which address pairs hang
together; the distribution reads them again, and writes every packet to the part of its addresses.
"""
