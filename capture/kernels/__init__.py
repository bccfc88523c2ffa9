"""The loop of a capture, compiled: it waits, receives, merges and writes without Python, which calls `entry.py`.

`columns.py` and `layouts.py` are constants alone, so that nobody who fills or reads the rows needs a compiler.

For other rooms:
    columns: ENTRY_NUMBERS, INBOX_SEEN, INBOX_SEEN_FIRST_NS, INBOX_SEEN_LAST_NS, RING_SEEN_FIRST_NS, RING_SEEN_LAST_NS
    columns: SEEN_DROP, SEEN_MATCH, SEEN_RESET
    entry: ENTRIES
    layouts: BLOCK_STATUS_WORD, EPB_DATA, EPB_TYPE, PSEUDO_HEADER_BYTES, TP_STATUS_USER
"""
