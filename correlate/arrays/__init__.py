"""Columns, no packets: grouping, hashing, union-find.

For other rooms:
    grouping: Runs, distinct, distinct_pairs, first_with, group_ids, hashed, radix_order, runs_of_ids, runs_of_keys
    growing: doubled
    hashing: SEED, SPREAD, flow_hash, flow_hashes, hash_bytes, hash_words, last_step, mix, spread, step
    in_order: copy_in_order
    union_find: find_all, join
"""
