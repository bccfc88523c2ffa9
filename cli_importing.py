"""How a command line imports what is heavy."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .kernels.folders import kernel_folders
from .kernels.njit import Kernel


@contextmanager
def importing(say: Callable[[str], None]) -> Iterator[None]:
    """Imports only make what stays: looking for garbage among it, now and later, takes a tenth of a short run.

    `say` is told what will make it slow.
    """
    from .kernels.memory import keep_freed  # ctypes: not for the help

    keep_freed()
    # NumPy's, which would start threads that wait for work by turning: nothing here is linear algebra.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if refused := kernel_folders().refused:
        say(f"warning: everything is compiled anew each time: {refused}")
    Kernel.announce = say
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
    from .pcapng.shrinking import tell_of_shrinking  # what is imported reads files

    tell_of_shrinking()
