"""Kernels compiled ahead, by whoever builds ttrace, so that nothing is compiled where it runs. They stay Python.

`capture.py` makes the shared object of the capture's kernels, for x86-64 and aarch64, which needs neither numba nor
NumPy: what a node needs of them. `build.py` makes extension modules of what correlate calls, which need NumPy, for the
types that stand in `signatures.json`: `python -m ttrace.ahead`.

For other rooms:
    (none: what is made is found by `capture/stream/ahead.py` and `kernels/ahead.py`)
"""
