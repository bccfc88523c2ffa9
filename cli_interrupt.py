"""Ctrl-C while the command line is being imported, for a tenth of a second, ends it without a traceback.

To be imported before all else; `allow` is called behind the last import.
"""

import signal
import threading

_handler = signal.getsignal(signal.SIGINT)
# Whoever has another handler, or runs elsewhere than in the main thread, imports this for its functions.
_is_ours = _handler is signal.default_int_handler and threading.current_thread() is threading.main_thread()
if _is_ours:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def allow() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt again, which `main` knows what to do with."""
    if _is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
