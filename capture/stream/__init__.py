"""From the sockets' memory into the file: the Python side of the compiled loop (`kernels/`).

For other rooms:
    ahead: FOLDER, PREFIX, object_name
    feed: Feed
    output: OutputFile
    own_file: sudo_user
    ready: ahead, are_ready, compile_kernels, compiled_here, kernels
"""
