"""From the sockets' memory into the file: one loop of compiled kernels.

For other rooms:
    feed: Feed, compile_kernels
    output: OutputFile
    own_file: sudo_user
"""
