"""Captures that are larger than the memory: connections are put into parts, and these are correlated one by one.

    slices ─ survey ─▶ flow_groups ─ distribution ─▶ spilled rows ─ rounds of tasks over the parts ─▶ result

The survey reads all captures once, and finds what has to be known of all packets, and which address pairs hang
together; the distribution reads them again, and writes every packet to the part of its addresses. Then each part goes
through the stages of the pipeline in a few rounds, between which is summed up what must be known of all. A task of a
round needs names of files and small values only: the processes of a pool do them, and any others could.

For other rooms:
    memory: bytes_needed, memory_budget, most_sightings, sightings_per_part
    number_table: NumberTable
    result: PartedCorrelation
    rounds: correlate_in_parts, open_files
"""
