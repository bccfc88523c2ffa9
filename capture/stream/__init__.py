"""From the sockets' memory into the file: one loop of compiled kernels."""
