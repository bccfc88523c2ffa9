"""How kernels are compiled, kept and found again, and what may be read or run as root."""
