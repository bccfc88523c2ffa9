"""What the kernel says beside packets, one module a kind: what it needs, how it is opened, begun and ended.

A new kind is a module here with a `Source`, and a line in `SOURCES`. `source.py` says what a source can do and when.

For other rooms:
    conntrack: dump_conntrack
    source: Source
"""

from .conntrack import Conntrack
from .drops import KernelDrops
from .legacy_trace import LegacyTrace
from .nftrace import Nftrace
from .ruleset_changes import RulesetChanges
from .source import CannotRunError, Source

SOURCES: tuple[type[Source], ...] = (Conntrack, LegacyTrace, RulesetChanges, KernelDrops, Nftrace)
"""In the order in which they are opened and begun; they are ended in the opposite one.

What makes the kernel speak comes last, when all that hears it is there.
"""

__all__ = ["SOURCES", "CannotRunError", "Source"]
