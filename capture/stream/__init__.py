"""From the sockets' memory into the file: one loop of compiled kernels.

For other rooms:

    feed: compile_kernels, Feed
    output: OutputFile
"""
