"""By how much the sequence numbers of TCP are shifted between two places.

For other rooms:
    byte_stream: unwrapped
    pairs: Pairs, Segments, established, pair_segments, sides, votes_of
    shifts: Shifts, Ways, find_shifts
"""
