"""Compiles the kernels of correlate ahead, as extension modules that need no numba: `python -m ttrace.ahead`.

For whoever builds a wheel or sets up a checkout. The sources of the kernels stay Python; what they are compiled for
stands in `signatures.json`.
"""
