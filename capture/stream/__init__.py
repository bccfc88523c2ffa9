"""From the sockets' memory into the file: one loop of compiled kernels.

For other rooms:
    columns: SEEN_DROP, SEEN_MATCH, SEEN_RESET
    compile: compile_kernels
    feed: Feed
    output: OutputFile
    own_file: sudo_user
"""
