"""What is told of a result, which first, and what is left out: decided here once, for every form to lay out.

For other rooms:
    checking: judge
    comparing: compare
"""

from .captures import CapturesTold, CaptureTold
from .connections import ConnectionsTold, ConnectionTold
from .in_order import Texts
from .routes import RoutesTold, RouteTold
from .telling import Outline, Telling

__all__ = [
    "CaptureTold",
    "CapturesTold",
    "ConnectionTold",
    "ConnectionsTold",
    "Outline",
    "RouteTold",
    "RoutesTold",
    "Telling",
    "Texts",
]
