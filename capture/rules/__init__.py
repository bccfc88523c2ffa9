"""The rules of a namespace: our own tracing table, and what the others are.

For other rooms:
    legacy: are_legacy_tables_hidden, has_legacy_tables, legacy_tables
    ruleset: read_ruleset
    tracing_table: TracingTable, ask_nft, load_nftables, split_match
"""
