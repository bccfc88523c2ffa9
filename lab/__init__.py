"""Two container nodes on one machine, for the demo, the tests and the recordings.

DockerLab runs a real dockerd per node, LightLab imitates its network in under a second; both are Lab. up(), down() and
status() work on a lab by its prefix from any process: `ttrace lab up` in one, `ttrace lab down` in another.
"""

from .base import Lab, NodeStatus
from .commands import attach, down, status, up
from .docker import DockerLab
from .light import LightLab
from .node import Container, Node
from .waiting import wait_until

__all__ = [
    "Container",
    "DockerLab",
    "Lab",
    "LightLab",
    "Node",
    "NodeStatus",
    "attach",
    "down",
    "status",
    "up",
    "wait_until",
]
