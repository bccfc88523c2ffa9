"""What captures have in common, and why some have nothing.

For other rooms:
    shared_packets: NothingInCommon, Scope, Sharing, Standing, find_common
    shown: Shown
"""
