"""ttrace: every hop and every address rewrite of a packet through container networks.

`capture/` turns what a node's kernel says into one pcapng file, `correlate/` turns files into tables and paths, and
`report/` turns paths into text or JSON. The public Python API is `ttrace.correlate.correlate_captures`.
"""

from .errors import TtraceError

__version__ = "0.1.0"

__all__ = ["TtraceError", "__version__"]
