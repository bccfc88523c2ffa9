"""On a node, as root: what the kernel says about packets, into one pcapng stream (docs/file-format.md).

from ttrace.capture import CaptureOptions, run_capture
summary = run_capture(CaptureOptions(output="node.pcapng", duration_s=10))
"""

from .options import BrokenOffError, CaptureOptions, CaptureStatus, CaptureSummary, NamespaceSummary, PointSummary
from .run import run_capture

__all__ = [
    "BrokenOffError",
    "CaptureOptions",
    "CaptureStatus",
    "CaptureSummary",
    "NamespaceSummary",
    "PointSummary",
    "run_capture",
]
